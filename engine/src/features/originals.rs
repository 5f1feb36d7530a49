//! Where a label, reversal or completion finds its target: for each of the latest transactions, by sequence, the keys
//! it was counted under. A handle may outlive its key: then no lane there has the sequence, and nothing is changed.

use crate::domain::TransactionKind;
use crate::error::Error;
use crate::image::{Reader, Writer, senseless};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::collections::VecDeque;

/// A transaction that may yet be labelled, reversed or completed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Original {
    pub sequence: u64,
    /// Event time, ms.
    pub time_ms: i64,
    /// Number of its first handle, counted from the beginning.
    first: u64,
    count: u8,
    /// Whether it is labelled fraud.
    pub fraud: bool,
    /// What it is.
    pub kind: TransactionKind,
    /// Whether a completion has said what it came to.
    is_completed: bool,
    /// What completions and reversals have left of its amount, minor units of its own currency; `NO_AMOUNT` where that
    /// is not known.
    left_minor: i64,
    /// Code of its currency; zeroes where it has none.
    currency: [u8; 3],
}

const NO_AMOUNT: i64 = i64::MIN;

impl Original {
    /// What completions and reversals have left of its amount, minor units of its own currency.
    pub fn left_minor(&self) -> Option<i64> {
        Some(self.left_minor).filter(|left| *left != NO_AMOUNT)
    }
    /// Takes all of it back.
    pub fn take_all(&mut self) {
        self.left_minor = 0;
    }
    /// Takes an amount back; one that is not known leaves an unknown one, but of nothing nothing. Whether it was more
    /// than was left.
    pub fn take(&mut self, amount_minor: Option<i64>) -> bool {
        let left = match (amount_minor, self.left_minor()) {
            (_, Some(0)) => Some(0),
            (Some(minor), Some(left)) => Some(left.saturating_sub(minor).max(0)),
            (None, _) | (_, None) => None,
        };
        let is_past = amount_minor > self.left_minor() && self.left_minor().is_some();
        self.left_minor = left.unwrap_or(NO_AMOUNT);
        is_past
    }
    /// Completes it: the first amount takes the place of what was authorised, whatever was left of that, and further
    /// ones add to it.
    pub fn complete(&mut self, amount_minor: Option<i64>) {
        let so_far = if self.is_completed { self.left_minor() } else { Some(0) };
        let sum = so_far.zip(amount_minor).map(|(so_far, minor)| so_far.saturating_add(minor));
        (self.left_minor, self.is_completed) = (sum.unwrap_or(NO_AMOUNT), true);
    }
    /// Code of its currency.
    pub fn currency(&self) -> Option<&str> {
        std::str::from_utf8(&self.currency).ok().filter(|code| *code != "\0\0\0")
    }
}

/// A key that a transaction was counted under: number of the space, number of the header in it.
pub(crate) type Handle = (u32, u32);

/// The latest transactions of one tenant.
#[derive(Debug)]
pub(crate) struct Originals {
    list: VecDeque<Original>,
    handles: VecDeque<Handle>,
    /// Handles dropped at the front so far.
    dropped: u64,
    max: usize,
    /// By a completion's sequence, the sequence of what it completes: whoever reverses the one reverses the other.
    completed: HashMap<u64, u64, FixedState>,
}

impl Originals {
    pub fn new(max: usize) -> Originals {
        let (list, handles) = (VecDeque::new(), VecDeque::new());
        Originals { list, handles, dropped: 0, max: max.max(1), completed: HashMap::default() }
    }
    /// Adds a transaction; the oldest makes room.
    ///
    /// # Panics
    /// When sequences do not ascend.
    pub fn push(
        &mut self,
        sequence: u64,
        (kind, time_ms): (TransactionKind, i64),
        (amount_minor, currency): (Option<i64>, Option<&str>),
        handles: &[Handle],
    ) {
        assert!(self.list.back().is_none_or(|latest| latest.sequence < sequence), "sequences ascend");
        if self.list.len() == self.max
            && let Some(oldest) = self.list.pop_front()
        {
            self.handles.drain(..usize::from(oldest.count));
            self.dropped += u64::from(oldest.count);
            self.completed.remove(&oldest.sequence);
        }
        let first = self.dropped + self.handles.len() as u64;
        let currency = currency.and_then(|code| code.as_bytes().try_into().ok()).unwrap_or_default();
        let left_minor = amount_minor.unwrap_or(NO_AMOUNT);
        let count = handles.len() as u8;
        let (fraud, is_completed) = (false, false);
        let original =
            Original { sequence, time_ms, first, count, fraud, kind, is_completed, left_minor, currency };
        self.list.push_back(original);
        self.handles.extend(handles);
    }
    /// Writes them, oldest first; what completes what in order of sequence.
    pub fn save(&self, to: &mut Writer<'_>) {
        to.u64(self.dropped);
        to.count(self.handles.len());
        for (space, header) in &self.handles {
            to.u32s(&[*space, *header]);
        }
        to.count(self.list.len());
        for original in &self.list {
            let Original {
                sequence, time_ms, count, fraud, kind, is_completed, left_minor, currency, ..
            } = original;
            to.u64(*sequence);
            to.i64s(&[*time_ms, *left_minor]);
            to.bytes(&[*count, *kind as u8, u8::from(*fraud) | u8::from(*is_completed) << 1]);
            to.bytes(currency);
        }
        let mut completed: Vec<(u64, u64)> = self.completed.iter().map(|(of, by)| (*of, *by)).collect();
        completed.sort_unstable();
        to.count(completed.len());
        completed.iter().for_each(|(completion, target)| to.u64s(&[*completion, *target]));
    }
    /// What [`Originals::save`] wrote, under the same bound.
    pub fn load(from: &mut Reader<'_>, max: usize) -> Result<Originals, Error> {
        let mut originals = Originals { dropped: from.u64()?, ..Originals::new(max) };
        for _ in 0..from.count(originals.max.saturating_mul(usize::from(u8::MAX)))? {
            originals.handles.push_back((from.u32()?, from.u32()?));
        }
        let mut first = originals.dropped;
        for _ in 0..from.count(originals.max)? {
            let (sequence, time_ms, left_minor) = (from.u64()?, from.i64()?, from.i64()?);
            let mut small = [0; 6];
            small.copy_from_slice(from.take(6)?);
            let [count, kind, marks, currency @ ..] = small;
            let kind = TransactionKind::ALL.get(usize::from(kind)).copied();
            let kind = kind.ok_or_else(|| senseless("a kind of payment that there is not"))?;
            let (fraud, is_completed) = (marks & 1 == 1, marks & 2 == 2);
            let original =
                Original { sequence, time_ms, first, count, fraud, kind, is_completed, left_minor, currency };
            first += u64::from(count);
            originals.list.push_back(original);
        }
        if first != originals.dropped + originals.handles.len() as u64 {
            return Err(senseless("handles of payments that there are not"));
        }
        for _ in 0..from.count(usize::MAX)? {
            originals.completed.insert(from.u64()?, from.u64()?);
        }
        Ok(originals)
    }
    /// The transaction of a sequence.
    pub fn find(&mut self, sequence: u64) -> Option<&mut Original> {
        let at = self.list.binary_search_by_key(&sequence, |original| original.sequence).ok()?;
        self.list.get_mut(at)
    }
    /// Notes that a completion, which may be yet to be added, completes a transaction.
    pub fn note_completed(&mut self, completion: u64, target: u64) {
        self.completed.insert(completion, target);
    }
    /// What a completion completes.
    pub fn completed_by(&self, completion: u64) -> Option<u64> {
        self.completed.get(&completion).copied()
    }
    /// A transaction's handles.
    pub fn handles(&self, original: &Original) -> impl Iterator<Item = Handle> + '_ {
        let first = (original.first - self.dropped) as usize;
        self.handles.range(first..first + usize::from(original.count)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_found_with_their_handles() {
        let mut originals = Originals::new(3);
        for sequence in 1..=10u64 {
            let handles: Vec<Handle> =
                (0..sequence as u32 % 4).map(|space| (space, sequence as u32)).collect();
            originals.push(sequence, (TransactionKind::Request, 0), (Some(100), Some("EUR")), &handles);
        }
        assert!((1..=7).all(|sequence| originals.find(sequence).is_none()));
        for sequence in 8..=10 {
            let original = *originals.find(sequence).expect("among the latest three");
            let handles: Vec<Handle> = originals.handles(&original).collect();
            assert_eq!(handles.len() as u64, sequence % 4);
            assert!(handles.iter().all(|(_, number)| u64::from(*number) == sequence));
        }
        assert_eq!(originals.handles.len(), 1 + 2);
    }
}
