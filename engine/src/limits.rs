//! Every bound of the engine in one place, with its unit and what happens when it is reached. Checked against one
//! another at compile time below.

/// Longest free-text field after NFC, in bytes of UTF-8; a longer one is refused (wire.md: 422), never cut.
pub const TEXT_BYTES_MAX: usize = 4096;
/// Longest identifier (merchant id, terminal id, token, client id …), in bytes; a longer one is refused.
pub const IDENTIFIER_BYTES_MAX: usize = 256;
/// Largest amount, in minor units. 10^15 minor units is ten trillion euros; sums of thousands still fit an i64.
pub const AMOUNT_MINOR_MAX: i64 = 1_000_000_000_000_000;
/// Largest request body, in bytes; a larger one is 413.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// Most transactions in one batch request; a larger batch is 413.
pub const BATCH_MAX: usize = 1000;
/// Most transactions drained in one micro-batch of the sequencer.
pub const MICRO_BATCH_MAX: usize = 16;
/// Most tags of one identifier (one per active key).
pub const TAGS_PER_FIELD_MAX: usize = 4;
/// Most feature slots in one generation.
pub const FEATURE_SLOTS_MAX: usize = 1024;
/// Most windows in one feature space (one key, one value, one filter).
pub const WINDOWS_PER_SPACE_MAX: usize = 16;
/// Most feature spaces in one generation.
pub const SPACES_MAX: usize = 32;
/// Most live rules in one pack.
pub const RULES_PER_PACK_MAX: usize = 20_000;
/// Longest span of a feature group (window + delay), in ms: 45 days. A longer one is refused when the plan is made.
pub const FEATURE_SPAN_MS_MAX: i64 = 45 * 24 * 60 * 60 * 1000;
/// Most identifiers combined into one feature key; a deeper pair is refused when the plan is made.
pub const FEATURE_KEY_PARTS_MAX: usize = 4;
/// Largest amount a feature sums, in minor units of the group's currency; a larger one (after conversion) is
/// unknown, and the sums that hold it undecided. 64 of them fit an i64.
pub const FEATURE_AMOUNT_MINOR_MAX: i64 = 1 << 56;
/// Most tenants with feature state; the transactions of further ones have all their features undecided.
pub const FEATURE_TENANTS_MAX: usize = 4096;
/// Most evicted keys remembered per tenant and group; past it the whole group is undecided as far back as what is
/// forgotten.
pub const FEATURE_EVICTED_MAX: usize = 65_536;
/// Longest rule expression, in bytes.
pub const EXPRESSION_BYTES_MAX: usize = 16 * 1024;
/// Deepest nesting of a rule expression's syntax tree.
pub const EXPRESSION_DEPTH_MAX: usize = 64;
/// Most lists in one generation (a hit set is a bitmap of this many bits).
pub const LISTS_MAX: usize = 64;
/// Most entries in one list delta (one PUT); a larger one is refused whole.
pub const DELTA_ENTRIES_MAX: usize = 10_000;
/// Most reasons in one verdict; further hits are counted in the last one's place, strongest first.
pub const REASONS_MAX: usize = 64;
/// Highest score (scores are integers, so that every path agrees exactly).
pub const SCORE_MAX: u16 = 1000;

const _: () = assert!(TEXT_BYTES_MAX < BODY_BYTES_MAX);
const _: () = assert!(IDENTIFIER_BYTES_MAX <= TEXT_BYTES_MAX);
const _: () = assert!(AMOUNT_MINOR_MAX < i64::MAX / 8192);
const _: () =
    assert!(AMOUNT_MINOR_MAX < FEATURE_AMOUNT_MINOR_MAX && FEATURE_AMOUNT_MINOR_MAX < i64::MAX / 64);
const _: () = assert!(FEATURE_SPAN_MS_MAX < u32::MAX as i64);
const _: () = assert!(LISTS_MAX <= 64);
const _: () = assert!(FEATURE_SLOTS_MAX + 512 < u16::MAX as usize);
