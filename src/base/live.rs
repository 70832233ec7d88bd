//! A setting that may change while the process runs.

use std::sync::Arc;

use tokio::sync::watch;

/// A value that one part sets and others read when they need it; clones share it.
#[derive(Debug)]
pub struct Live<T>(Arc<watch::Sender<Arc<T>>>);

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Live<T> {
    /// Starts with this value.
    pub fn new(value: T) -> Self {
        Self(Arc::new(watch::Sender::new(Arc::new(value))))
    }

    /// The present value.
    pub fn get(&self) -> Arc<T> {
        self.0.borrow().clone()
    }

    /// Replaces the value for everyone.
    pub fn set(&self, value: T) {
        self.0.send_replace(Arc::new(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_the_value() {
        let one = Live::new(1);
        let other = one.clone();
        other.set(2);
        assert_eq!(*one.get(), 2);
    }
}
