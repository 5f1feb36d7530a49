//! Kill and power cut at every call to the folder, with every way in which what was not synced may survive: no fork
//! against a checkpoint that anybody has seen, no promised leaf lost or moved.

use super::*;
use crate::log::{Folder, Monitor};
use std::cell::RefCell;
use std::collections::BTreeMap;

type Files = BTreeMap<String, std::rc::Rc<[u8]>>;

/// What a crash leaves: what is on the disk, and what whoever reads finds. They differ after a kill, not after a power
/// cut.
#[derive(Default, Clone)]
struct Left {
    durable: Files,
    visible: Files,
}

/// What a crash leaves of the bytes that were not synced, and of the call that it hits.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Loss {
    /// A power cut: all that was not synced is gone; the call did nothing.
    All,
    /// A power cut in the middle: half of the bytes; half of the files of a `write_all`; the call's file is written.
    Half,
    /// As before, and the length was kept: zeros.
    Zeros,
    /// A killed process: everything is there, that of the call too.
    None,
}
const LOSSES: [Loss; 4] = [Loss::All, Loss::Half, Loss::Zeros, Loss::None];

/// A folder that crashes at a call, counted from 0 over all calls that change something.
#[derive(Default)]
struct Crashing(RefCell<State>);

#[derive(Default)]
struct State {
    durable: Files,
    visible: Files,
    calls: usize,
    crash: Option<(usize, Loss)>,
}

impl Crashing {
    fn new(left: &Left, crash: Option<(usize, Loss)>) -> Crashing {
        let Left { durable, visible } = left.clone();
        Crashing(RefCell::new(State { durable, visible, calls: 0, crash }))
    }
    /// What is there after the crash.
    fn survivors(&self) -> Left {
        let state = self.0.borrow();
        let mut files = state.durable.clone();
        let loss = state.crash.map_or(Loss::None, |(_, loss)| loss);
        if loss == Loss::None {
            return Left { durable: files, visible: state.visible.clone() };
        }
        for (path, bytes) in &state.visible {
            let kept = files.get(path).map_or(0, |kept| kept.len());
            if bytes.len() <= kept || loss == Loss::All {
                continue;
            }
            let mut torn = bytes[..kept + (bytes.len() - kept) / 2].to_vec();
            if loss == Loss::Zeros {
                torn.resize(bytes.len(), 0);
            }
            files.insert(path.clone(), torn.into());
        }
        Left { durable: files.clone(), visible: files }
    }
    /// Does a call, or what a crash lets be done of it.
    fn call(&self, act: impl FnOnce(&mut State, Option<Loss>)) -> Result<()> {
        let mut state = self.0.borrow_mut();
        let hit = state.crash.filter(|(at, _)| *at <= state.calls).map(|(_, loss)| loss);
        assert!(
            state.crash.is_none_or(|(at, _)| state.calls <= at),
            "a writer that was hit does nothing more"
        );
        state.calls += 1;
        act(&mut state, hit);
        match hit {
            Some(_) => Err(Error::new(ErrorKind::Storage, "crashed")),
            None => Ok(()),
        }
    }
}

impl State {
    fn put(&mut self, path: &str, bytes: &[u8]) {
        self.durable.insert(path.into(), bytes.into());
        self.visible.insert(path.into(), bytes.into());
    }
}

impl Folder for &Crashing {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.0.borrow().visible.get(path).map(|bytes| bytes.to_vec()))
    }
    fn write(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.call(|state, hit| {
            if hit != Some(Loss::All) {
                state.put(path, bytes);
            }
        })
    }
    fn write_all(&self, files: &[(String, Vec<u8>)]) -> Result<()> {
        self.call(|state, hit| {
            let is_kept = |n: usize| match hit {
                None | Some(Loss::None) => true,
                Some(Loss::All) => false,
                Some(Loss::Half) => n < files.len() / 2,
                Some(Loss::Zeros) => n % 2 == 1,
            };
            let kept = files.iter().enumerate().filter(|(n, _)| is_kept(*n));
            kept.for_each(|(_, (path, bytes))| state.put(path, bytes));
        })
    }
    fn append(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.call(|state, _| {
            let held = state.visible.get(path).map(|bytes| bytes.to_vec()).unwrap_or_default();
            state.visible.insert(path.into(), [&held, bytes].concat().into());
        })
    }
    fn sync(&self, path: &str) -> Result<()> {
        self.call(|state, hit| {
            if hit.is_none()
                && let Some(bytes) = state.visible.get(path).cloned()
            {
                state.durable.insert(path.into(), bytes);
            }
        })
    }
    fn list(&self, path: &str) -> Result<Vec<String>> {
        let folder = format!("{path}/");
        let state = self.0.borrow();
        let under = state.visible.range(folder.clone()..).map_while(|(file, _)| file.strip_prefix(&folder));
        Ok(under.map(str::to_owned).collect())
    }
    fn remove(&self, path: &str) -> Result<()> {
        self.call(|state, _| {
            state.visible.remove(path);
        })
    }
}

/// What others hold: promises, checkpoints, and what a monitor saw at the start.
#[derive(Clone)]
struct Outside {
    promised: u64,
    seen: Vec<Checkpoint>,
    monitor: Monitor,
}

impl Outside {
    fn new() -> Outside {
        Outside { promised: 0, seen: Vec::new(), monitor: Monitor::new(&[key().verifier().clone()]) }
    }
}

/// Appends batches and signs checkpoints until all is done or the folder crashes.
fn work(folder: &Crashing, batches: &[u64], total: u64, outside: &mut Outside) -> Result<()> {
    let mut writer = Writer::open(folder, key())?;
    // What it says is durable may be promised, and whatever is in the folder anybody may have read.
    outside.promised = outside.promised.max(writer.size());
    outside.seen.extend(writer.published().map(|(checkpoint, _)| checkpoint.clone()));
    let mut batches = batches.iter().cycle();
    while writer.size() < total {
        let to = (writer.size() + batches.next().unwrap()).min(total);
        let range = writer.append(&leaves(writer.size()..to))?;
        outside.promised = outside.promised.max(range.end);
        if to % 3 != 1 {
            let note = writer.checkpoint()?.clone();
            outside.seen.push(Checkpoint::parse(note.text()).unwrap());
        }
    }
    let note = writer.checkpoint()?.clone();
    outside.seen.push(Checkpoint::parse(note.text()).unwrap());
    Ok(())
}

/// Opens what is left, lets it work on to the end, and holds it against what others hold.
fn check(left: &Left, batches: &[u64], total: u64, outside: &mut Outside, roots: &[Hash], what: &str) {
    let folder = Crashing::new(left, None);
    let writer = Writer::open(&folder, key()).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert!(
        writer.size() >= outside.promised,
        "{what}: {} promised, {} there",
        outside.promised,
        writer.size()
    );
    outside.seen.iter().for_each(|seen| assert!(seen.size <= writer.size(), "{what}"));
    drop(writer);
    work(&folder, batches, total, outside).unwrap_or_else(|e| panic!("{what}: {e}"));
    outside.seen.iter().for_each(|seen| assert_eq!(seen.root, roots[seen.size as usize], "{what}"));
    // By somebody else, from the files: every leaf at its place under the last checkpoint.
    let note = Note::parse(&(&folder).read(CHECKPOINT).unwrap().unwrap()).unwrap();
    let mut at = outside.monitor.held().map_or(0, |(held, _)| held.size);
    let report = outside.monitor.advance_with(&note, &&folder, |index, leaf| {
        assert_eq!((index, leaf), (at, &leaf_of(index)[..]), "{what}");
        at += 1;
        Ok(())
    });
    assert_eq!((report.unwrap().to, at), (total, total), "{what}");
    Writer::open(&folder, key()).unwrap().prove(total / 2, None).unwrap();
}

fn crash_everywhere(start: &Left, held: &Outside, batches: &[u64], total: u64) {
    let hashes: Vec<Hash> = (0..total).map(|n| leaf_hash(&leaf_of(n))).collect();
    let mut frontier = Frontier::default();
    let roots: Vec<Hash> = std::iter::once(frontier.root())
        .chain(hashes.iter().map(|hash| {
            frontier.push(*hash);
            frontier.root()
        }))
        .collect();
    assert_eq!(roots[total as usize], root_over(&hashes));
    let calls = {
        let folder = Crashing::new(start, None);
        work(&folder, batches, total, &mut held.clone()).unwrap();
        folder.0.borrow().calls
    };
    for (call, loss) in (0..calls).flat_map(|call| LOSSES.map(|loss| (call, loss))) {
        let what = format!("batches {batches:?}, call {call}, {loss:?}");
        let (folder, mut outside) = (Crashing::new(start, Some((call, loss))), held.clone());
        assert!(work(&folder, batches, total, &mut outside).is_err(), "{what}");
        let left = folder.survivors();
        // What is in the checkpoint's file has been seen, whether the call came back or not.
        if let Some(bytes) = left.visible.get(CHECKPOINT) {
            let note = Note::parse(bytes).unwrap();
            outside.seen.push(Checkpoint::parse(note.text()).unwrap());
        }
        check(&left, batches, total, &mut outside.clone(), &roots, &what);
        // And a second crash while the first is being made good.
        for (again, loss) in (0..4).flat_map(|again| [Loss::All, Loss::Half].map(|loss| (again, loss))) {
            let what = format!("{what}, then call {again}, {loss:?}");
            let (folder, mut outside) = (Crashing::new(&left, Some((again, loss))), outside.clone());
            if work(&folder, batches, total, &mut outside).is_err() {
                check(&folder.survivors(), batches, total, &mut outside, &roots, &what);
            }
        }
    }
}

#[test]
fn a_crash_at_any_call_forks_nothing_and_loses_no_promise() {
    for (batches, total) in [(&[1][..], 5), (&[200, 56, 1, 255, 2], 515), (&[3, 300], 606)] {
        crash_everywhere(&Left::default(), &Outside::new(), batches, total);
    }
}

#[test]
fn a_crash_where_three_levels_of_tiles_become_full_is_none_the_worse() {
    let (folder, mut outside) = (Crashing::default(), Outside::new());
    work(&folder, &[20_000], 65_534, &mut outside).unwrap();
    let note = Note::parse(&(&folder).read(CHECKPOINT).unwrap().unwrap()).unwrap();
    outside.monitor.advance(&note, &&folder).unwrap();
    let start = folder.survivors();
    crash_everywhere(&start, &outside, &[1, 2], 65_538);
}
