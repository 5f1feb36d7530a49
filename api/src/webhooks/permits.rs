//! How many requests are under way at once, all endpoints together.

use parking_lot::{Condvar, Mutex};

/// A bound that threads wait at.
#[derive(Debug)]
pub(super) struct Permits {
    free: Mutex<usize>,
    given_back: Condvar,
}

/// The right to one request; given back when dropped.
pub(super) struct Permit<'a>(&'a Permits);

impl Permits {
    pub fn new(count: usize) -> Permits {
        Permits { free: Mutex::new(count), given_back: Condvar::new() }
    }
    /// Waits for one.
    pub fn take(&self) -> Permit<'_> {
        let mut free = self.free.lock();
        self.given_back.wait_while(&mut free, |free| *free == 0);
        *free -= 1;
        Permit(self)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.0.free.lock() += 1;
        self.0.given_back.notify_one();
    }
}
