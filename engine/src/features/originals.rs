//! Where a label or reversal finds its target: for each of the latest transactions, by sequence, the keys it was
//! counted under. A handle may outlive its key: then no lane there has the sequence, and nothing is changed.

use std::collections::VecDeque;

/// A transaction that may yet be labelled or reversed.
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
    /// What reversals have left of its amount, minor units of its own currency; `NO_AMOUNT` where it has none.
    left_minor: i64,
    /// Code of its currency; zeroes where it has none.
    currency: [u8; 3],
}

const NO_AMOUNT: i64 = i64::MIN;

impl Original {
    /// What reversals have left of its amount, minor units of its own currency.
    pub fn left_minor(&self) -> Option<i64> {
        Some(self.left_minor).filter(|left| *left != NO_AMOUNT)
    }
    /// Takes an amount off, or all of it.
    pub fn take_off(&mut self, amount_minor: Option<i64>) {
        self.left_minor = match (amount_minor, self.left_minor()) {
            (None, _) => 0,
            (Some(_), None) => NO_AMOUNT,
            (Some(minor), Some(left)) => left.saturating_sub(minor).max(0),
        };
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
}

impl Originals {
    pub fn new(max: usize) -> Originals {
        Originals { list: VecDeque::new(), handles: VecDeque::new(), dropped: 0, max: max.max(1) }
    }
    /// Adds a transaction; the oldest makes room.
    ///
    /// # Panics
    /// When sequences do not ascend.
    pub fn push(
        &mut self,
        sequence: u64,
        time_ms: i64,
        (amount_minor, currency): (Option<i64>, Option<&str>),
        handles: &[Handle],
    ) {
        assert!(self.list.back().is_none_or(|latest| latest.sequence < sequence), "sequences ascend");
        if self.list.len() == self.max
            && let Some(oldest) = self.list.pop_front()
        {
            self.handles.drain(..usize::from(oldest.count));
            self.dropped += u64::from(oldest.count);
        }
        let first = self.dropped + self.handles.len() as u64;
        let currency = currency.and_then(|code| code.as_bytes().try_into().ok()).unwrap_or_default();
        let left_minor = amount_minor.unwrap_or(NO_AMOUNT);
        let count = handles.len() as u8;
        self.list.push_back(Original { sequence, time_ms, first, count, fraud: false, left_minor, currency });
        self.handles.extend(handles);
    }
    /// The transaction of a sequence.
    pub fn find(&mut self, sequence: u64) -> Option<&mut Original> {
        let at = self.list.binary_search_by_key(&sequence, |original| original.sequence).ok()?;
        self.list.get_mut(at)
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
            originals.push(sequence, 0, (Some(100), Some("EUR")), &handles);
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
