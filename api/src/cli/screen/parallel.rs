//! Rows to lines over all cores, written in the rows' order.

use anyhow::Result;
use indicatif::ProgressBar;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

/// Rows a thread takes at once.
const CHUNK: usize = 64;
/// Errors that are printed; the rest is counted.
const PRINTED_MAX: u64 = 20;

/// Makes a line of each row by `each` (with a state for each thread) and writes them in order. What `each` returns is why
/// a row was not screened; it goes to stderr with the row's number, from 1.
///
/// # Errors
/// When the lines cannot be written.
pub(super) fn in_order<T: Sync, S: Default>(
    rows: &[T],
    bar: &ProgressBar,
    each: impl Fn(&mut S, &T, &mut Vec<u8>) -> Option<String> + Sync,
    out: &mut impl Write,
) -> Result<()> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(rows.len().div_ceil(CHUNK));
    let next = AtomicUsize::new(0);
    let (send, receive) = sync_channel::<(usize, Vec<u8>, Vec<(usize, String)>)>(4 * threads.max(1));
    let mut refused = 0;
    thread::scope(|scope| {
        for _ in 0..threads {
            let (send, each, next) = (send.clone(), &each, &next);
            scope.spawn(move || {
                let mut state = S::default();
                loop {
                    let chunk = next.fetch_add(1, Ordering::Relaxed);
                    let Some(rest) = rows.get(chunk * CHUNK..).filter(|rest| !rest.is_empty()) else {
                        return;
                    };
                    let (mut lines, mut wrong) = (Vec::new(), Vec::new());
                    for (at, row) in rest.iter().take(CHUNK).enumerate() {
                        let why = each(&mut state, row, &mut lines);
                        wrong.extend(why.map(|why| (chunk * CHUNK + at + 1, why)));
                    }
                    // Nobody listens any more: writing has failed.
                    if send.send((chunk, lines, wrong)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        let (mut waiting, mut due) = (BTreeMap::new(), 0);
        // By value, so that it is dropped on the way out and the threads hear of a failed write.
        for (chunk, lines, wrong) in receive {
            waiting.insert(chunk, (lines, wrong));
            while let Some((lines, wrong)) = waiting.remove(&due) {
                out.write_all(&lines)?;
                for (row, why) in wrong {
                    refused += 1;
                    if refused <= PRINTED_MAX {
                        eprintln!("row {row}: {why}");
                    }
                }
                due += 1;
                bar.inc(CHUNK as u64);
            }
        }
        Ok::<(), std::io::Error>(())
    })?;
    if refused > PRINTED_MAX {
        eprintln!("{} further rows were not screened", refused - PRINTED_MAX);
    }
    Ok(())
}
