//! The lowest priority for the thread that asks: whatever else wants the core gets it. One call of the system, which no
//! crate of ours has without others being built anew.

#![allow(unsafe_code)]

/// Lowest of priorities.
const NICE: libc::c_int = 19;

/// Gives this thread, and no other, the lowest priority.
///
/// # Errors
/// The system's.
pub(super) fn lowest() -> std::io::Result<()> {
    // SAFETY: takes three integers and touches no memory of ours. On Linux 0 is the thread that calls, not its process.
    match unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_the_thread_that_asks_is_made_nice() {
        // SAFETY: as above.
        let nice = || unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
        let before = nice();
        let of_thread = std::thread::spawn(move || {
            lowest().unwrap();
            nice()
        });
        assert_eq!((of_thread.join().unwrap(), nice()), (NICE, before));
    }
}
