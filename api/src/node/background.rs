//! A thread of the node's own beside the path: a name, a mark by which it is asked to end, and the wait for its end. What
//! it does is its module's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, Thread};

/// The thread; asked to end when dropped.
#[derive(Debug)]
pub struct Background {
    stop: Arc<AtomicBool>,
    handle: Option<JoinHandle<()>>,
}

impl Background {
    /// Starts it under a name. `run` is given the mark, and is to return soon after that is set; it is unparked then.
    pub fn start(name: &str, run: impl FnOnce(&Arc<AtomicBool>) + Send + 'static) -> Background {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let handle = thread::Builder::new()
            .name(name.into())
            .spawn(move || run(&stopped))
            .expect("the system gives a thread at start");
        Background { stop, handle: Some(handle) }
    }
    /// The thread, to unpark it.
    pub fn thread(&self) -> Thread {
        self.handle.as_ref().expect("it is taken by the end only").thread().clone()
    }
    /// Asks it to end and waits for that; what it has begun it finishes.
    pub fn end(mut self) {
        self.ask_to_end();
        if let Some(handle) = self.handle.take() {
            // A panic has been reported by its own hook.
            drop(handle.join());
        }
    }
    fn ask_to_end(&self) {
        self.stop.store(true, Ordering::Release);
        if let Some(handle) = &self.handle {
            handle.thread().unpark();
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.ask_to_end();
    }
}
