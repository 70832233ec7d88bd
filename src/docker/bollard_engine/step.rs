//! What long work of the daemon tells.

/// What an image build or pull tells as it goes.
pub(super) enum Step {
    /// Worth showing.
    Text(String),
    /// The daemon's reason to give up.
    Fault(String),
    /// Nothing to show.
    Silent,
}
