//! Identity's cold store with somebody who tells of its failures: the engine counts them and goes on, as if the keys
//! were past the horizon, and the log says so at most once a minute.

use interdict_engine::identity::{Cold, ColdError, Drawer, Entry, Known};
use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How seldom the same trouble is told.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// A store whose failures are logged.
#[derive(Debug)]
pub struct Told<C> {
    store: C,
    told: Cell<Option<Instant>>,
    untold: Cell<u64>,
}

impl<C: Cold> Told<C> {
    /// Around a store.
    pub fn new(store: C) -> Told<C> {
        Told { store, told: Cell::new(None), untold: Cell::new(0) }
    }
    fn tell<T>(&self, result: Result<T, ColdError>) -> Result<T, ColdError> {
        let Err(why) = &result else { return result };
        if self.told.get().is_some_and(|told| told.elapsed() < TOLD_EVERY) {
            self.untold.set(self.untold.get() + 1);
            return result;
        }
        let more = self.untold.take();
        tracing::error!(
            more,
            "{why}; retries of payments whose keys lie there are decided anew until a restart"
        );
        self.told.set(Some(Instant::now()));
        result
    }
}

impl<C: Cold> Cold for Told<C> {
    fn get(&self, drawer: Drawer, key: u128) -> Result<Option<Known>, ColdError> {
        self.tell(self.store.get(drawer, key))
    }
    fn put_all(&mut self, drawer: Drawer, batch: Arc<[Entry]>) -> Result<(), ColdError> {
        let put = self.store.put_all(drawer, batch);
        self.tell(put)
    }
    fn forget(&mut self, drawer: Drawer) -> Result<(), ColdError> {
        let forgotten = self.store.forget(drawer);
        self.tell(forgotten)
    }
    fn each(&self, drawer: Drawer, each: &mut dyn FnMut(&Entry)) -> Result<(), ColdError> {
        self.store.each(drawer, each)
    }
    fn bytes(&self) -> u64 {
        self.store.bytes()
    }
    fn lost(&self) -> u64 {
        self.store.lost()
    }
}
