//! Hyperscan behind owned types: the one place of this stage that calls C. Databases are read-only after they are
//! made; a scratch belongs to one thread at a time and remembers which databases it was sized for.
#![allow(unsafe_code)]

use super::pattern::Extended;
use hyperscan_sys as hs;
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_ulonglong, c_void};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

/// An expression in Hyperscan's syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expression {
    /// Without NUL.
    pub text: String,
    /// Characters rather than bytes.
    pub utf8: bool,
    pub extended: Extended,
}

impl Expression {
    fn flags(&self, positions: bool) -> c_uint {
        let utf8 = if self.utf8 { hs::HS_FLAG_UTF8 } else { 0 };
        utf8 | if positions { hs::HS_FLAG_SOM_LEFTMOST } else { hs::HS_FLAG_SINGLEMATCH }
    }
    fn ext(&self) -> hs::hs_expr_ext_t {
        let e = &self.extended;
        let flag = |on: bool, flag: c_uint| if on { c_ulonglong::from(flag) } else { 0 };
        hs::hs_expr_ext_t {
            flags: flag(e.min_offset.is_some(), hs::HS_EXT_FLAG_MIN_OFFSET)
                | flag(e.max_offset.is_some(), hs::HS_EXT_FLAG_MAX_OFFSET)
                | flag(e.min_length.is_some(), hs::HS_EXT_FLAG_MIN_LENGTH)
                | flag(e.edit_distance.is_some(), hs::HS_EXT_FLAG_EDIT_DISTANCE)
                | flag(e.hamming_distance.is_some(), hs::HS_EXT_FLAG_HAMMING_DISTANCE),
            min_offset: e.min_offset.unwrap_or(0).into(),
            max_offset: e.max_offset.unwrap_or(0).into(),
            min_length: e.min_length.unwrap_or(0).into(),
            edit_distance: e.edit_distance.unwrap_or(0).into(),
            hamming_distance: e.hamming_distance.unwrap_or(0).into(),
        }
    }
    /// What the compiler reads of it, for the cache's key.
    pub fn key(&self) -> String {
        format!("{}\0{:?}\0{}\n", self.utf8, self.extended, self.text)
    }
}

/// Why expressions do not compile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    /// Which expression, where the library says so.
    pub index: Option<usize>,
    /// The library's message.
    pub message: String,
}

/// The library's version and the processor it compiles for; a database fits only these.
pub(super) fn platform() -> String {
    // SAFETY: all zero bits are a valid value of this plain C struct.
    let mut info: hs::hs_platform_info_t = unsafe { std::mem::zeroed() };
    // SAFETY: `info` lives through the call and is written only by it; hs_version returns a static string.
    let (code, version) = unsafe { (hs::hs_populate_platform(&mut info), CStr::from_ptr(hs::hs_version())) };
    format!("{} {code} {} {:x}", version.to_string_lossy(), info.tune, info.cpu_features)
}

/// A compiled database.
#[derive(Debug)]
pub(super) struct Database {
    raw: NonNull<hs::hs_database_t>,
    id: u64,
}

// SAFETY: a database is one allocation that nothing writes after it is made; Hyperscan documents that threads may
// scan with one database at the same time, each with its own scratch.
unsafe impl Send for Database {}
// SAFETY: as above.
unsafe impl Sync for Database {}

impl Drop for Database {
    fn drop(&mut self) {
        // SAFETY: the pointer came from the library and is freed once.
        unsafe { hs::hs_free_database(self.raw.as_ptr()) };
    }
}

fn failed(what: &str, code: c_int) -> Refused {
    let why = match code {
        hs::HS_NOMEM => "out of memory",
        hs::HS_ARCH_ERROR => "this processor is not supported",
        hs::HS_INVALID => "invalid argument",
        hs::HS_SCRATCH_IN_USE => "scratch in use",
        _ => "unexpected",
    };
    Refused { index: None, message: format!("hyperscan {what}: {why} ({code})") }
}

impl Database {
    fn own(raw: *mut hs::hs_database_t) -> Option<Database> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        NonNull::new(raw).map(|raw| Database { raw, id: NEXT.fetch_add(1, Ordering::Relaxed) })
    }

    /// Compiles expressions, numbered by their places; each matches at most once a scan. With `positions` every match
    /// is reported, with where it begins.
    pub fn compile(expressions: &[Expression], positions: bool) -> Result<Database, Refused> {
        // SAFETY: takes nothing.
        let code = unsafe { hs::hs_valid_platform() };
        if code != hs::HS_SUCCESS as c_int {
            return Err(failed("start", code));
        }
        let texts: Vec<CString> = expressions
            .iter()
            .map(|e| CString::new(e.text.as_str()).expect("the emitter writes NUL as \\x00"))
            .collect();
        let pointers: Vec<*const c_char> = texts.iter().map(|text| text.as_ptr()).collect();
        let flags: Vec<c_uint> = expressions.iter().map(|e| e.flags(positions)).collect();
        let ids: Vec<c_uint> = (0..expressions.len() as c_uint).collect();
        let exts: Vec<hs::hs_expr_ext_t> = expressions.iter().map(Expression::ext).collect();
        let exts: Vec<*const hs::hs_expr_ext_t> = exts.iter().map(ptr::from_ref).collect();
        let (mut raw, mut error) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: the four arrays have `expressions.len()` elements and, with the strings and structs they point to,
        // outlive the call; both out-pointers are ours.
        let code = unsafe {
            hs::hs_compile_ext_multi(
                pointers.as_ptr(),
                flags.as_ptr(),
                ids.as_ptr(),
                exts.as_ptr(),
                expressions.len() as c_uint,
                hs::HS_MODE_BLOCK,
                ptr::null(),
                &mut raw,
                &mut error,
            )
        };
        if let Some(error) = NonNull::new(error) {
            // SAFETY: the library made the error; its message is a NUL-terminated string; it is freed once, below.
            let refused = unsafe {
                let told = error.as_ref();
                let message = match told.message.is_null() {
                    true => String::new(),
                    false => CStr::from_ptr(told.message).to_string_lossy().into_owned(),
                };
                Refused { index: usize::try_from(told.expression).ok(), message }
            };
            // SAFETY: as above.
            unsafe { hs::hs_free_compile_error(error.as_ptr()) };
            return Err(refused);
        }
        Database::own(raw).ok_or_else(|| failed("compile", code))
    }

    /// Its bytes, readable by the same library on the same kind of processor.
    pub fn serialize(&self) -> Option<Vec<u8>> {
        let (mut bytes, mut len) = (ptr::null_mut::<c_char>(), 0usize);
        // SAFETY: the database lives; both out-pointers are ours.
        let code = unsafe { hs::hs_serialize_database(self.raw.as_ptr(), &mut bytes, &mut len) };
        let bytes = NonNull::new(bytes).filter(|_| code == hs::HS_SUCCESS as c_int)?;
        // SAFETY: the library allocated `len` bytes at `bytes` with malloc (we set no allocator of our own).
        let copy = unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast::<u8>(), len) }.to_vec();
        // SAFETY: as above; freed once, after the copy.
        unsafe { free(bytes.as_ptr().cast()) };
        Some(copy)
    }

    /// The database of bytes that `serialize` wrote; the caller has checked that they are these bytes. `None` when the
    /// library does not take them.
    pub fn deserialize(bytes: &[u8]) -> Option<Database> {
        let mut raw = ptr::null_mut();
        // SAFETY: the slice is readable for its length; the out-pointer is ours.
        let code = unsafe { hs::hs_deserialize_database(bytes.as_ptr().cast(), bytes.len(), &mut raw) };
        Database::own(raw).filter(|_| code == hs::HS_SUCCESS as c_int)
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        let mut bytes = 0;
        // SAFETY: the database lives; the out-pointer is ours.
        unsafe { hs::hs_database_size(self.raw.as_ptr(), &mut bytes) };
        bytes
    }

    /// Puts the numbers of the expressions that match into `found`, in the order they are met. `found` must have room
    /// for every expression; it is never grown.
    pub fn scan(&self, text: &str, scratch: &mut Scratch, found: &mut Vec<u32>) -> Result<(), Refused> {
        extern "C" fn met(id: c_uint, _: c_ulonglong, _: c_ulonglong, _: c_uint, to: *mut c_void) -> c_int {
            // SAFETY: `to` is the vector that `scan` holds exclusively until the library returns.
            let found = unsafe { &mut *to.cast::<Vec<u32>>() };
            // Growing could panic, and nothing may unwind into C; each number comes once, so there is room.
            if found.len() < found.capacity() {
                found.push(id);
            }
            0
        }
        self.run(text, scratch, met, ptr::from_mut(found).cast())
    }

    /// Every match as (expression, start, end), at most `max` of them; for a database compiled with positions.
    pub fn positions(&self, text: &str, max: usize) -> Result<Vec<(u32, usize, usize)>, Refused> {
        extern "C" fn met(id: c_uint, a: c_ulonglong, b: c_ulonglong, _: c_uint, to: *mut c_void) -> c_int {
            // SAFETY: as in `scan`.
            let found = unsafe { &mut *to.cast::<Vec<(u32, usize, usize)>>() };
            if found.len() == found.capacity() {
                return 1;
            }
            found.push((id, a as usize, b as usize));
            0
        }
        let mut found = Vec::with_capacity(max);
        self.run(text, &mut Scratch::default(), met, ptr::from_mut(&mut found).cast())?;
        Ok(found)
    }

    fn run(
        &self,
        text: &str,
        scratch: &mut Scratch,
        met: extern "C" fn(c_uint, c_ulonglong, c_ulonglong, c_uint, *mut c_void) -> c_int,
        to: *mut c_void,
    ) -> Result<(), Refused> {
        scratch.fit(self)?;
        // SAFETY: the text is readable for its length and valid UTF-8; the scratch was sized for this database and is
        // ours alone; `met` takes `to` as what both callers pass, and does not unwind.
        let code = unsafe {
            hs::hs_scan(
                self.raw.as_ptr(),
                text.as_ptr().cast(),
                text.len() as c_uint,
                0,
                scratch.raw,
                Some(met),
                to,
            )
        };
        match code {
            0 | hs::HS_SCAN_TERMINATED => Ok(()),
            code => Err(failed("scan", code)),
        }
    }
}

unsafe extern "C" {
    fn free(at: *mut c_void);
}

/// What a scan works in.
#[derive(Debug)]
pub(super) struct Scratch {
    raw: *mut hs::hs_scratch_t,
    fits: Vec<u64>,
}

impl Default for Scratch {
    fn default() -> Scratch {
        Scratch { raw: ptr::null_mut(), fits: Vec::new() }
    }
}

// SAFETY: a scratch is plain memory without ties to a thread; only one scan at a time uses it, as `&mut` sees to.
unsafe impl Send for Scratch {}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.raw.is_null() {
            // SAFETY: the pointer came from the library, no scan is running, and it is freed once.
            unsafe { hs::hs_free_scratch(self.raw) };
        }
    }
}

/// Databases a scratch remembers to fit; past it, it is asked again.
const FITS_MAX: usize = 64;

impl Scratch {
    /// Makes room for a database; allocates only the first time.
    fn fit(&mut self, database: &Database) -> Result<(), Refused> {
        if self.fits.contains(&database.id) {
            return Ok(());
        }
        if self.fits.len() >= FITS_MAX {
            self.fits.clear();
        }
        // SAFETY: the pointer is null or came from this call; the library grows it when the database needs more.
        let code = unsafe { hs::hs_alloc_scratch(database.raw.as_ptr(), &mut self.raw) };
        if code != hs::HS_SUCCESS as c_int {
            return Err(failed("scratch", code));
        }
        self.fits.push(database.id);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn plain(text: &str) -> Expression {
        Expression { text: text.into(), utf8: true, extended: Extended::default() }
    }

    #[test]
    fn databases_scan_round_trip_and_refuse_with_the_librarys_words() {
        let database = Database::compile(&[plain("gift"), plain("ca[rl]d")], false).unwrap();
        let again = Database::deserialize(&database.serialize().unwrap()).unwrap();
        let (mut scratch, mut found) = (Scratch::default(), Vec::with_capacity(2));
        for database in [&database, &again] {
            found.clear();
            database.scan("a card and a gift card", &mut scratch, &mut found).unwrap();
            found.sort_unstable();
            assert_eq!(found, [0, 1], "each once");
        }
        let refused = Database::compile(&[plain("fine"), plain("a{1,40000}")], false).unwrap_err();
        assert_eq!(refused.index, Some(1));
        assert!(refused.message.contains("repeat"), "{}", refused.message);
        assert!(Database::deserialize(b"not a database").is_none());
        assert!(database.bytes() > 0 && !platform().is_empty());
    }

    #[test]
    fn what_has_no_room_is_left_out_rather_than_grown() {
        let database = Database::compile(&[plain("a"), plain("b")], false).unwrap();
        let mut found = Vec::with_capacity(0);
        database.scan("ab", &mut Scratch::default(), &mut found).unwrap();
        assert!(found.is_empty() && found.capacity() == 0);
    }

    #[test]
    fn one_scratch_serves_databases_of_any_size_from_any_thread() {
        let small = Database::compile(&[plain("a")], false).unwrap();
        let many: Vec<Expression> = (0..200).map(|n| plain(&format!("[a-f]{{3}}x{n}z[0-9]+y"))).collect();
        let big = Database::compile(&many, false).unwrap();
        let mut scratch = Scratch::default();
        let mut found = Vec::with_capacity(200);
        small.scan("a", &mut scratch, &mut found).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                big.scan("fabx17z123y", &mut scratch, &mut found).unwrap();
                assert_eq!(found, [0, 17]);
                for _ in 0..2 * FITS_MAX {
                    let other = Database::compile(&[plain("b")], false).unwrap();
                    other.scan("b", &mut scratch, &mut found).unwrap();
                }
                big.scan("", &mut scratch, &mut found).unwrap();
            });
        });
    }
}
