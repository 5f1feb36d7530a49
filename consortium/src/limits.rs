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
/// Most operators, rules, trusts, tariffs and tag keys of an alliance, each; further ones are refused.
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
/// Latest time of a signal or an epoch, in unix milliseconds: the end of the year 9998 (jiff shows none of 9999's last days).
pub const TIME_MS_MAX: u64 = 253_370_764_799_999;
/// How far a contribution's `created_ms` may be ahead of the hub's clock, in milliseconds; further is refused.
pub const CLOCK_AHEAD_MS_MAX: u64 = 300_000;
/// Most errors that an import names; the number of others is told.
pub const IMPORT_ERRORS_MAX: usize = 100;
/// Largest file to import, in bytes; a larger one is refused.
pub const IMPORT_BYTES_MAX: usize = 1 << 28;

// The bill.

/// Most leaves of the query log that one bill covers (a bit each is held while they are counted); more need more bills.
pub const BILL_LEAVES_MAX: u64 = 1 << 28;
/// Most confirmed signals that one bill credits.
pub const BILL_SIGNALS_MAX: u64 = 1 << 40;
/// Most parties to one bill; the settlement has a line for each.
pub const PARTIES_MAX: usize = 4096;
/// Most payments or hits that a member reports for a period: none can make a bill that nobody can compute.
pub const REPORTED_MAX: u64 = 1_000_000_000_000;
/// Highest price of an item, in micro-units: a million major units.
pub const PRICE_MICRO_MAX: u64 = 1_000_000_000_000;
/// Largest amount or sum of amounts, in minor units, on either side of zero; pain.001 admits 18 digits.
pub const AMOUNT_MINOR_MAX: i64 = 1_000_000_000_000_000;
/// Most classes of a tariff.
pub const TARIFF_CLASSES_MAX: usize = 64;
/// Longest name of a class or a period, in bytes.
pub const BILL_WORD_BYTES_MAX: usize = 32;
/// How far outside of its period a query may lie that a bill counts, in milliseconds: the merge delay, generously.
pub const PERIOD_SLACK_MS: u64 = 60_000;
/// Longest reason of a dispute or reference of a deposit, in bytes.
pub const BILL_REASON_BYTES_MAX: usize = 1024;
/// Most postings of one account; more are refused. 800 years of monthly statements and nine deposits a month.
pub const POSTINGS_MAX: usize = 100_000;

// Packs.

/// Most numbers of a signed pack's version.
pub const PACK_VERSION_PARTS_MAX: usize = 8;
