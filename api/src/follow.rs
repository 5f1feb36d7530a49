//! A growing JSONL file as a live feed of a serving node: each line is a request that arrives when it is read. After a
//! restart the file is read from its beginning again; a payment with an id then has its verdict already.

use crate::answer::Source;
use crate::http::App;
use crate::http::decisions::from_decoded;
use crate::node::disk::RETRY;
use crate::node::{Answered, Job};
use anyhow::{Context, Result, anyhow};
use interdict_ingest::dead_letter::RecordKind;
use interdict_ingest::feeds::{ColumnMap, FileFeed, FileOptions};
use parking_lot::Mutex;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// Requests of the file that may be with the node at once; past it the file waits.
const OUT_MAX: usize = 256;

/// A file that is being followed.
pub struct Following {
    stop: Arc<AtomicBool>,
    reading: JoinHandle<()>,
}

impl Following {
    /// Follows a file on a thread of its own.
    ///
    /// # Errors
    /// When the file cannot be opened, or the config's column mapping is wrong.
    pub fn start(app: &Arc<App>, path: &Path) -> Result<Following> {
        app.node.follows.store(true, Ordering::Release);
        let options = FileOptions { columns: columns(&app.node.loaded)?, default_tenant: "default".into() };
        let stop = Arc::new(AtomicBool::new(false));
        let feed = FileFeed::follow(path, app.decoder.clone(), &options, stop.clone());
        let feed = feed.map_err(|e| anyhow!("{e}"))?;
        let (app, stopped) = (app.clone(), stop.clone());
        let follow = move || follow(&app, feed, &stopped);
        let reading = thread::Builder::new().name("follow".into()).spawn(follow);
        Ok(Following { stop, reading: reading.context("a thread to follow a file in")? })
    }
    /// Takes no more of the file; what was taken is answered.
    pub fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.reading.join());
    }
}

/// The config's column mapping.
///
/// # Errors
/// A mapping that names no field of ours, or no source.
pub fn columns(loaded: &crate::config::Loaded) -> Result<Option<ColumnMap>> {
    let columns = loaded.config.feed.columns.clone();
    let columns = columns
        .map(|table| table.try_into::<ColumnMap>().map_err(|e| anyhow!("[feed.columns]: {}", e.message())));
    columns.transpose()
}

fn follow(app: &Arc<App>, feed: FileFeed, stop: &AtomicBool) {
    let (take, give) = sync_channel(OUT_MAX);
    let give = Arc::new(Mutex::new(give));
    for item in feed {
        let item = match item {
            Ok(item) => item,
            Err(error) => {
                tracing::error!("{error}; it is no longer followed");
                break;
            }
        };
        let record = match item.result {
            Ok(record) => record,
            Err(error) => {
                let raw = item.raw.as_ref().map_or(&[][..], |raw| raw.as_slice());
                app.dead_letter("jsonl", &error, RecordKind::Request, raw);
                continue;
            }
        };
        // A file does not come again, as a caller would: it waits until the disk takes the journal again.
        while app.node.with_core(|core| core.refuses().is_some()) && !stop.load(Ordering::Relaxed) {
            thread::sleep(RETRY);
        }
        // One place for each request that is out; waits while all are taken.
        let _ = take.send(());
        let (began, arrival_ms) = (Instant::now(), app.node.clock.wall_ms());
        app.metrics.skew(arrival_ms - record.decoded.tx.time_ms);
        let submission = from_decoded(record.decoded, arrival_ms);
        let (told, give) = (app.clone(), give.clone());
        let reply = Box::new(move |answered: Answered| {
            count(&told, &answered, began);
            let _ = give.lock().recv();
        });
        app.node.submit([Job { submission, deadline: None, reply }]);
    }
    // All places at once: nothing is out any more, so the node can be closed.
    for _ in 0..OUT_MAX {
        let _ = take.send(());
    }
}

fn count(app: &App, answered: &Answered, began: Instant) {
    match answered {
        Answered::Early(early) => {
            app.metrics.undurable();
            count(app, early, began);
        }
        Answered::Decided(settled) => {
            let source = Source::from(&**settled);
            app.metrics.decided("jsonl", &source, began.elapsed());
        }
        Answered::Same(_) => app.metrics.replayed(),
        other => app.metrics.refused(other),
    }
}
