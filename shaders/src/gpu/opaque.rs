//! A value whose insides the compiler does not look into. wgpu's types are nested so deep that it gives up on whether
//! something that holds one, some levels up, may go to another thread; here it is told, once.

use std::fmt;
use std::ops::Deref;

/// A `T` that is `Send` and `Sync`.
pub(crate) struct Opaque<T>(Box<dyn Deref<Target = T> + Send + Sync>);

impl<T: Send + Sync + 'static> Opaque<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Box::new(Box::new(value)))
    }
}

impl<T> Deref for Opaque<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for Opaque<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(out)
    }
}
