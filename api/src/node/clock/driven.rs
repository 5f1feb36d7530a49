//! A wall clock that somebody else drives, through a file: for demonstrations and rehearsals of a settlement day. Deadlines
//! stay the machine's.

use super::Clock;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Names the file.
pub const VARIABLE: &str = "INTERDICT_VIRTUAL_CLOCK";
/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A clock outside these is a slip of the pen, ms since the Unix epoch: the years 1970 to 9999.
const SHOWN: std::ops::Range<i64> = 0..253_402_300_800_000;

/// Shows what the file says: ms since the Unix epoch, or RFC 3339. Whoever drives it replaces the file whole (writes
/// aside and renames); what does not read is told, and the time before it stays.
#[derive(Debug)]
pub struct Driven {
    shown_ms: AtomicI64,
}

impl Driven {
    /// The clock that the environment names, if any.
    ///
    /// # Errors
    /// A file that does not read: a process must not begin at a time that nobody said.
    pub fn of_environment() -> Result<Option<Arc<Driven>>> {
        std::env::var_os(VARIABLE).map(|path| Driven::follow(PathBuf::from(path))).transpose()
    }

    /// Follows a file as long as the clock lives.
    ///
    /// # Errors
    /// As there.
    pub fn follow(path: PathBuf) -> Result<Arc<Driven>> {
        let shown_ms = read(&path)?;
        let clock = Arc::new(Driven { shown_ms: AtomicI64::new(shown_ms) });
        let weak = Arc::downgrade(&clock);
        let look = move || {
            let mut was_wrong = false;
            while let Some(clock) = weak.upgrade() {
                match read(&path) {
                    Ok(ms) => {
                        was_wrong = false;
                        clock.shown_ms.store(ms, Ordering::SeqCst);
                    }
                    Err(e) if !was_wrong => {
                        was_wrong = true;
                        tracing::error!("the virtual clock stands still: {e:#}");
                    }
                    Err(_) => {}
                }
                drop(clock);
                thread::sleep(LOOK_EVERY);
            }
        };
        thread::Builder::new().name("clock".into()).spawn(look).context("a thread for the virtual clock")?;
        Ok(clock)
    }
}

impl Clock for Driven {
    fn now(&self) -> Instant {
        Instant::now()
    }
    fn wall_ms(&self) -> i64 {
        self.shown_ms.load(Ordering::SeqCst)
    }
    fn is_virtual(&self) -> bool {
        true
    }
}

fn read(path: &Path) -> Result<i64> {
    let place = || format!("{VARIABLE} {}", path.display());
    let text = std::fs::read_to_string(path).with_context(place)?;
    let text = text.trim();
    let ms = match text.parse::<i64>() {
        Ok(ms) => Some(ms),
        Err(_) => text.parse::<jiff::Timestamp>().ok().map(|time| time.as_millisecond()),
    };
    match ms.filter(|ms| SHOWN.contains(ms)) {
        Some(ms) => Ok(ms),
        None => bail!("{}: expected ms since the Unix epoch, or RFC 3339", place()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn it_shows_what_the_file_says_and_stands_still_where_that_does_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("now");
        assert!(Driven::follow(path.clone()).is_err(), "nobody said a time");
        for wrong in ["", "noon", "-5", "2026-09-01", "999999999999999999"] {
            std::fs::write(&path, wrong).unwrap();
            assert!(read(&path).is_err(), "{wrong:?}");
        }
        let set = |text: &str| {
            std::fs::write(dir.path().join("aside"), text).unwrap();
            std::fs::rename(dir.path().join("aside"), &path).unwrap();
        };
        set("1789000000000\n");
        let clock = Driven::follow(path.clone()).unwrap();
        assert_eq!((clock.wall_ms(), clock.is_virtual()), (1_789_000_000_000, true));
        set("broken");
        thread::sleep(LOOK_EVERY * 3);
        assert_eq!(clock.wall_ms(), 1_789_000_000_000);
        set("2026-09-01T12:00:00Z");
        while clock.wall_ms() != 1_788_264_000_000 {
            thread::sleep(LOOK_EVERY);
        }
    }
}
