//! The scheduler as a whole.
