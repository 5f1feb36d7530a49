//! What has to be measured: how late a parked thread wakes and how long the disk takes to hold on to a record. Both
//! are bounded in time, however slow the machine is.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Longest a measurement takes.
const LIMIT: Duration = Duration::from_secs(2);
const WAKE_UPS: usize = 500;
const SYNCS: usize = 100;
/// How long the woken thread is left alone before, so that it has parked and its core may have gone idle.
const PARKED: Duration = Duration::from_micros(500);
/// Bytes written before a sync: about a micro-batch of records.
const WRITE_BYTES: usize = 4096;

/// What a series of delays came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Delays {
    /// How many were measured.
    pub count: usize,
    /// The median.
    pub p50: Duration,
    /// 99 of 100 are at most this.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

impl Delays {
    pub fn of(mut all: Vec<Duration>) -> Delays {
        all.sort_unstable();
        let at = |percent: usize| match all.len() {
            0 => Duration::ZERO,
            len => all[(len * percent).div_ceil(100).clamp(1, len) - 1],
        };
        Delays { count: all.len(), p50: at(50), p99: at(99), max: at(100) }
    }
}

/// A duration for people, in µs below 10 ms.
pub(in crate::cli) fn shown(duration: Duration) -> String {
    match duration.as_micros() {
        us @ 0..10_000 => format!("{us} us"),
        us => format!("{} ms", us / 1000),
    }
}

/// From unparking a thread to its running.
pub(in crate::cli) fn wake_up() -> Delays {
    let (woken, times) = mpsc::channel::<Instant>();
    let (ask, asked) = mpsc::channel::<()>();
    let sleeper = std::thread::spawn(move || {
        // Blocked in a receive a thread is parked, as the lanes are on their rings.
        while asked.recv().is_ok() {
            if woken.send(Instant::now()).is_err() {
                return;
            }
        }
    });
    let (start, mut delays) = (Instant::now(), Vec::with_capacity(WAKE_UPS));
    while delays.len() < WAKE_UPS && start.elapsed() < LIMIT {
        std::thread::sleep(PARKED);
        let sent = Instant::now();
        if ask.send(()).is_err() {
            break;
        }
        let Ok(ran) = times.recv() else { break };
        delays.push(ran.saturating_duration_since(sent));
    }
    drop(ask);
    drop(sleeper.join());
    Delays::of(delays)
}

/// From a written record to its being on the disk of a folder.
pub(in crate::cli) fn sync(folder: &Path) -> io::Result<Delays> {
    let path = folder.join(format!(".interdict-doctor-{}", std::process::id()));
    let measured = sync_in(&path);
    let removed = fs::remove_file(&path);
    let delays = measured?;
    removed.map(|()| delays)
}

fn sync_in(path: &Path) -> io::Result<Delays> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    let (start, mut delays) = (Instant::now(), Vec::with_capacity(SYNCS));
    while delays.len() < SYNCS && start.elapsed() < LIMIT {
        let written = Instant::now();
        file.write_all(&[0x5a; WRITE_BYTES])?;
        file.sync_data()?;
        delays.push(written.elapsed());
    }
    Ok(Delays::of(delays))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_delays() {
        let delays = Delays::of((1..=200).rev().map(Duration::from_micros).collect());
        let us = |n| Duration::from_micros(n);
        assert_eq!(delays, Delays { count: 200, p50: us(100), p99: us(198), max: us(200) });
        assert_eq!(Delays::of(Vec::new()).max, Duration::ZERO);
    }

    #[test]
    fn the_disk_is_measured_and_left_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        assert!(sync(dir.path()).unwrap().count > 0);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(sync(&dir.path().join("none")).is_err());
    }
}
