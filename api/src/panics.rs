//! A panic inside tract is caught and becomes an error that repeats it, so its text need not also stand on stderr, where
//! it looks like a crash. Every other panic is told as ever.

use interdict_engine::models::panics_are_contained;
use std::panic::{set_hook, take_hook};

/// Sets the process's panic hook so that panics which the engine contains are not written to stderr; all others go to
/// the hook that was there.
pub fn quiet_what_is_contained() {
    quiet(panics_are_contained);
}

/// `is_contained` is asked on the thread that panics.
fn quiet(is_contained: fn() -> bool) {
    let told = take_hook();
    set_hook(Box::new(move |panic| {
        if !is_contained() {
            told(panic);
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::panic::catch_unwind;

    thread_local! {
        static CONTAINED: Cell<bool> = const { Cell::new(false) };
        static TOLD: Cell<u32> = const { Cell::new(0) };
    }

    #[test]
    fn only_what_is_contained_is_quiet() {
        let before = take_hook();
        set_hook(Box::new(|_| TOLD.set(TOLD.get() + 1)));
        quiet(|| CONTAINED.get());
        let mut told = Vec::new();
        for contained in [false, true, false] {
            CONTAINED.set(contained);
            assert!(catch_unwind(|| panic!("for the test")).is_err());
            told.push(TOLD.get());
        }
        set_hook(before);
        assert_eq!(told, [1, 1, 2]);
    }
}
