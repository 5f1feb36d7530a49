//! What the hub knows and changes: registry and logs, proposals that wait for signatures, bodies, the secrets of tag keys.
//! A leaf is durable before the registry takes it over, so that what is answered is what a start would replay.

use super::book::Book;
use super::config::HubConfig;
use super::entry::{Caller, Callers};
use super::evaluate::MERGE_MS;
use super::keys::HubKeys;
use super::metrics::Metrics;
use crate::alliance::folder::{Files, Held};
use anyhow::{Context, Result, bail};
use arc_swap::ArcSwap;
use interdict_consortium::error::{Error, ErrorKind};
use interdict_consortium::keys::VerifierKey;
use interdict_consortium::log::Checkpoint;
use interdict_consortium::member::{Applied, Numbered, Offered, Registry};
use interdict_consortium::note::Note;
use interdict_consortium::query::{self, Promise};
use interdict_consortium::signal;
use interdict_consortium::tag::limit::{Limiter, Rate};
use interdict_consortium::tag::oblivious::Service;
use interdict_consortium::tag::random::Random;
use interdict_consortium::{member, tag};
use interdict_engine::generation::hex;
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Longest note that is proposed: a leaf's bound.
pub const PROPOSAL_BYTES_MAX: usize = interdict_consortium::limits::LEAF_BYTES_MAX;

/// How long a proposal may wait for signatures, in ms: a month.
const PENDING_MS_MAX: u64 = 30 * 86_400_000;

type Answer<T> = std::result::Result<T, Error>;

/// What became of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proposed {
    /// It is a leaf now.
    Leaf(u64, Applied),
    /// It waits; what is missing, for people.
    Waits(String),
}

/// The hub.
pub struct Hub {
    /// The configuration.
    pub config: HubConfig,
    /// Its keys.
    pub keys: HubKeys,
    /// The governance log.
    pub governance: Book,
    /// The query log.
    pub queries: Book,
    /// Who may ask.
    pub callers: Arc<Callers>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// How much each member may ask.
    pub limiter: Mutex<Limiter>,
    /// Its folder.
    pub held: Held,
    /// Contributions' bodies, by hash.
    pub bodies: Files,
    registry: ArcSwap<Registry>,
    pending: Mutex<Pending>,
    services: RwLock<HashMap<u32, Arc<Service>>>,
    halted: AtomicBool,
}

struct Pending {
    files: Files,
    list: member::Pending,
}

impl Hub {
    /// Opens a folder that was founded.
    ///
    /// # Errors
    /// A folder that is none, is served already, or whose logs are not whole.
    pub fn open(config: HubConfig, held: Held, metrics: Arc<Metrics>) -> Result<Hub> {
        let keys = HubKeys::load(held.path())?;
        let governance = Book::open(&held, "governance", keys.governance.clone(), metrics.clone())?;
        let queries = Book::open(&held, "queries", keys.queries.clone(), metrics.clone())?;
        let registry = replay(&governance)?;
        if registry.operator().logs != keys.logs() {
            bail!("{}: the registry names other keys for the logs than these", held.path().display());
        }
        let rate = rate_of(&config)?;
        let pending = Pending::open(held.files("pending")?, &registry)?;
        let hub = Hub {
            keys,
            governance,
            queries,
            callers: Arc::default(),
            limiter: Mutex::new(Limiter::new(rate)),
            bodies: held.files("bodies")?,
            registry: ArcSwap::from_pointee(registry),
            pending: Mutex::new(pending),
            services: RwLock::default(),
            halted: AtomicBool::new(false),
            metrics,
            held,
            config,
        };
        let now_ms = now_ms();
        hub.governance.checkpoint(now_ms)?;
        hub.queries.checkpoint(now_ms)?;
        hub.load_services()?;
        hub.tell();
        Ok(hub)
    }
    /// The registry as it is.
    pub fn registry(&self) -> Arc<Registry> {
        self.registry.load_full()
    }
    /// The name of the alliance.
    pub fn alliance(&self) -> String {
        self.registry.load().alliance().to_owned()
    }
    /// Takes the certificates and roles of the registry over, and counts.
    fn tell(&self) {
        let registry = self.registry.load();
        self.callers.set(registry.active().flat_map(|member| {
            let caller = Caller {
                id: member.id,
                name: member.profile.name.as_str().into(),
                roles: member.profile.roles,
            };
            member.profile.tls.iter().map(move |pin| (*pin, caller.clone())).collect::<Vec<_>>()
        }));
        self.metrics.governance(registry.active().count(), self.pending.lock().list.iter().count());
    }
    /// Loads the secrets of the two newest versions of the tag key.
    fn load_services(&self) -> Result<()> {
        let registry = self.registry.load();
        let mut services = HashMap::new();
        for version in alive_versions(&registry) {
            let (_, service) = self.keys.version(version).with_context(|| format!("tag key {version}"))?;
            let said = registry.tag_key_of(version).map(|leaf| leaf.key.voprf);
            if said != Some(*service.public().bytes()) {
                bail!("the secret of tag key {version} is not the one that the registry names");
            }
            services.insert(version, Arc::new(service));
        }
        *self.services.write() = services;
        Ok(())
    }
    /// The tag service of a version of the tag key.
    ///
    /// # Errors
    /// `Stale` for a version that is not alive.
    pub fn service(&self, version: u32) -> Answer<Arc<Service>> {
        let found = self.services.read().get(&version).cloned();
        found.ok_or_else(|| {
            Error::new(ErrorKind::Stale, format!("version {version} of the tag key is not alive"))
        })
    }

    /// Takes a note: adds its signatures to those that wait, and makes it a leaf once nothing is missing.
    ///
    /// # Errors
    /// As [`Registry::check`]; `TooLarge` where too many proposals wait.
    pub fn propose(&self, note: &Note) -> Answer<Proposed> {
        self.check_halted()?;
        if Numbered::of_text(note.text()) == Some(Numbered::Contribution) {
            return Err(Error::new(
                ErrorKind::Invalid,
                "a contribution comes with its body, by another call",
            ));
        }
        let mut pending = self.pending.lock();
        let registry = self.registry.load_full();
        pending.list.expire(now_ms().saturating_sub(PENDING_MS_MAX));
        let offered = pending.list.offer(&registry, note, now_ms())?;
        let proposed = match offered {
            Offered::Waiting(missing) => Proposed::Waits(missing.to_string()),
            Offered::Ready(note) => {
                let (leaf, applied) = self.append(&note)?;
                self.go_on(&mut pending)?;
                Proposed::Leaf(leaf, applied)
            }
        };
        pending.keep().map_err(|e| storage(&e))?;
        drop(pending);
        self.tell();
        Ok(proposed)
    }
    /// What becomes of the proposals that wait now that the registry has moved on: some may be complete.
    fn go_on(&self, pending: &mut Pending) -> Answer<()> {
        // Each leaf may make others complete or void; every round takes one at least off the list.
        loop {
            let (ready, _) = pending.list.refresh(&self.registry.load());
            if ready.is_empty() {
                return Ok(());
            }
            for note in ready {
                if self.registry.load().check(&note).is_ok() {
                    self.append(&note)?;
                }
            }
        }
    }
    /// The proposals that wait.
    pub fn pending(&self) -> Vec<Note> {
        self.pending.lock().list.iter().map(|(_, proposal)| proposal.note.clone()).collect()
    }
    /// Takes a contribution: its body is durable before its manifest is a leaf. A signed promise: of the leaf by the hash
    /// of its bytes, of the request by that of the manifest's text, of the body by its own.
    ///
    /// # Errors
    /// As [`signal::Manifest::open`], [`signal::Manifest::body`], [`signal::Manifest::admit`] and [`Registry::check`].
    pub fn contribute(&self, note: &Note, body: &[u8], caller: &Caller) -> Answer<Note> {
        self.check_halted()?;
        let registry = self.registry.load();
        let from = registry.member(caller.id).ok_or_else(|| Error::new(ErrorKind::Forbidden, "no member"))?;
        let manifest = signal::Manifest::open(note, std::slice::from_ref(&from.profile.sign))?;
        let rows = manifest.body(body)?;
        let policies = crate::alliance::view::policies(registry.rules())?;
        // Held until the leaf is there: two of one number must not both pass.
        let pending = self.pending.lock();
        let registry = self.registry.load();
        let previous = registry.latest(Numbered::Contribution, Some(caller.id)).map(|latest| latest.number);
        let alive = alive_versions(&registry);
        let at = signal::manifest::Admission {
            previous,
            alive: &alive,
            policies: &policies,
            now_ms: Some(now_ms()),
        };
        registry.check(note)?;
        manifest.admit(&rows, &at)?;
        let name = hex(&manifest.sha256);
        if self.bodies.len(&name).map_err(|e| io(&name, &e))? != Some(body.len() as u64) {
            self.bodies.write(&name, body).map_err(|e| io(&name, &e))?;
        }
        let (index, _) = self.append(note)?;
        drop(pending);
        let promise = Promise {
            log: self.keys.governance.verifier().name().to_owned(),
            index,
            leaf: query::hash(note.encode().as_bytes()),
            merge_by_ms: now_ms() + MERGE_MS,
            request: query::hash(note.text().as_bytes()),
            response: manifest.sha256,
        };
        let mut promise = Note::new(promise.encode()?)?;
        promise.sign(&self.keys.governance);
        Ok(promise)
    }
    /// Makes a note that was checked the next leaf. Who calls holds the lock of what waits.
    fn append(&self, note: &Note) -> Answer<(u64, Applied)> {
        let range = self.governance.append(&[note.encode().as_bytes()])?;
        let mut registry = Registry::clone(&self.registry.load());
        let applied = registry.apply(range.start, note)?;
        self.registry.store(Arc::new(registry));
        self.governance.checkpoint(now_ms())?;
        match applied {
            Applied::TagKey(_) => self.load_services().map_err(|e| storage(&e))?,
            Applied::Admitted(_) | Applied::Rotated(_) | Applied::Reinstated(_) => self.give_copies()?,
            _ => {}
        }
        Ok((range.start, applied))
    }
    /// Seals the tag key in force to members who lack it: those admitted, or with another key, since.
    fn give_copies(&self) -> Answer<()> {
        let registry = self.registry.load();
        let Some(newest) = registry.tag_key() else { return Ok(()) };
        let (key, _) = self.keys.version(newest.key.version).map_err(|e| storage(&e))?;
        let sealed = seal_for(&key, registry.alliance(), registry.lacks_tag_key())?;
        if sealed.is_empty() {
            return Ok(());
        }
        let record = member::TagKey { created_ms: now_ms(), sealed, ..newest.key.clone() };
        let mut note = Note::new(member::Spelled::to_text(&record)?)?;
        note.sign(&self.keys.sign);
        self.append(&note).map(drop)
    }
    /// Appends a note of the operator's own that is complete.
    ///
    /// # Errors
    /// As [`Registry::check`].
    pub fn publish(&self, note: &Note) -> Answer<u64> {
        self.check_halted()?;
        let _pending = self.pending.lock();
        self.registry.load().check(note)?;
        Ok(self.append(note)?.0)
    }

    /// Compares a checkpoint that this hub's keys have signed with the log here. Where the log does not extend it, the hub
    /// stops for good: going on would make a second history.
    ///
    /// # Errors
    /// As [`Checkpoint::verify`]; `Equivocation` where the hub stops.
    pub fn compare(&self, seen: &Note) -> Answer<()> {
        let origin = seen.text().lines().next().unwrap_or_default();
        let book = self.book(origin)?;
        let keys: &[VerifierKey] = match origin == self.keys.governance.verifier().name() {
            true => std::slice::from_ref(self.keys.governance.verifier()),
            false => std::slice::from_ref(self.keys.queries.verifier()),
        };
        let checkpoint = Checkpoint::verify(seen, keys)?;
        // The queries' newest leaves may be durable and not under a checkpoint that this process has signed.
        match book.check_extends(&checkpoint) {
            Err(error) if matches!(error.kind, ErrorKind::Stale | ErrorKind::Equivocation) => {
                self.halted.store(true, Ordering::SeqCst);
                tracing::error!(
                    "a member has seen {} leaves of {origin} that this folder does not have: it was restored from an older \
                     copy. Nothing is written any more; docs/formats/alliance.md says what to do",
                    checkpoint.size
                );
                Err(Error::new(ErrorKind::Equivocation, format!("the hub has stopped: {}", error.message)))
            }
            other => other,
        }
    }
    /// The log of an origin.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn book(&self, origin: &str) -> Answer<&Book> {
        if origin == self.keys.governance.verifier().name() {
            return Ok(&self.governance);
        }
        match origin == self.keys.queries.verifier().name() {
            true => Ok(&self.queries),
            false => Err(Error::new(ErrorKind::NotFound, "no log of this alliance")),
        }
    }
    /// Whether the hub has stopped writing.
    pub fn is_halted(&self) -> bool {
        self.halted.load(Ordering::SeqCst)
    }
    /// Stops writing.
    pub fn halt(&self) {
        self.halted.store(true, Ordering::SeqCst);
    }
    /// # Errors
    /// `Storage` once the hub has stopped.
    pub fn check_halted(&self) -> Answer<()> {
        match self.is_halted() {
            false => Ok(()),
            true => Err(Error::new(
                ErrorKind::Storage,
                "the hub has stopped writing; its operator's log says why",
            )),
        }
    }
}

impl Pending {
    fn open(files: Files, registry: &Registry) -> Result<Pending> {
        let mut list = member::Pending::new();
        for name in files.list("")? {
            let bytes = files.read(&name)?.unwrap_or_default();
            let note = Note::parse(&bytes).with_context(|| format!("pending/{name}"))?;
            // One that the log took just before the hub ended is no proposal any more.
            if let Err(error) = list.offer(registry, &note, now_ms()) {
                tracing::info!(proposal = name, "dropped: {error}");
            }
        }
        let pending = Pending { files, list };
        pending.keep()?;
        Ok(pending)
    }
    /// Makes the files those of the list.
    fn keep(&self) -> Result<()> {
        let wanted: BTreeMap<String, String> =
            self.list.iter().map(|(hash, proposal)| (hex(hash), proposal.note.encode())).collect();
        for name in self.files.list("")?.iter().filter(|name| !wanted.contains_key(*name)) {
            self.files.remove(name)?;
        }
        for (name, note) in &wanted {
            if self.files.read(name)?.as_deref() != Some(note.as_bytes()) {
                self.files.write(name, note.as_bytes())?;
            }
        }
        Ok(())
    }
}

/// The registry that a log makes, durable leaves without a checkpoint included.
///
/// # Errors
/// A log without a genesis; a leaf that is none.
pub fn replay(book: &Book) -> Result<Registry> {
    let size = book.size();
    if size == 0 {
        bail!("the governance log is empty: interdict hub found begins it");
    }
    let mut registry = Registry::found(&Note::parse(&book.leaf(0)?)?)?;
    for leaf in 1..size {
        registry.apply(leaf, &Note::parse(&book.leaf(leaf)?)?)?;
    }
    Ok(registry)
}

/// The versions of the tag key whose tags are still made: the newest two.
pub fn alive_versions(registry: &Registry) -> Vec<u32> {
    let newest = registry.tag_key().map_or(0, |leaf| leaf.key.version);
    (newest.saturating_sub(1).max(1)..=newest).collect()
}

/// Seals a tag key to members.
///
/// # Errors
/// `Invalid` for a member whose key is none.
pub fn seal_for<'a>(
    key: &tag::keyed::TagKey,
    alliance: &str,
    members: impl Iterator<Item = &'a member::Member>,
) -> Answer<BTreeMap<String, Vec<u8>>> {
    let mut fill = |bytes: &mut [u8]| getrandom::fill(bytes).expect("the system has randomness");
    let mut random = Random::new(&mut fill);
    let mut sealed = BTreeMap::new();
    for member in members {
        let name = member.profile.name.as_str();
        let copy = tag::sealing::seal(key, alliance, name, &member.profile.hpke, &mut random)?;
        sealed.insert(name.to_owned(), copy.to_vec());
    }
    Ok(sealed)
}

fn rate_of(config: &HubConfig) -> Result<Rate> {
    let queries = &config.hub.queries;
    let per_hour = u32::try_from(queries.items_per_s.saturating_mul(3_600)).unwrap_or(u32::MAX);
    let burst = u32::try_from(queries.burst_items).unwrap_or(u32::MAX);
    Rate::new(per_hour, burst).context("hub.queries")
}

/// The time, in ms since the Unix epoch.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// An error of the hub's folder, for the caller without its paths.
pub fn storage(error: &anyhow::Error) -> Error {
    tracing::error!("{error:#}");
    Error::new(ErrorKind::Storage, "the hub's folder does not take or give what it should")
}

fn io(name: &str, error: &std::io::Error) -> Error {
    tracing::error!("{name}: {error}");
    Error::new(ErrorKind::Storage, "the hub's folder does not take or give what it should")
}
