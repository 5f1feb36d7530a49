//! Under `durability = disk` nothing is told before it is on the disk: not the verdict, and not the same verdict again to
//! whoever asks while the first sync still runs; unless the configuration would rather have an answer in time. A sync
//! that fails is made good elsewhere.

use interdict::node::background::Background;
use interdict::node::clock::Machine;
use interdict::node::core::Core;
use interdict::node::disk::{self, Policy, SyncLate};
use interdict::node::recovery::empty_generation;
use interdict::node::tally::Tally;
use interdict::node::{Answered, Job, limits};
use interdict_engine::domain::{Body, Event, Transaction, TransactionKind};
use interdict_engine::sequencer::{ENGINE, Sequencer, Submission};
use interdict_ledger::MasterKey;
use interdict_ledger::error::Error;
use interdict_ledger::journal::{Durability, Journal, Options};
use interdict_ledger::storage::{File, FileStorage, Lock, Storage};
use parking_lot::Mutex;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex as StdMutex};
use std::time::{Duration, Instant};

/// Whether syncs may go through, and how many of those that do fail.
#[derive(Default)]
struct Gate {
    closed: StdMutex<bool>,
    changed: Condvar,
    fail: AtomicU32,
}

impl Gate {
    fn set(&self, closed: bool) {
        *self.closed.lock().unwrap() = closed;
        self.changed.notify_all();
    }
    fn pass(&self) -> io::Result<()> {
        drop(self.changed.wait_while(self.closed.lock().unwrap(), |closed| *closed).unwrap());
        let one_less = |left: u32| left.checked_sub(1);
        match self.fail.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less) {
            Ok(_) => Err(io::Error::other("this sync is to fail")),
            Err(_) => Ok(()),
        }
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
        self.1.pass()?;
        self.0.sync()
    }
    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.truncate(len)
    }
}

fn payment(send: &Sender<Answered>) -> Job {
    payment_by(send, None)
}

fn payment_by(send: &Sender<Answered>, deadline: Option<Instant>) -> Job {
    let send = send.clone();
    let mut tx = Transaction::new("default".into(), TransactionKind::Request, 0);
    tx.id = Some("a".into());
    let event = Event { tenant: "default".into(), arrival_ms: 0, body: Body::Payment(Box::new(tx)) };
    let submission = Submission { event, identity: Some(7), alias: None, payment_digest: 7, refers_to: None };
    Job { submission, deadline, reply: Box::new(move |answered| drop(send.send(answered))) }
}

/// A core on a gated disk, in a folder.
fn core() -> (tempfile::TempDir, Arc<Gate>, Core) {
    let (folder, gate) = (tempfile::tempdir().unwrap(), Arc::new(Gate::default()));
    let storage = Gated(FileStorage::create(folder.path().join("journal")).unwrap(), gate.clone());
    let key = MasterKey::load_or_create(&folder.path().join("master.key")).unwrap();
    let options = Options::new(Durability::Disk, ENGINE, [0; 32]);
    let (journal, _) = Journal::open(Arc::new(storage), &key, options).unwrap();
    let loaded = interdict::config::load(&interdict_tests::node::default_config()).unwrap();
    let sequencer = Sequencer::new(limits(&loaded), empty_generation());
    (folder, gate, Core::new(sequencer, Some(journal), Arc::new(Tally::new(0, false))))
}

/// As a node has it: with somebody who watches over the disk.
fn watched(core: Core, policy: Policy) -> (Arc<Mutex<Core>>, Background) {
    let core = Arc::new(Mutex::new(core));
    let of_core = Arc::downgrade(&core);
    let try_again = move || {
        let core = of_core.upgrade()?;
        let mut core = core.lock();
        core.try_again();
        Some(core.is_troubled())
    };
    let (watching, watcher) = disk::start(Arc::new(Machine), try_again);
    core.lock().watched(policy, watcher);
    (core, watching)
}

/// Longest that anything may take before a test gives up.
const GIVE_UP: Duration = Duration::from_secs(30);

#[test]
fn a_retry_is_answered_no_sooner_than_the_sync_of_what_it_repeats() {
    let (_folder, gate, mut core) = core();
    gate.set(true);
    let (send, receive) = channel();
    core.process(&mut vec![payment(&send)]);
    core.process(&mut vec![payment(&send)]);
    let early = receive.recv_timeout(Duration::from_millis(200));
    // Before anything can fail: whoever drops the journal waits for its last sync.
    gate.set(false);
    assert!(early.is_err(), "told before the sync: {early:?}");
    let (first, second) = (receive.recv_timeout(GIVE_UP).unwrap(), receive.recv_timeout(GIVE_UP).unwrap());
    assert!(matches!(first, Answered::Decided(_)), "{first:?}");
    assert!(matches!(second, Answered::Same(1)), "{second:?}");
}

#[test]
fn a_payment_whose_sync_is_late_is_answered_at_its_deadline_where_the_configuration_says_so() {
    let (_folder, gate, core) = core();
    let (core, watching) = watched(core, Policy { sync_late: SyncLate::Answer, ..Policy::default() });
    gate.set(true);
    let (send, receive) = channel();
    let soon = || Some(Instant::now() + Duration::from_millis(50));
    core.lock().process(&mut vec![payment_by(&send, soon()), payment_by(&send, soon())]);
    let early: Vec<_> = (0..2).map(|_| receive.recv_timeout(GIVE_UP)).collect();
    // Nobody waits for its end at this one.
    core.lock().process(&mut vec![payment(&send)]);
    let patient = receive.recv_timeout(Duration::from_millis(200));
    gate.set(false);
    for (answered, is_first) in early.into_iter().zip([true, false]) {
        let Ok(Answered::Early(inside)) = answered else { panic!("{answered:?}") };
        assert!(matches!((*inside, is_first), (Answered::Decided(_), true) | (Answered::Same(1), false)));
    }
    assert!(patient.is_err(), "told before the sync: {patient:?}");
    let patient = receive.recv_timeout(GIVE_UP).unwrap();
    assert!(matches!(patient, Answered::Same(1)), "{patient:?}");
    core.lock().process(&mut vec![payment_by(&send, Some(Instant::now() + GIVE_UP))]);
    let again = receive.recv_timeout(GIVE_UP).unwrap();
    assert!(matches!(again, Answered::Same(1)), "in time: {again:?}");
    assert!(receive.try_recv().is_err(), "each is told once");
    watching.end();
}

#[test]
fn whoever_waits_for_a_sync_that_fails_is_answered_when_it_is_made_good_or_known_not_to_be() {
    let (_folder, gate, core) = core();
    let (core, watching) = watched(core, Policy::default());
    let (send, receive) = channel();
    // One that fails is made good on the next segment.
    gate.fail.store(1, Ordering::SeqCst);
    core.lock().process(&mut vec![payment(&send)]);
    let answered = receive.recv_timeout(GIVE_UP).unwrap();
    assert!(matches!(answered, Answered::Decided(_)), "{answered:?}");
    assert_eq!(core.lock().journal().unwrap().failures().sync, 1);
    // Where they go on failing, nothing is acknowledged and nothing taken.
    gate.fail.store(u32::MAX, Ordering::SeqCst);
    let mut other = payment(&send);
    other.submission.identity = Some(8);
    core.lock().process(&mut vec![other]);
    let answered = receive.recv_timeout(GIVE_UP).unwrap();
    assert!(
        matches!(&answered, Answered::Unavailable(why) if why.contains("this sync is to fail")),
        "{answered:?}"
    );
    core.lock().process(&mut vec![payment(&send)]);
    assert!(matches!(receive.recv_timeout(GIVE_UP).unwrap(), Answered::Unavailable(_)));
    // The disk is well again: nobody has to come for the node to see it.
    gate.fail.store(0, Ordering::SeqCst);
    let began = Instant::now();
    while core.lock().is_troubled() {
        assert!(began.elapsed() < GIVE_UP);
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut again = payment(&send);
    again.submission.identity = Some(8);
    core.lock().process(&mut vec![again]);
    let answered = receive.recv_timeout(GIVE_UP).unwrap();
    assert!(matches!(answered, Answered::Same(2)), "{answered:?}");
    watching.end();
}

#[test]
fn what_waits_for_a_slow_disk_is_bounded() {
    let (_folder, gate, core) = core();
    let (core, watching) = watched(core, Policy { unwritten_bytes_max: 1, ..Policy::default() });
    gate.set(true);
    let (send, receive) = channel();
    core.lock().process(&mut vec![payment(&send)]);
    let (other_send, other_receive) = channel();
    core.lock().process(&mut vec![payment(&other_send)]);
    let refused = other_receive.try_recv();
    gate.set(false);
    assert!(
        matches!(&refused, Ok(Answered::Unavailable(why)) if why.contains("the disk is too slow")),
        "{refused:?}"
    );
    let answered = receive.recv_timeout(GIVE_UP).unwrap();
    assert!(matches!(answered, Answered::Decided(_)), "{answered:?}");
    // What is safe takes no room, though nothing came since.
    core.lock().process(&mut vec![payment(&other_send)]);
    let answered = other_receive.recv_timeout(GIVE_UP).unwrap();
    assert!(matches!(answered, Answered::Same(1)), "{answered:?}");
    watching.end();
}
