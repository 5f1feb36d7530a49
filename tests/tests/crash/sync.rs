//! Under `durability = disk` nothing is told before it is on the disk: not the verdict, and not the same verdict again to
//! whoever asks while the first sync still runs.

use interdict::node::core::Core;
use interdict::node::recovery::empty_generation;
use interdict::node::tally::Tally;
use interdict::node::{Answered, Job, limits};
use interdict_engine::domain::{Body, Event, Transaction, TransactionKind};
use interdict_engine::sequencer::{ENGINE, Sequencer, Submission};
use interdict_ledger::MasterKey;
use interdict_ledger::error::Error;
use interdict_ledger::journal::{Durability, Journal, Options};
use interdict_ledger::storage::{File, FileStorage, Lock, Storage};
use std::io;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Whether syncs may go through.
#[derive(Default)]
struct Gate {
    closed: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    fn set(&self, closed: bool) {
        *self.closed.lock().unwrap() = closed;
        self.changed.notify_all();
    }
    fn pass(&self) {
        drop(self.changed.wait_while(self.closed.lock().unwrap(), |closed| *closed).unwrap());
    }
}

/// A disk whose syncs take until the gate opens.
struct Gated<T>(T, Arc<Gate>);

impl Storage for Gated<FileStorage> {
    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(Gated(self.0.create(name)?, self.1.clone())))
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(Gated(self.0.open(name)?, self.1.clone())))
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }
    fn sync_names(&self) -> io::Result<()> {
        self.0.sync_names()
    }
    fn lock(&self) -> Result<Box<dyn Lock>, Error> {
        self.0.lock()
    }
}

impl File for Gated<Arc<dyn File>> {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }
    fn sync(&self) -> io::Result<()> {
        self.1.pass();
        self.0.sync()
    }
    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.truncate(len)
    }
}

fn payment(send: &Sender<Answered>) -> Job {
    let send = send.clone();
    let mut tx = Transaction::new("default".into(), TransactionKind::Request, 0);
    tx.id = Some("a".into());
    let event = Event { tenant: "default".into(), arrival_ms: 0, body: Body::Payment(Box::new(tx)) };
    let submission = Submission { event, identity: Some(7), alias: None, payment_digest: 7, refers_to: None };
    Job { submission, deadline: None, reply: Box::new(move |answered| drop(send.send(answered))) }
}

#[test]
fn a_retry_is_answered_no_sooner_than_the_sync_of_what_it_repeats() {
    let (folder, gate) = (tempfile::tempdir().unwrap(), Arc::new(Gate::default()));
    let storage = Gated(FileStorage::create(folder.path().join("journal")).unwrap(), gate.clone());
    let key = MasterKey::load_or_create(&folder.path().join("master.key")).unwrap();
    let options = Options::new(Durability::Disk, ENGINE, [0; 32]);
    let (journal, _) = Journal::open(Arc::new(storage), &key, options).unwrap();
    let loaded = interdict::config::load(&interdict_tests::node::default_config()).unwrap();
    let sequencer = Sequencer::new(limits(&loaded), empty_generation());
    let mut core = Core::new(sequencer, Some(journal), Arc::new(Tally::new(0, false)));

    gate.set(true);
    let (send, receive) = channel();
    core.process(&mut vec![payment(&send)]);
    core.process(&mut vec![payment(&send)]);
    let early = receive.recv_timeout(Duration::from_millis(200));
    // Before anything can fail: whoever drops the journal waits for its last sync.
    gate.set(false);
    assert!(early.is_err(), "told before the sync: {early:?}");
    let longest = Duration::from_secs(30);
    let (first, second) = (receive.recv_timeout(longest).unwrap(), receive.recv_timeout(longest).unwrap());
    assert!(matches!(first, Answered::Decided(_)), "{first:?}");
    assert!(matches!(second, Answered::Same(1)), "{second:?}");
}
