//! Progress of builds and pulls.

/// A progress message of an image build or pull.
pub(super) enum Step {
    /// Text to show.
    Text(String),
    /// The error that ended it.
    Fault(String),
    /// Nothing to show.
    Silent,
}
