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
