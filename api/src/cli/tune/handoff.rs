//! What a hand-over between two threads takes, with a payment's work between: the rings and the waiting of
//! `node/lanes.rs`, without a node around them.

use super::super::doctor::measure::Delays;
use rtrb::{Consumer, RingBuffer};
use std::thread;
use std::time::{Duration, Instant};

const TRIPS: usize = 2000;
/// Longest a measurement takes.
const LIMIT: Duration = Duration::from_millis(500);
/// As a profile's `park_us`: a lost wake-up costs no more.
const PARK: Duration = Duration::from_millis(1);

/// From handing a piece of work over to having it back.
pub(super) fn round_trips(spins: u32, work: Duration) -> Delays {
    let (mut give, mut given) = RingBuffer::<bool>::new(32);
    let (mut make, mut made) = RingBuffer::<bool>::new(32);
    let owner = thread::current();
    let lane = thread::spawn(move || {
        // `false` is the end.
        while next(&mut given, spins) {
            let began = Instant::now();
            while began.elapsed() < work {
                std::hint::spin_loop();
            }
            if make.push(true).is_err() {
                return;
            }
            owner.unpark();
        }
    });
    let (start, mut delays) = (Instant::now(), Vec::with_capacity(TRIPS));
    while delays.len() < TRIPS && start.elapsed() < LIMIT {
        let sent = Instant::now();
        if give.push(true).is_err() {
            break;
        }
        lane.thread().unpark();
        next(&mut made, spins);
        delays.push(sent.elapsed());
    }
    // The ring is empty: everything came back.
    let _ = give.push(false);
    lane.thread().unpark();
    drop(lane.join());
    Delays::of(delays)
}

fn next(from: &mut Consumer<bool>, spins: u32) -> bool {
    loop {
        for _ in 0..spins.max(1) {
            if let Ok(one) = from.pop() {
                return one;
            }
            std::hint::spin_loop();
        }
        thread::park_timeout(PARK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trip_takes_at_least_its_work() {
        for spins in [0, 64] {
            let delays = round_trips(spins, Duration::from_micros(50));
            assert!(delays.count > 0 && delays.p50 >= Duration::from_micros(50), "{delays:?}");
        }
    }
}
