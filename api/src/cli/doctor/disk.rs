//! Free space: the one thing here that needs the C library, since nothing under /proc says it.
#![allow(unsafe_code)]

use super::{Row, State};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Below this much free space a journal soon fails.
const FAIL_BYTES: u64 = 1 << 30;
/// Below this much it does within days.
const WARN_BYTES: u64 = 10 << 30;

/// Space left where the journal grows.
pub(super) fn free(folder: &Path) -> Row {
    let Some(bytes) = free_bytes(folder) else {
        return Row::new("disk space", State::Warn, "unknown", "Look with `df`.");
    };
    let state = match bytes {
        0..FAIL_BYTES => State::Fail,
        FAIL_BYTES..WARN_BYTES => State::Warn,
        _ => State::Ok,
    };
    let found = format!("{:.1} GiB free in {}", bytes as f64 / f64::from(1 << 30), folder.display());
    Row::new(
        "disk space",
        state,
        found,
        "The journal takes a few hundred bytes a transaction; 10 GiB is some days of them.",
    )
}

/// Bytes an ordinary user may still write; `None` where the system does not say.
fn free_bytes(folder: &Path) -> Option<u64> {
    let path = CString::new(folder.as_os_str().as_bytes()).ok()?;
    let mut stat = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: `path` ends in NUL and outlives the call, `stat` has room for what is written to it.
    if unsafe { libc::statvfs(path.as_ptr(), stat.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: the call succeeded, so it has filled `stat`.
    let stat = unsafe { stat.assume_init() };
    stat.f_bavail.checked_mul(stat.f_frsize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_space_and_none_is_unknown() {
        assert!(free_bytes(&std::env::temp_dir()).is_some_and(|bytes| bytes > 0));
        assert_eq!(free_bytes(Path::new("/no/such/folder")), None);
        assert_eq!(free_bytes(Path::new("a\0b")), None);
    }
}
