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
/// Most threads that evaluate, in one node.
pub const LANES_MAX: usize = 256;
/// Most HTTP threads of one node.
pub const IO_THREADS_MAX: usize = 1024;
/// Most turns of an empty loop before a thread parks: some ms of a core, by then parking has long been cheaper.
pub const SPINS_MAX: u32 = 100_000;
/// Shortest and longest ring between the sequencer and a lane, in payments: half of it takes a micro-batch at least.
pub const RING_MIN: usize = 2 * MICRO_BATCH_MAX;
/// As there.
pub const RING_MAX: usize = 16_384;
/// Shortest and longest time after which a parked thread looks again though nobody woke it, in µs.
pub const PARK_US_MIN: u64 = 100;
/// As there.
pub const PARK_US_MAX: u64 = 100_000;
/// Largest bound of memory that a profile may set, in MiB.
pub const PROFILE_MEMORY_MIB_MAX: u64 = 1 << 24;
/// Most payments that a profile may have labels and reversals find.
pub const PROFILE_ORIGINALS_MAX: u64 = 1 << 36;
/// Most jobs that wait for the sequencer in their tenants' queues. Past it the newest job of the tenant that has most
/// for its weight is refused (503), whoever brought the last one.
pub const INTAKE_JOBS_MAX: usize = 16 * 1024;
/// Most payments without time for their stages that wait for the sequencer; more are refused (503).
pub const INTAKE_EXPRESS_MAX: usize = 2 * 1024;
/// Most tenants whose jobs wait for the sequencer at once; the jobs of further ones are refused (503).
pub const INTAKE_TENANTS_MAX: usize = 4096;
/// Highest weight of a tenant.
pub const TENANT_WEIGHT_MAX: u32 = 1000;
/// Most feature slots in one generation.
pub const FEATURE_SLOTS_MAX: usize = 1024;
/// Most windows in one feature space (one key, one value, one filter).
pub const WINDOWS_PER_SPACE_MAX: usize = 16;
/// Most feature spaces in one generation.
pub const SPACES_MAX: usize = 32;
/// Longest window of a feature, in ms (400 days); a longer one is refused.
pub const WINDOW_MS_MAX: i64 = 400 * 86_400_000;
/// Most files of a pack; more are refused.
pub const PACK_FILES_MAX: usize = 1000;
/// Longest path of a pack's file, in bytes.
pub const PACK_PATH_BYTES_MAX: usize = 256;
/// Largest pack, all its files together, in bytes; a larger one is refused.
pub const PACK_BYTES_MAX: usize = 64 << 20;
/// Largest file of a pack, in bytes.
pub const PACK_FILE_BYTES_MAX: usize = 16 << 20;
/// Most nodes (values) of one YAML file, and its deepest nesting.
pub const YAML_NODES_MAX: usize = 2_000_000;
/// Deepest nesting of a YAML file.
pub const YAML_DEPTH_MAX: usize = 32;
/// Most errors reported for one pack; the rest is counted.
pub const PACK_ERRORS_MAX: usize = 200;
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
/// Most tenants with identity keys in memory; past it the keys of the one unused for longest go to the disk.
pub const IDENTITY_TENANTS_MAX: usize = 4096;
/// So many times as many tenants have identity keys on disk; past it those of the one unused for longest are
/// forgotten, and counted.
pub const IDENTITY_TENANTS_KNOWN: usize = 16;
/// Most evicted keys remembered per tenant and group; past it the whole group is undecided as far back as what is
/// forgotten.
pub const FEATURE_EVICTED_MAX: usize = 65_536;
/// How many panes go into a window at least: a pane that one of a window's ends cuts is at most this part of it; where
/// it is wider the window is undecided.
pub const FEATURE_PANES_PER_WINDOW: i64 = 60;
/// Most panes of one key; past it the oldest is dropped and the windows that reach it are undecided. About 0.1 kB each.
pub const FEATURE_PANES_MAX: usize = 4096;
/// Most reversals and completions that wait for their payment, over all tenants; a further one does not wait, and is
/// counted. About 0.4 kB each.
pub const FOLLOW_UPS_WAITING_MAX: usize = 1 << 18;
/// Most of them of one tenant.
pub const FOLLOW_UPS_PER_TENANT_MAX: usize = 1 << 14;
/// How long they wait, in ms of arrival time; then they are let go, and counted.
pub const FOLLOW_UPS_WAIT_MS: i64 = 7 * 86_400_000;
/// Most payments that a message may mean by what it refers to (the classes of an id, under each tag key).
pub const REFERS_MAX: usize = 4 * (1 + TAG_KEYS_EARLIER_MAX);
/// Most tag keys under which tags are made beside the one in force, after rotations.
pub const TAG_KEYS_EARLIER_MAX: usize = 2;
/// Longest rule expression, in bytes.
pub const EXPRESSION_BYTES_MAX: usize = 16 * 1024;
/// Deepest nesting of a rule expression's syntax tree.
pub const EXPRESSION_DEPTH_MAX: usize = 64;
/// Most steps the macros of one rule expression may take together (nested ones multiply); more is refused.
pub const MACRO_STEPS_MAX: usize = 10_000;
/// Largest compiled form of one constant pattern, in bytes; a larger one is refused.
pub const PATTERN_PROGRAM_BYTES_MAX: usize = 1 << 20;
/// Most patterns in one pack; more are refused.
pub const PATTERNS_PER_PACK_MAX: usize = 20_000;
/// Most declared patterns in one generation (each is a slot); more are refused.
pub const PATTERNS_MAX: usize = 40_000;
/// Most `matches(…)` of rules that the pattern stage answers; further ones are evaluated by the rules themselves.
pub const PATTERN_LIFTS_MAX: usize = 20_000;
/// Longest pattern, in bytes as written; a longer one is refused.
pub const PATTERN_BYTES_MAX: usize = 2048;
/// Deepest nesting of a pattern.
pub const PATTERN_DEPTH_MAX: usize = 64;
/// Most characters of a pattern whose repeats are written out; a larger one is refused.
pub const PATTERN_POSITIONS_MAX: usize = 16_000;
/// Largest edit or Hamming distance of a pattern.
pub const PATTERN_DISTANCE_MAX: u8 = 4;
/// Largest compiled form of a pattern's regex twin, in bytes; a pattern that needs one and is larger is refused.
pub const PATTERN_TWIN_BYTES_MAX: usize = 10 << 20;
/// Most places of one pattern in one text that are shown.
pub const PATTERN_PLACES_MAX: usize = 64;
/// Most lists in one generation (a hit set is a bitmap of this many bits).
pub const LISTS_MAX: usize = 64;
/// Longest list name, in bytes.
pub const LIST_NAME_BYTES_MAX: usize = 64;
/// Most entries in one list snapshot, and in all lists of one generation together; more are refused at build.
pub const LIST_ENTRIES_MAX: u64 = 1 << 28;
/// Highest severity of a list entry.
pub const SEVERITY_MAX: u8 = 100;
/// Most live entries that deltas have added plus base entries they have ended; a delta past it is refused whole
/// until they have been folded into the base, which begins at `FOLD_AT`. About 0.8 kB each: 210 MB at the bound.
pub const OVERLAY_ENTRIES_MAX: usize = 1 << 18;
/// So many of them begin a fold, where the config says nothing else: half, so that deltas go on meanwhile.
pub const FOLD_AT: usize = OVERLAY_ENTRIES_MAX / 2;
/// Most ended delta entries kept so that `explain` finds them; past it the one ended first is forgotten.
pub const OVERLAY_ENDED_MAX: usize = 1 << 16;
/// List hits of one transaction held without allocating; more hits allocate (a verdict is never cut short).
pub const HITS_RESERVED: usize = 256;
/// Most entries in one list delta (one PUT); a larger one is refused whole.
pub const DELTA_ENTRIES_MAX: usize = 10_000;
/// Most reasons in one verdict, strongest first; weaker ones past it are left out.
pub const REASONS_MAX: usize = 64;
/// Highest score (scores are integers, so that every path agrees exactly).
pub const SCORE_MAX: u16 = 1000;
/// Most screens in one generation.
pub const SCREENS_MAX: usize = 16;
/// Most watchlists of one screen.
pub const WATCHLISTS_PER_SCREEN_MAX: usize = 8;
/// Most watchlists in one generation.
pub const WATCHLISTS_MAX: usize = 32;
/// Most banks in one generation.
pub const BANKS_MAX: usize = 8;
/// Most attributes of a fingerprint.
pub const BANK_ATTRIBUTES_MAX: usize = 64;
/// Dimensions of a vector; a bank declares as many or fewer.
pub const BANK_DIMENSIONS: usize = 64;
/// Most steps of an attribute.
pub const BANK_STEPS_MAX: usize = 64;
/// Most nearest neighbours that a bank is asked for.
pub const BANK_NEIGHBOURS_MAX: usize = 64;
/// Most payments a bank holds per tenant; past what it declares the oldest are forgotten.
pub const BANK_CAPACITY_MAX: u32 = 4_000_000;
/// Most payments that wait for a label so that banks can learn them, over all tenants; past it the oldest are
/// forgotten, and their labels teach no bank. About 100 bytes each per bank.
pub const BANK_WAITING_MAX: usize = 1 << 20;
/// Largest model file, in bytes; a larger one is refused.
pub const MODEL_FILE_BYTES_MAX: usize = 16 << 20;
/// Most protobuf messages of one model file (nodes, attributes, tensors, names), counted before it is decoded.
pub const MODEL_MESSAGES_MAX: usize = 1 << 16;
/// Most inputs (slots) of one model.
pub const MODEL_INPUTS_MAX: usize = 256;
/// Most operators of one model's graph, after those that its score does not depend on are left out.
pub const MODEL_OPERATORS_MAX: usize = 256;
/// Widest row of numbers between two operators of a model that is not a tree ensemble, and its largest tensor.
pub const MODEL_WIDTH_MAX: usize = 4096;
/// Most multiplications of one score of a model that is not a tree ensemble; about a millisecond.
pub const MODEL_PRODUCTS_MAX: u64 = 1 << 22;
/// Most trees of one ensemble.
pub const MODEL_TREES_MAX: usize = 4096;
/// Most nodes, leaves included, of one ensemble.
pub const MODEL_NODES_MAX: usize = 1 << 20;
/// Most classes that compete for one score (softmax over trees).
pub const MODEL_COMPETING_MAX: usize = 64;
/// Deepest tree of an ensemble, in decisions.
pub const MODEL_DEPTH_MAX: usize = 64;
/// Most bytes that the compressed buffers of one batch of an Arrow feed become; more are refused before any is read.
pub const FEED_BATCH_BYTES_MAX: u64 = 512 << 20;
/// Most bytes that the compressed buffers of all dictionaries of an Arrow feed become.
pub const FEED_DICTIONARY_BYTES_MAX: u64 = 512 << 20;
/// Largest unit cost that a profile may set, in ps (a ms): no sum over a rule, a model or a field's patterns overflows.
pub const COST_PS_MAX: u64 = 1_000_000_000;
/// Most models in one generation.
pub const MODELS_MAX: usize = 32;
/// Largest absolute sum of an ensemble's leaves, one of each tree; sums are i64 in units of 2^-32.
pub const MODEL_SUM_MAX: i64 = 1 << 30;
/// Most letters of a folded name (transliteration may lengthen text); what is past it takes no part in screening.
pub const NAME_LETTERS_MAX: usize = 4096;
/// Most words of a name that are compared one by one; the letters of further ones still count in the whole.
pub const NAME_TOKENS_MAX: usize = 32;
/// Longest word of a folded name, in letters; a longer one is cut. The kernels' longest name.
pub const TOKEN_LETTERS_MAX: usize = 64;
/// Most entries of one watchlist; a bigger one is refused.
pub const WATCHLIST_ENTRIES_MAX: usize = 4_000_000;
/// Most names of one watchlist entry (primary and aliases); more are refused.
pub const WATCHLIST_NAMES_PER_ENTRY_MAX: usize = 1024;
/// Names whose screening a lane keeps for when they come again, 40 bytes each; past it those asked for longest ago are
/// searched anew.
pub const NAMES_KNOWN_MAX: usize = 1 << 15;
/// Longest batch of the journal, in bytes as stored; a larger append is refused, a larger length read is damage.
pub const JOURNAL_BATCH_BYTES_MAX: usize = 64 << 20;
/// Most bytes of journal batches in memory that are not safe on the disk yet, where the config says nothing else; at
/// it payments are refused.
pub const JOURNAL_UNWRITTEN_BYTES_MAX: u64 = 64 << 20;
/// Most payments without some stage that wait to be finished, where the config says nothing else; past it the one of the
/// latest cut-off is let go, counted, and found again in the journal when the others are done. About 0.1 kB each.
pub const UNFINISHED_MAX: usize = 1 << 18;
/// Most that the config may say.
pub const UNFINISHED_CEILING: usize = 1 << 24;
/// Most views held for them (a list delta or a lesson makes a new one, which shares most with the others); the views of
/// further ones are made again from the journal. A lesson copies a segment of 1,024 prints: 72 kB a bank at most.
pub const UNFINISHED_VIEWS_MAX: usize = 256;
/// Most generations that those views are of; at a further one the oldest are let go.
pub const UNFINISHED_GENERATIONS_MAX: usize = 2;
/// Most networks of one generation; more are refused at publication, as with all of settlement's bounds below.
pub const NETWORKS_MAX: usize = 256;
/// Most values in the conditions of one network: each is compared with every payment that gets as far.
pub const NETWORK_VALUES_MAX: usize = 4096;
/// Most calendars of one generation.
pub const CALENDARS_MAX: usize = 64;
/// Most cut-offs of one calendar: 16 a day for ten years. 12 bytes each in the generation.
pub const CALENDAR_ENTRIES_MAX: usize = 1 << 16;
/// Most rows that say which calendar, lever or terms of holds are whose, of each.
pub const SETTLEMENT_ROWS_MAX: usize = 4096;
/// Most views that one pass over the journal makes again.
pub const UNFINISHED_REMADE_MAX: usize = 4096;
/// Holds that wait for somebody at once. A payment that would be one more is stopped without a hold of its own: the
/// gate refuses it, and it is counted. About 0.5 kB each.
pub const HOLDS_OPEN_MAX: usize = 1 << 18;
/// Holds and cases that have ended and are still shown; past it the one that ended first is only in the journal. What
/// may not settle stays known.
pub const HOLDS_ENDED_MAX: usize = 1 << 18;
/// How long after its cut-off (or after its hold has ended, where that is later) the book knows that a payment has gone, is
/// stopped or was too late, in ms: 60 days. Past it the gate says `unknown`. The window keeps rows for less.
pub const SETTLED_KEPT_MS: i64 = 60 * 86_400_000;
/// How long it knows that a payment was taken back in full, whose cut-off the book does not know, in ms from the reversal:
/// 400 days.
pub const REVERSED_KEPT_MS: i64 = 400 * 86_400_000;
/// Most that the config may say of how long the window keeps a payment after its cut-off, in hours; with the week that a
/// node may stand still before the archive has it, less than the book knows it.
pub const WINDOW_KEPT_H_MAX: i64 = 50 * 24;
/// Acts of one hold that are told; later ones take effect and are in the journal only.
pub const HOLD_ACTS_MAX: usize = 64;
/// Longest comment on a hold, in bytes; a longer one is refused.
pub const HOLD_COMMENT_BYTES_MAX: usize = 4096;
/// What was learned and not hunted yet, in events; past it neighbours are taken together: as published as the earlier,
/// as far as the later, so that the gate asks for more, never for less.
pub const LEARNED_MAX: usize = 1 << 16;
/// Payments whose label the book knows, about 60 bytes each; past it the earliest payment's is in the journal only, so
/// that its hold and its row of the archive do not show it.
pub const LABELLED_MAX: usize = 1 << 18;
/// Holds and cases that a reader of the journal keeps; one with more is not told of in one report.
pub const PAST_HOLDS_MAX: usize = 1 << 22;
/// Labels that a reader of the journal keeps, likewise.
pub const PAST_LABELS_MAX: usize = 1 << 23;
/// Most payments in one event of the gate; a longer request becomes several.
pub const CLEAR_EVENT_MAX: usize = 1000;
/// Most payments in one request to the gate; a longer one is refused (413).
pub const CLEAR_IDS_MAX: usize = 10_000;
/// Facts of payments at the gate that are kept in memory, about 120 bytes each: past it those asked for longest ago are
/// read from the journal again.
pub const CLEAR_FACTS_MAX: usize = 1 << 17;
/// Most holds in one request that does the same with several; a longer one is refused (413).
pub const HOLDS_AT_ONCE_MAX: usize = 1000;
/// Most holds in one page.
pub const HOLDS_PAGE_MAX: usize = 1000;

const _: () = assert!(TEXT_BYTES_MAX < BODY_BYTES_MAX);
const _: () = assert!(NAMES_KNOWN_MAX.is_power_of_two());
const _: () = assert!(JOURNAL_BATCH_BYTES_MAX >= 2 * MICRO_BATCH_MAX * BODY_BYTES_MAX);
const _: () = assert!(IDENTIFIER_BYTES_MAX <= TEXT_BYTES_MAX);
const _: () = assert!(NAME_TOKENS_MAX <= u32::BITS as usize && NAME_LETTERS_MAX <= u16::MAX as usize);
const _: () = assert!(TOKEN_LETTERS_MAX <= 64 && WATCHLIST_NAMES_PER_ENTRY_MAX <= u16::MAX as usize);
const _: () = assert!(AMOUNT_MINOR_MAX < i64::MAX / 8192);
const _: () =
    assert!(AMOUNT_MINOR_MAX < FEATURE_AMOUNT_MINOR_MAX && FEATURE_AMOUNT_MINOR_MAX < i64::MAX / 64);
const _: () = assert!(FEATURE_SPAN_MS_MAX < u32::MAX as i64);
const _: () = assert!(IDENTITY_TENANTS_KNOWN >= 2);
const _: () = assert!(WINDOW_KEPT_H_MAX * 3_600_000 + 8 * 86_400_000 < SETTLED_KEPT_MS);
const _: () = assert!(SETTLED_KEPT_MS <= REVERSED_KEPT_MS);
const _: () = assert!(LISTS_MAX <= 64);
const _: () = assert!(CALENDARS_MAX <= u16::MAX as usize);
const _: () = assert!(UNFINISHED_MAX <= UNFINISHED_CEILING && UNFINISHED_GENERATIONS_MAX >= 1);
const _: () = assert!(FOLLOW_UPS_PER_TENANT_MAX <= FOLLOW_UPS_WAITING_MAX);
const _: () = assert!(MODEL_FILE_BYTES_MAX <= PACK_FILE_BYTES_MAX);
const _: () = assert!(LIST_ENTRIES_MAX < u32::MAX as u64);
const _: () = assert!(DELTA_ENTRIES_MAX <= 1 << 16);
const _: () = assert!(PATTERNS_MAX + FEATURE_SLOTS_MAX + 512 < u16::MAX as usize);
const _: () = assert!(PATTERNS_PER_PACK_MAX <= PATTERNS_MAX);
