//! What the TOML file may say, section by section, with the defaults. Sections are named by the path's nouns.

use super::outward::{RailSection, WebhooksSection};
use super::settlement;
use crate::node::disk::{SyncLate, WhenUnwritable};
use interdict_engine::calibration::Calibration;
use interdict_engine::limits::{FOLD_AT, JOURNAL_UNWRITTEN_BYTES_MAX, UNFINISHED_MAX};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// The whole file.
#[derive(Debug, Clone, Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Hardware profile: a name under `hw-profiles/`, a path, or `auto`.
    pub profile: Profile,
    /// Where HTTP listens, and under which certificate.
    pub http: Http,
    /// Where keys lie, when not in the data folder.
    pub keys: Keys,
    /// How a file feed's columns map to our fields.
    pub feed: Feed,
    /// Velocity state.
    pub features: Features,
    /// Exact lists.
    pub lists: Lists,
    /// Listed names to be screened against: name → watchlist.
    pub watchlists: BTreeMap<String, Watchlist>,
    /// Similarity.
    pub similarity: Similarity,
    /// Rule packs.
    pub rules: Rules,
    /// Whose signatures over packs count.
    pub packs: PackSignatures,
    /// Outcomes, levers, deadlines.
    pub decision: Decision,
    /// Idempotency.
    pub identity: IdentitySection,
    /// The journal.
    pub journal: Journal,
    /// What was skipped for want of time, and is finished later.
    pub finish: FinishSection,
    /// Payments that are to settle, and how they are hunted.
    pub window: WindowSection,
    /// Where payments go that have settled.
    pub archive: ArchiveSection,
    /// Images of the state, so that a start need not read the whole journal.
    pub snapshot: Snapshot,
    /// Messages to the rail.
    pub rail: RailSection,
    /// Notices to others' servers.
    pub webhooks: WebhooksSection,
    /// When payments settle, what can stop them, how holds end.
    pub settlement: settlement::Section,
    /// What differs from tenant to tenant.
    pub tenants: BTreeMap<String, Tenant>,
}

/// The hardware profile's name, `embedded-2core` by default.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Profile(pub String);
impl Default for Profile {
    fn default() -> Self {
        Profile("embedded-2core".into())
    }
}

/// `[http]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Address and port. Anything but loopback needs `tls_certificate`, `tls_key` and an API key file.
    pub listen: String,
    /// PEM certificate chain.
    pub tls_certificate: Option<PathBuf>,
    /// PEM private key, 0600.
    pub tls_key: Option<PathBuf>,
    /// API keys, 0600; by default `keys/api-keys.toml` in the data folder where there is one.
    pub api_keys: Option<PathBuf>,
    /// Most requests being read or answered at once; further connections wait in the kernel's queue.
    pub requests_max: usize,
    /// Longest drain at SIGTERM, in ms.
    pub drain_ms: u64,
}
impl Default for Http {
    fn default() -> Self {
        Http {
            listen: "127.0.0.1:8470".into(),
            tls_certificate: None,
            tls_key: None,
            api_keys: None,
            requests_max: 1024,
            drain_ms: 10_000,
        }
    }
}

/// `[keys]`
#[derive(Debug, Clone, Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// Folder of the key files; `DIR/keys` of the data folder by default.
    pub dir: Option<PathBuf>,
}

/// `[feed]`
#[derive(Debug, Clone, Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Feed {
    /// Field → source column, constant or template. Without it a feed is JSONL in the wire's own form.
    pub columns: Option<toml::Table>,
}

/// `[features]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Features {
    /// How late an event may come and still repair windows, in seconds.
    pub lateness_s: i64,
    /// Most keys per tenant and key space.
    pub keys_max: usize,
    /// Exchange rates, `currency,valid_from,per_eur`, relative to the config file; without them sums over several
    /// currencies are undecided.
    pub rates: Option<PathBuf>,
}
impl Default for Features {
    fn default() -> Self {
        Features { lateness_s: 3600, keys_max: 16_000_000, rates: None }
    }
}

/// `[lists]`
#[derive(Debug, Clone, Serialize)]
pub struct Lists {
    /// Changes by deltas since the base at which they are folded into it.
    pub fold_at: usize,
    /// Name → list.
    #[serde(flatten)]
    pub named: BTreeMap<String, List>,
}
impl Default for Lists {
    fn default() -> Self {
        Lists { fold_at: FOLD_AT, named: BTreeMap::new() }
    }
}

/// Read by hand: serde's `flatten` would lose the line of a wrong key.
impl<'de> Deserialize<'de> for Lists {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Lists, D::Error> {
        struct Section;
        impl<'de> Visitor<'de> for Section {
            type Value = Lists;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of lists")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Lists, M::Error> {
                let mut lists = Lists::default();
                while let Some(key) = map.next_key::<String>()? {
                    if key == "fold_at" {
                        lists.fold_at = map.next_value()?;
                    } else {
                        lists.named.insert(key, map.next_value()?);
                    }
                }
                Ok(lists)
            }
        }
        deserializer.deserialize_map(Section)
    }
}

/// `[lists.NAME]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// A CSV, JSONL or built snapshot (`.ilist`), relative to the config file.
    pub file: PathBuf,
    /// The tenant it belongs to; without it every tenant shares it.
    #[serde(default)]
    pub tenant: Option<String>,
    /// What a block means.
    #[serde(default)]
    pub block_outcome: Option<String>,
    /// Reason code of a hit.
    #[serde(default)]
    pub code: Option<String>,
    /// Who may see a hit: internal, processor, customer.
    #[serde(default)]
    pub audience: Option<String>,
    /// A sanctions list: its blocks cannot be overridden unless an entry says so.
    #[serde(default)]
    pub sanctions: bool,
    /// How long its content is relied on, as in `24h`; without it for ever.
    #[serde(default)]
    pub fresh_for: Option<String>,
    /// What happens after that: `warn` (the default), `review` every payment at least, `stop` taking payments.
    #[serde(default)]
    pub when_stale: Option<String>,
}

/// `[watchlists.NAME]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Watchlist {
    /// OFAC CSV (`sdn.csv`, with `alt.csv` and `add.csv` beside it), UN XML, a CSV with a `name` column, or a built
    /// watchlist (`.inames`), relative to the config file.
    pub files: Vec<PathBuf>,
    /// How long its content is relied on, as in `24h`; without it for ever.
    #[serde(default)]
    pub fresh_for: Option<String>,
    /// What happens after that: `warn` (the default), `review` every payment at least, `stop` taking payments.
    #[serde(default)]
    pub when_stale: Option<String>,
}

/// `[similarity]`
#[derive(Debug, Clone, Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Similarity {
    /// Whether a GPU searches banks; the profile's by default.
    pub gpu: Option<GpuUse>,
}

/// Whether a GPU searches banks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum GpuUse {
    /// None is looked for.
    #[default]
    Off,
    /// One that is there, while it works.
    Auto,
    /// Without one the node does not start.
    Require,
}

/// `[rules]`
#[derive(Debug, Clone, Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Pack folders, relative to the config file.
    pub packs: Vec<PathBuf>,
}

/// `[packs]`: with a key in either list, every pack must be signed by one of them.
#[derive(Debug, Clone, Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct PackSignatures {
    /// Public keys of `minisign`, as the second line of a `minisign.pub`.
    pub minisign_keys: Vec<String>,
    /// Verifier keys of signed notes, `name+id+base64`.
    pub note_keys: Vec<String>,
}

/// `[decision]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Decision {
    /// Channel → what can still stop its payments; a channel that is not named has `none`.
    pub levers: BTreeMap<String, String>,
    /// Deadline where the caller gives none, in ms.
    pub deadline_ms: u32,
    /// Network whose code map answers where the payment's own network has no rows in it.
    pub network: String,
}
impl Default for Decision {
    fn default() -> Self {
        Decision { levers: BTreeMap::new(), deadline_ms: 1000, network: "default".into() }
    }
}

/// `[identity]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct IdentitySection {
    /// How long a key is remembered, in hours of arrival time.
    pub horizon_h: i64,
    /// Bound of one tenant's keys on disk, beyond those in memory, in MiB; 0: in memory only.
    pub disk_mib: usize,
}
impl Default for IdentitySection {
    fn default() -> Self {
        IdentitySection { horizon_h: 7 * 24, disk_mib: 1024 }
    }
}

/// `[journal]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Journal {
    /// Size at which a segment is closed, in MiB.
    pub segment_mib: u64,
    /// `os` or `disk`; the profile's by default.
    pub durability: Option<String>,
    /// How many generations are kept that the journal does not name (those it names are always kept: recovery and
    /// `verify` build each again).
    pub retain_generations: usize,
    /// What happens to payments while it cannot be written: `refuse`, or `continue` from memory.
    pub when_unwritable: WhenUnwritable,
    /// What happens to a payment whose deadline comes before its sync: `wait`, or `answer`.
    pub sync_late: SyncLate,
    /// Most of it that may be in memory and not safe on the disk, in MiB; at it payments are refused.
    pub unwritten_max_mib: u64,
    /// How long names and free text are kept, in days after the newest of their segment; for ever by default.
    pub retain_text_days: Option<u32>,
    /// How long a segment takes records, in hours; then it is closed, so that its text can be destroyed in time.
    pub segment_max_h: u32,
}
impl Default for Journal {
    fn default() -> Self {
        Journal {
            segment_mib: 256,
            durability: None,
            retain_generations: 64,
            when_unwritable: WhenUnwritable::default(),
            sync_late: SyncLate::default(),
            unwritten_max_mib: JOURNAL_UNWRITTEN_BYTES_MAX >> 20,
            retain_text_days: None,
            segment_max_h: 24,
        }
    }
}

/// `[finish]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct FinishSection {
    /// As `settlement.default_h`, which wins over it.
    pub cut_off_h: i64,
    /// Most payments that wait to be finished; past it those of the latest cut-off are looked for in the journal again
    /// when the others are done.
    pub queue_max: usize,
}
impl Default for FinishSection {
    fn default() -> Self {
        FinishSection { cut_off_h: 24, queue_max: UNFINISHED_MAX }
    }
}

/// `[window]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct WindowSection {
    /// Whether payments that are to settle are kept in a window, which is hunted when something is learned.
    pub enabled: bool,
    /// Most of one core's time, in hundredths, that it is hunted in; the profile's `background_percent` by default.
    pub percent: Option<u32>,
    /// How long a payment stays in it after its cut-off, in hours: so long a hit is still told, as a case too late.
    pub keep_h: i64,
    /// Lessons that banks learn from labels are hunted together, so many seconds apart at least.
    pub lessons_every_s: u64,
}
impl Default for WindowSection {
    fn default() -> Self {
        WindowSection { enabled: true, percent: None, keep_h: 24, lessons_every_s: 300 }
    }
}

/// `[archive]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ArchiveSection {
    /// Whether payments go into the archive when the window lets go of them.
    pub enabled: bool,
    /// How many days after its settlement a day is kept.
    pub keep_days: i64,
    /// How often what has settled is moved, in seconds.
    pub every_s: u64,
}
impl Default for ArchiveSection {
    fn default() -> Self {
        ArchiveSection { enabled: true, keep_days: 400, every_s: 30 }
    }
}

/// `[snapshot]`
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Snapshot {
    /// Whether images are written, and used at start.
    pub enabled: bool,
    /// Events since the newest image after which the next is made, beside the path.
    pub every_events: u64,
    /// Seconds after which it is made though fewer have come.
    pub every_s: u64,
    /// How many are kept: an older one serves where the newest does not.
    pub keep: usize,
}
impl Default for Snapshot {
    fn default() -> Self {
        Snapshot { enabled: true, every_events: 1_000_000, every_s: 900, keep: 2 }
    }
}

/// `[tenants.NAME]`
#[derive(Debug, Clone, Deserialize, Serialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Tenant {
    /// Levers that differ from `[decision.levers]`.
    pub levers: BTreeMap<String, String>,
    /// Lever → how holds end that differ from `[settlement.holds]`.
    pub holds: BTreeMap<String, settlement::HoldShape>,
    /// Deadline where the caller gives none, in ms.
    pub deadline_ms: Option<u32>,
    /// Its part of the machine beside other tenants that wait, 1 to 1000; 1 where it is not said.
    pub weight: Option<u32>,
    /// Most payments a second over HTTP, in the long run; past it 429.
    pub rate: Option<f64>,
    /// Most payments at once above the rate; as many as a second's by default.
    pub burst: Option<f64>,
    /// Most that the packs which judge it may cost together by their static costs, in µs a payment.
    pub cost_us: Option<u64>,
    /// Most entries in the lists of its own that list deltas may lead to.
    pub list_entries: Option<usize>,
    /// Most keys in each feature group, where it is less than `features.keys_max`.
    pub feature_keys: Option<usize>,
}

/// A file under `hw-profiles/`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Hardware {
    /// Threads that evaluate; 0: combining on the I/O threads.
    pub lanes: usize,
    /// HTTP worker threads.
    pub io_threads: usize,
    /// Transactions drained at once.
    pub micro_batch: usize,
    /// Sequencer and lanes on cores of their own.
    pub pin: bool,
    /// Turns of an empty loop before the sequencer or a lane parks.
    #[serde(default = "spins")]
    pub spins: u32,
    /// Payments that a lane may have waiting.
    #[serde(default = "ring")]
    pub ring: usize,
    /// After how many µs a parked thread looks again though nobody woke it.
    #[serde(default = "park_us")]
    pub park_us: u64,
    /// `os` or `disk`.
    pub durability: String,
    /// Bound of the feature state, in MiB.
    pub feature_memory_mib: usize,
    /// Bound of one tenant's identity keys in memory, in MiB.
    pub identity_memory_mib: usize,
    /// Transactions that labels and reversals can still find.
    pub originals: usize,
    /// Most of one core's time, in hundredths, that what was skipped is finished in while nobody waits; 0: never.
    #[serde(default = "background_percent")]
    pub background_percent: u32,
    /// Whether a GPU searches banks.
    #[serde(default)]
    pub gpu: GpuUse,
    /// What packs' budgets are held against; figures that are not there are the built-in table's.
    #[serde(default)]
    pub costs: Calibration,
    /// What `interdict tune` measured; nothing reads it but people.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub measured: toml::Table,
}

// As these were before profiles said them.
fn spins() -> u32 {
    64
}
fn ring() -> usize {
    256
}
fn park_us() -> u64 {
    1000
}
fn background_percent() -> u32 {
    25
}

impl Hardware {
    /// Threads that may be awake at once: HTTP, and where there are lanes, these and the sequencer.
    pub fn threads(&self) -> usize {
        let own = if self.lanes == 0 { 0 } else { self.lanes + 1 };
        own + self.io_threads
    }
}
