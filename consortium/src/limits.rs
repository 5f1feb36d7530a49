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

// Tags.

/// Longest identifier that is tagged, in bytes of its canonical spelling; a longer one is refused.
pub const CANONICAL_BYTES_MAX: usize = 1024;
/// Most items of a batch that the tag service evaluates; more are refused.
pub const EVALUATE_ITEMS_MAX: usize = 256;
/// Most versions of the tag key that are alive together: the one in force and the one before it.
pub const TAG_VERSIONS_ALIVE_MAX: usize = 2;
/// Fewest and most bits of a prefilter: under 8 nearly everything is a candidate of a list of any size, and past 64 no
/// population of this world leaves four candidates.
pub const PREFILTER_BITS: std::ops::RangeInclusive<u8> = 8..=64;
/// Fewest identifiers of the declared population that share a truncated tag, as expected; a kind with fewer is `keyed`.
pub const CANDIDATES_MIN: u64 = 4;
/// Most identifiers in a million that pass a prefilter without being listed; past it the prefilter saves too little, and
/// the kind is `keyed`.
pub const FALSE_PASSES_PPM_MAX: u64 = 50_000;
