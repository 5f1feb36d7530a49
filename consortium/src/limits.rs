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

// The log.

/// Longest leaf of a log, in bytes: an entry bundle's lengths are 16 bits wide (C2SP tlog-tiles).
pub const LEAF_BYTES_MAX: usize = u16::MAX as usize;
/// Most leaves that wait for a checkpoint; an append past it is refused until one is made.
pub const PENDING_LEAVES_MAX: usize = 1 << 16;
/// Most bytes that wait for a checkpoint; as above.
pub const PENDING_BYTES_MAX: usize = 64 << 20;
/// Most hashes of a proof: a tree of 2^63 leaves is 63 levels high (C2SP tlog-witness has the same bound).
pub const PROOF_HASHES_MAX: usize = 63;
/// Longest text of a receipt, in bytes, beside its checkpoint's note; a longer one is refused before it is read.
pub const PROOF_BYTES_MAX: usize = 1 << 18;
/// Longest policy file, in bytes.
pub const POLICY_BYTES_MAX: usize = 1 << 18;
/// Most logs, witnesses and groups, each, of a policy (C2SP tlog-policy: 32 at the least).
pub const POLICY_LINES_MAX: usize = 1024;
/// Most origins whose last checkpoint a witness keeps.
pub const WITNESS_LOGS_MAX: usize = 64;
/// Most openings of queries handed over at once.
pub const OPENINGS_MAX: usize = 1 << 16;
