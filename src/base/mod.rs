//! The lowest layer: time, identifiers, units, secrets, YAML, supervised workers and limits on
//! blocking work.
//!
//! Every module may use this one; it uses no other module of cflite. The clock and the source of
//! guids are injected, so that tests can run on a manual clock with predictable names.

pub mod backoff;
pub mod blocking;
pub mod clock;
pub mod guid;
pub mod live;
pub mod private_file;
pub mod public_file;
pub mod secret;
pub mod secrets;
pub mod supervisor;
pub mod units;
pub mod yaml;

pub use backoff::Backoff;
pub use blocking::{Bounds, QueueError, Slot, WorkQueue};
pub use clock::{Clock, SystemClock, Timestamp};
pub use guid::GuidSource;
pub use live::Live;
pub use secret::Secret;
pub use supervisor::{Supervisor, WorkerStatus, panic_text};
pub use units::{Bytes, Megabytes};
