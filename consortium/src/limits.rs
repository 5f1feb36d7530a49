//! Every bound of the consortium in one place, with its unit and what happens when it is reached.

/// Longest note (text and signatures), in bytes; a longer one is refused before it is read.
pub const NOTE_BYTES_MAX: usize = 1 << 20;
/// Most signature lines of a note (C2SP signed-note lets a verifier limit them); more are refused.
pub const SIGNATURES_MAX: usize = 128;
/// Longest name of a key, in bytes.
pub const KEY_NAME_BYTES_MAX: usize = 255;
/// Longest value of a record's line, in bytes.
pub const VALUE_BYTES_MAX: usize = 4096;
/// Most lines of a record.
pub const RECORD_LINES_MAX: usize = 16_384;

// Signals and epochs.

/// Most rows of one contribution; a larger one is refused and must be cut into several.
pub const CONTRIBUTION_ROWS_MAX: usize = 1 << 20;
/// Longest text of an open signal (a name), in bytes; a longer one is refused.
pub const SIGNAL_TEXT_BYTES_MAX: usize = 512;
/// Most text of a body, a state or a snapshot, in bytes; more is refused. While an epoch is built, as much is held in memory.
pub const TEXT_AREA_BYTES_MAX: usize = 1 << 28;
/// Most rows of a state, a snapshot or a delta; past it the epoch is not built.
pub const EPOCH_ROWS_MAX: u64 = 1 << 28;
/// Most contributions merged into a state at once; more are refused, and merged in several steps (which comes to the same).
pub const MERGE_BODIES_MAX: usize = 4096;
/// Latest time anywhere, in unix milliseconds: the end of the year 9999.
pub const TIME_MS_MAX: u64 = 253_402_300_799_999;
/// How far a contribution's `created_ms` may be ahead of the hub's clock, in milliseconds; further is refused.
pub const CLOCK_AHEAD_MS_MAX: u64 = 300_000;
/// Most errors that an import names; the number of others is told.
pub const IMPORT_ERRORS_MAX: usize = 100;
/// Largest file to import, in bytes; a larger one is refused.
pub const IMPORT_BYTES_MAX: usize = 1 << 28;
