//! Maps a file of the window, the one place of it that needs `unsafe`.
#![allow(unsafe_code)]

use memmap2::Mmap;
use std::fs::File;
use std::io;

/// Maps a file read-only.
pub(super) fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: a chunk's file is written aside and named when it is whole; it is never changed in place, only removed,
    // which leaves what is mapped as it was; and the folder belongs to this process alone (0700).
    unsafe { Mmap::map(file) }
}
