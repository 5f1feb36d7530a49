//! Identity's cold store: `DIR/identity.redb`, one table a drawer, over what an image of the state holds, which is read
//! where it lies. It is a cache of the journal, made anew at each start, so nothing is ever synced and whatever lay
//! there is thrown away. Writes go on behind, on a thread of their own; what is not written yet is answered from memory.

mod file;

use crate::snapshot::ColdPages;
use file::Unsynced;
use interdict_engine::identity::{Cold, ColdError, Drawer, Entry, Known};
use redb::{Builder, Database, ReadableDatabase, ReadableTable, TableDefinition, TableError};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;

/// Pages kept in memory, in bytes.
const CACHE_BYTES: usize = 32 << 20;
/// Most keys that wait to be written; past it a `put_all` waits for the thread.
const WAITING_KEYS_MAX: usize = 1 << 16;
/// Most keys written in one transaction.
const WRITE_KEYS_MAX: usize = 1 << 13;

/// A key's row: sequence, digest, arrival in ms.
type Row = (u64, u128, i64);

#[derive(Debug)]
enum Task {
    /// Sorted by key; of equal keys the last put comes last.
    Put(Drawer, Arc<[Entry]>),
    Forget(Drawer),
}

impl Task {
    fn keys(&self) -> usize {
        match self {
            Task::Put(_, batch) => batch.len(),
            Task::Forget(_) => 0,
        }
    }
}

#[derive(Debug, Default)]
struct Queue {
    tasks: VecDeque<Task>,
    /// Of all tasks, those being written included.
    keys: usize,
    stop: bool,
    /// Why the last write failed, until somebody was told.
    failure: Option<ColdError>,
}

#[derive(Debug)]
struct Shared {
    db: Database,
    bytes: Arc<AtomicU64>,
    queue: Mutex<Queue>,
    changed: Condvar,
    lost: AtomicU64,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Every change under this lock is one push, pop or store, so it is whole even after a panic elsewhere.
        self.queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Open {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

/// The store. Its file is made with the first batch; a node whose keys fit into memory has none.
#[derive(Debug)]
pub struct IdentityStore {
    path: PathBuf,
    open: Option<Open>,
    /// What lay in the image that the state was read from; what is put to its drawers since goes before it.
    base: Option<ColdPages>,
    /// Drawers that something was put to.
    put: HashSet<Drawer>,
    /// Why it could not be made; it is not tried again, since what it would have missed is gone.
    broken: Option<ColdError>,
}

fn failed(what: &str, error: impl std::fmt::Display) -> ColdError {
    ColdError(format!("identity store: {what}: {error}"))
}

fn name(drawer: Drawer) -> String {
    format!("d{}", drawer.0)
}

fn definition(name: &str) -> TableDefinition<'_, u128, Row> {
    TableDefinition::new(name)
}

impl IdentityStore {
    /// A store at a path, empty whatever lies there. Only the process that holds the journal's lock may have one.
    pub fn new(path: &Path) -> IdentityStore {
        IdentityStore { path: path.to_owned(), open: None, base: None, put: HashSet::new(), broken: None }
    }
    /// A store at a path that holds what an image does.
    #[must_use]
    pub fn over(path: &Path, base: ColdPages) -> IdentityStore {
        IdentityStore { base: Some(base), ..IdentityStore::new(path) }
    }

    fn opened(&mut self) -> Result<&Open, ColdError> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        if self.open.is_none() {
            match Open::create(&self.path) {
                Ok(open) => self.open = Some(open),
                Err(why) => {
                    self.broken = Some(why.clone());
                    return Err(why);
                }
            }
        }
        Ok(self.open.as_ref().expect("just made"))
    }
    /// Waits until everything put is written: for tests and figures.
    pub fn flush(&self) {
        let Some(open) = &self.open else { return };
        let mut queue = open.shared.queue();
        while !queue.tasks.is_empty() {
            queue = wait(&open.shared, queue);
        }
    }
}

fn wait<'a>(shared: &Shared, queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
    shared.changed.wait(queue).unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Open {
    fn create(path: &Path) -> Result<Open, ColdError> {
        let (file, bytes) = Unsynced::create(path)
            .map_err(|e| failed("making the file", format!("{}: {e}", path.display())))?;
        let db = Builder::new()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(file)
            .map_err(|e| failed("making the file", e))?;
        let (queue, changed, lost) = Default::default();
        let shared = Arc::new(Shared { db, bytes, queue, changed, lost });
        let for_thread = shared.clone();
        let writer = std::thread::Builder::new()
            .name("identity".into())
            .spawn(move || write_behind(&for_thread))
            .map_err(|e| failed("starting its thread", e))?;
        Ok(Open { shared, writer: Some(writer) })
    }
    fn add(&self, task: Task) -> Result<(), ColdError> {
        let mut queue = self.shared.queue();
        if matches!(task, Task::Put(..))
            && let Some(why) = queue.failure.take()
        {
            return Err(why);
        }
        while queue.keys >= WAITING_KEYS_MAX {
            queue = wait(&self.shared, queue);
        }
        queue.keys += task.keys();
        queue.tasks.push_back(task);
        self.shared.changed.notify_all();
        Ok(())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.queue().stop = true;
        self.shared.changed.notify_all();
        if let Some(writer) = self.writer.take() {
            // A panic of the thread has been reported by its own hook.
            drop(writer.join());
        }
    }
}

/// Writes what waits, a transaction at a time. A task leaves the queue only when it is written (or lost), so a
/// look-up finds it in one place or the other.
fn write_behind(shared: &Shared) {
    loop {
        let mut queue = shared.queue();
        while queue.tasks.is_empty() && !queue.stop {
            queue = wait(shared, queue);
        }
        // Nobody asks for what was not written by the end: the next start makes it all anew.
        if queue.stop {
            return;
        }
        let (mut count, mut keys) = (0, 0);
        for task in &queue.tasks {
            if count > 0 && keys + task.keys() > WRITE_KEYS_MAX {
                break;
            }
            (count, keys) = (count + 1, keys + task.keys());
        }
        let tasks: Vec<Task> = queue.tasks.iter().take(count).map(Task::share).collect();
        drop(queue);
        let written = write(&shared.db, &tasks);
        let mut queue = shared.queue();
        if let Err(why) = written {
            shared.lost.fetch_add(keys as u64, Ordering::Relaxed);
            queue.failure = Some(why);
        }
        queue.tasks.drain(..count);
        queue.keys -= keys;
        shared.changed.notify_all();
    }
}

impl Task {
    fn share(&self) -> Task {
        match self {
            Task::Put(drawer, batch) => Task::Put(*drawer, batch.clone()),
            Task::Forget(drawer) => Task::Forget(*drawer),
        }
    }
}

fn write(db: &Database, tasks: &[Task]) -> Result<(), ColdError> {
    let transaction = db.begin_write().map_err(|e| failed("writing", e))?;
    for task in tasks {
        match task {
            Task::Put(drawer, batch) => {
                let name = name(*drawer);
                let table = transaction.open_table(definition(&name));
                let mut table = table.map_err(|e| failed("writing", e))?;
                for Entry { key, known } in batch.iter() {
                    let row = (known.sequence, known.digest, known.arrival_ms);
                    table.insert(key, row).map_err(|e| failed("writing", e))?;
                }
            }
            Task::Forget(drawer) => {
                let deleted = transaction.delete_table(definition(&name(*drawer)));
                deleted.map_err(|e| failed("forgetting", e))?;
            }
        }
    }
    transaction.commit().map_err(|e| failed("writing", e))
}

fn read(db: &Database, drawer: Drawer, key: u128) -> Result<Option<Known>, ColdError> {
    let transaction = db.begin_read().map_err(|e| failed("reading", e))?;
    let table = match transaction.open_table(definition(&name(drawer))) {
        Ok(table) => table,
        // All its batches were lost.
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(e) => return Err(failed("reading", e)),
    };
    let row = table.get(key).map_err(|e| failed("reading", e))?;
    Ok(row.map(|row| {
        let (sequence, digest, arrival_ms) = row.value();
        Known { sequence, digest, arrival_ms }
    }))
}

/// What a drawer's table holds and a batch under way does not, merged with that, by key.
fn read_all(
    db: &Database,
    drawer: Drawer,
    waiting: &BTreeMap<u128, Known>,
    each: &mut dyn FnMut(Entry),
) -> Result<(), ColdError> {
    let unreadable = |e: redb::StorageError| failed("reading", e);
    let transaction = db.begin_read().map_err(|e| failed("reading", e))?;
    let mut waiting = waiting.iter().map(|(key, known)| Entry { key: *key, known: *known }).peekable();
    match transaction.open_table(definition(&name(drawer))) {
        Ok(table) => {
            for row in table.iter().map_err(unreadable)? {
                let (key, row) = row.map_err(unreadable)?;
                let (key, (sequence, digest, arrival_ms)) = (key.value(), row.value());
                while let Some(before) = waiting.next_if(|entry| entry.key < key) {
                    each(before);
                }
                let known = Known { sequence, digest, arrival_ms };
                each(waiting.next_if(|entry| entry.key == key).unwrap_or(Entry { key, known }));
            }
        }
        Err(TableError::TableDoesNotExist(_)) => {}
        Err(e) => return Err(failed("reading", e)),
    }
    waiting.for_each(each);
    Ok(())
}

/// What a sorted batch holds under a key: of equal keys the last.
fn waiting(batch: &[Entry], key: u128) -> Option<Known> {
    let after = batch.partition_point(|entry| entry.key <= key);
    batch[..after].last().filter(|entry| entry.key == key).map(|entry| entry.known)
}

impl IdentityStore {
    /// What was put to a drawer, by key; of equal keys the last.
    fn each_put(&self, drawer: Drawer, each: &mut dyn FnMut(Entry)) -> Result<(), ColdError> {
        let Some(open) = self.open.as_ref().filter(|_| self.put.contains(&drawer)) else { return Ok(()) };
        let mut waiting = BTreeMap::new();
        // Before the table is looked at: what leaves the queue meanwhile is there, and the same.
        for task in &open.shared.queue().tasks {
            if let Task::Put(of, batch) = task
                && *of == drawer
            {
                waiting.extend(batch.iter().map(|entry| (entry.key, entry.known)));
            }
        }
        read_all(&open.shared.db, drawer, &waiting, each)
    }
}

impl Cold for IdentityStore {
    fn get(&self, drawer: Drawer, key: u128) -> Result<Option<Known>, ColdError> {
        let in_base = || self.base.as_ref().map_or(Ok(None), |base| base.get(drawer, key));
        let Some(open) = self.open.as_ref().filter(|_| self.put.contains(&drawer)) else {
            // What could not be put is not asked for.
            return self.broken.clone().filter(|_| self.base.is_none()).map_or_else(in_base, Err);
        };
        let newest = open.shared.queue().tasks.iter().rev().find_map(|task| match task {
            Task::Put(of, batch) if *of == drawer => waiting(batch, key),
            _ => None,
        });
        // Looked for on disk after the queue: what left the queue meanwhile is there.
        let put = newest.map_or_else(|| read(&open.shared.db, drawer, key), |known| Ok(Some(known)))?;
        put.map_or_else(in_base, |known| Ok(Some(known)))
    }
    fn put_all(&mut self, drawer: Drawer, batch: Arc<[Entry]>) -> Result<(), ColdError> {
        let mut sorted = batch.to_vec();
        sorted.sort_by_key(|entry| entry.key);
        self.opened()?.add(Task::Put(drawer, sorted.into()))?;
        self.put.insert(drawer);
        Ok(())
    }
    fn forget(&mut self, drawer: Drawer) -> Result<(), ColdError> {
        if let Some(base) = &mut self.base {
            base.forget(drawer);
        }
        match self.put.remove(&drawer) {
            true => self.opened()?.add(Task::Forget(drawer)),
            false => Ok(()),
        }
    }
    fn each(&self, drawer: Drawer, each: &mut dyn FnMut(&Entry)) -> Result<(), ColdError> {
        if let Some(broken) = self.broken.as_ref().filter(|_| self.base.is_none()) {
            return Err(broken.clone());
        }
        let Some(base) = self.base.as_ref().filter(|base| base.has(drawer)) else {
            return self.each_put(drawer, &mut |entry| each(&entry));
        };
        let (mut base, mut unreadable) = (base.entries(drawer).peekable(), None);
        let mut before = |until: Option<u128>, each: &mut dyn FnMut(&Entry)| {
            let is_before = |entry: &Result<Entry, ColdError>| {
                entry.as_ref().map_or(true, |entry| until.is_none_or(|until| entry.key <= until))
            };
            while let Some(entry) = base.next_if(is_before) {
                match entry {
                    Ok(entry) if Some(entry.key) != until => each(&entry),
                    Ok(_) => {}
                    Err(e) => unreadable = Some(e),
                }
            }
        };
        self.each_put(drawer, &mut |entry| {
            before(Some(entry.key), each);
            each(&entry);
        })?;
        before(None, each);
        unreadable.map_or(Ok(()), Err)
    }
    fn bytes(&self) -> u64 {
        let base = self.base.as_ref().map_or(0, ColdPages::bytes);
        base + self.open.as_ref().map_or(0, |open| open.shared.bytes.load(Ordering::Relaxed))
    }
    fn lost(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.shared.lost.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests;
