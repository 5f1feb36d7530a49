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

// Members and their rules.

/// Longest name of a member or an alliance, in bytes.
pub const MEMBER_NAME_BYTES_MAX: usize = 63;
/// Longest legal name, in bytes.
pub const LEGAL_NAME_BYTES_MAX: usize = 200;
/// Longest decentralised identifier, in bytes.
pub const DID_BYTES_MAX: usize = 255;
/// Longest word (tariff class, kind of evidence), in bytes.
pub const TOKEN_BYTES_MAX: usize = 32;
/// Longest reason of a ruling, in bytes.
pub const REASON_BYTES_MAX: usize = 500;
/// Longest sealed copy of a tag key, in bytes.
pub const SEALED_BYTES_MAX: usize = 512;
/// Most pieces of evidence of an applicant, or that the rules ask for.
pub const EVIDENCE_MAX: usize = 32;
/// Most jurisdictions that rules name.
pub const JURISDICTIONS_MAX: usize = 256;
/// Largest denominator of a quorum.
pub const QUORUM_DENOMINATOR_MAX: u32 = 1000;
/// Most TLS certificates of a member at a time.
pub const TLS_CERTIFICATES_MAX: usize = 4;
/// Most sponsors of an admission.
pub const SPONSORS_MAX: usize = 16;
/// Most founders; all sign the genesis.
pub const FOUNDERS_MAX: usize = 64;
/// Most active members: all of them can sign one note, the new keys of a record beside them.
pub const ACTIVE_MEMBERS_MAX: usize = 120;
/// Most members there ever were; nobody else is admitted.
pub const MEMBERS_MAX: usize = 4096;
/// Most open applications; the oldest lapses when one more comes.
pub const APPLICATIONS_MAX: usize = 256;
/// Most rotations of a member on its own word; further ones need the quorum.
pub const ROTATIONS_MAX: u32 = 1024;
/// Most rulings on a member; further ones are refused.
pub const RULINGS_MAX: u32 = 1024;
/// Most operators, rules, tariffs and tag keys of an alliance, each; further ones are refused.
pub const VERSIONS_MAX: u32 = 4096;
/// Longest text of a record that a member numbers (contribution, usage report), in bytes: the last is kept.
pub const MANIFEST_BYTES_MAX: usize = 64 << 10;
/// Most proposals that wait for signatures; one more is refused.
pub const PROPOSALS_MAX: usize = 256;
/// Most of them brought by one member.
pub const PROPOSALS_PER_MEMBER_MAX: usize = 16;
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

// Packs.

/// Most numbers of a signed pack's version.
pub const PACK_VERSION_PARTS_MAX: usize = 8;
