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
/// Longest document of a DID that is read, in bytes.
pub const DID_DOCUMENT_BYTES_MAX: usize = 64 << 10;
/// Most methods of a DID's document.
pub const DID_METHODS_MAX: usize = 64;
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
