//! Identity's cold keys in an image: pages of sorted entries that are searched where they lie, so that a start reads
//! them once, for their checksums, and keeps of them one key a page.

use super::chunks::{Part, checksum};
use crate::error::{Error, ErrorKind};
use interdict_engine::identity::{ColdError, Drawer, Entry, Known};
use interdict_engine::image::{Reader, Writer};
use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Bytes of a page.
pub(super) const PAGE_BYTES: usize = 4096;
/// Bytes of an entry.
const ENTRY_BYTES: usize = 48;
/// Entries of a page; the rest is how many there are, zeros, and the checksum.
pub(super) const PAGE_ENTRIES: usize = 85;
const COUNT_AT: usize = PAGE_ENTRIES * ENTRY_BYTES;
const SUM_AT: usize = PAGE_BYTES - 4;
/// Pages read at once to be checked.
const PAGES_AT_ONCE: u64 = 256;

/// A page being filled.
#[derive(Default)]
pub(super) struct PageOut {
    entries: Vec<Entry>,
}

impl PageOut {
    pub(super) fn is_full(&self) -> bool {
        self.entries.len() == PAGE_ENTRIES
    }
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
    pub(super) fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }
    /// The page as it lies at an offset, and its first key; it is empty afterwards.
    pub(super) fn take(&mut self, at: u64) -> (Vec<u8>, u128) {
        let first = self.entries.first().map_or(0, |entry| entry.key);
        let mut bytes = Vec::with_capacity(PAGE_BYTES);
        let mut to = Writer::new(&mut bytes);
        self.entries.iter().for_each(|entry| entry.save(&mut to));
        to.end();
        bytes.resize(COUNT_AT, 0);
        bytes.extend_from_slice(&(self.entries.len() as u32).to_le_bytes());
        bytes.resize(SUM_AT, 0);
        let sum = checksum(at, &bytes);
        bytes.extend_from_slice(&sum.to_le_bytes());
        self.entries.clear();
        (bytes, first)
    }
}

/// The pages of the drawers of an image, which stay readable when the file is removed.
#[derive(Debug)]
pub struct ColdPages {
    file: Arc<File>,
    at: u64,
    drawers: HashMap<Drawer, Range<usize>>,
    /// The first key of each page.
    firsts: Vec<u128>,
}

impl ColdPages {
    /// Reads the directory of pages that lie from `at` to `end`, and checks every page.
    pub(super) fn open(file: Arc<File>, at: u64, end: u64, directory: Part<'_>) -> Result<ColdPages, Error> {
        let corrupt = |what: &str| Error::new(ErrorKind::Corrupt, format!("identity's keys: {what}"));
        let pages = (end - at) / PAGE_BYTES as u64;
        if pages * PAGE_BYTES as u64 != end - at {
            return Err(corrupt("not whole pages"));
        }
        let mut directory = directory;
        let mut from = Reader::new(&mut directory);
        let failed = |e: interdict_engine::Error| Error::new(ErrorKind::Corrupt, e.message);
        let (mut drawers, mut firsts) = (HashMap::new(), Vec::new());
        for _ in 0..from.count(usize::MAX).map_err(failed)? {
            let drawer = Drawer(from.u64().map_err(failed)?);
            let begin = firsts.len();
            for _ in 0..from.count(pages as usize).map_err(failed)? {
                firsts.push(from.u128().map_err(failed)?);
            }
            drawers.insert(drawer, begin..firsts.len());
        }
        from.end().map_err(failed)?;
        if firsts.len() as u64 != pages {
            return Err(corrupt("other pages than its directory says"));
        }
        let cold = ColdPages { file, at, drawers, firsts };
        cold.each_page(&mut |_| {})?;
        Ok(cold)
    }
    /// Gives every page's content in order, checked.
    pub(super) fn each_page(&self, each: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        let pages = self.firsts.len() as u64;
        let mut bytes = Vec::new();
        let mut page = 0;
        while page < pages {
            let count = PAGES_AT_ONCE.min(pages - page);
            bytes.resize(count as usize * PAGE_BYTES, 0);
            let at = self.at + page * PAGE_BYTES as u64;
            let read = self.file.read_exact_at(&mut bytes, at);
            read.map_err(|e| Error::io(format_args!("offset {at}"), &e))?;
            for (number, bytes) in (0..).zip(bytes.chunks_exact(PAGE_BYTES)) {
                let at = at + number * PAGE_BYTES as u64;
                if !is_whole(at, bytes) {
                    let text = format!("offset {at}: a page's checksum does not match");
                    return Err(Error::new(ErrorKind::Corrupt, text));
                }
                each(&bytes[..SUM_AT]);
            }
            page += count;
        }
        Ok(())
    }
    fn page(&self, number: usize) -> Result<Vec<Entry>, ColdError> {
        let at = self.at + (number * PAGE_BYTES) as u64;
        let failed = |why: &dyn std::fmt::Display| ColdError(format!("image: keys at offset {at}: {why}"));
        let mut bytes = [0; PAGE_BYTES];
        self.file.read_exact_at(&mut bytes, at).map_err(|e| failed(&e))?;
        if !is_whole(at, &bytes) {
            return Err(failed(&"checksum does not match"));
        }
        let count = u32::from_le_bytes(bytes[COUNT_AT..COUNT_AT + 4].try_into().expect("four bytes"));
        let mut source = &bytes[..COUNT_AT];
        let mut from = Reader::new(&mut source);
        let entries = (0..count).map(|_| Entry::load(&mut from));
        entries.collect::<Result<_, _>>().map_err(|e| failed(&e))
    }

    /// What a drawer holds under a key.
    ///
    /// # Errors
    /// When its page cannot be read.
    pub fn get(&self, drawer: Drawer, key: u128) -> Result<Option<Known>, ColdError> {
        let Some(pages) = self.drawers.get(&drawer) else { return Ok(None) };
        let after = self.firsts[pages.clone()].partition_point(|first| *first <= key);
        let Some(before) = after.checked_sub(1) else { return Ok(None) };
        let entries = self.page(pages.start + before)?;
        let found = entries.binary_search_by_key(&key, |entry| entry.key);
        Ok(found.ok().map(|at| entries[at].known))
    }
    /// A drawer's entries, by key.
    pub fn entries(&self, drawer: Drawer) -> impl Iterator<Item = Result<Entry, ColdError>> {
        let pages = self.drawers.get(&drawer).cloned().unwrap_or_default();
        pages.flat_map(|page| match self.page(page) {
            Ok(entries) => entries.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(e) => vec![Err(e)],
        })
    }
    /// Whether it has a drawer.
    pub fn has(&self, drawer: Drawer) -> bool {
        self.drawers.contains_key(&drawer)
    }
    /// Lets go of a drawer.
    pub fn forget(&mut self, drawer: Drawer) {
        self.drawers.remove(&drawer);
    }
    /// Bytes of the drawers not let go of.
    pub fn bytes(&self) -> u64 {
        self.drawers.values().map(|pages| (pages.len() * PAGE_BYTES) as u64).sum()
    }
}

fn is_whole(at: u64, page: &[u8]) -> bool {
    checksum(at, &page[..SUM_AT]).to_le_bytes() == page[SUM_AT..]
}
