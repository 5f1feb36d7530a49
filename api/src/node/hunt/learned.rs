//! What was learned since the window was last hunted, as a plan: subjects to be looked for, and whether everything is to
//! be judged again.

use super::changes::{self, ChangedList};
use crate::node::Node;
use anyhow::{Result, anyhow};
use interdict_engine::domain::{
    Accepted, Body, Field, KeyId, Learned, LearnedWhat, ListDelta, Subject, SubjectKind, Tag,
};
use interdict_engine::generation::View;
use interdict_engine::lists::{Difference, ListMeta};
use interdict_engine::settlement::UnhuntedEvent;
use interdict_ledger::journal::RecordKind;
use interdict_ledger::window::{Hit, Query, Row, TagColumn, Wanted};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Events read from the journal at once.
const EVENTS_AT_ONCE: usize = 256;

/// A list delta that is to be hunted.
struct Delta {
    learned: Learned,
    /// Its tenant, where the list is not shared.
    owner: Option<Arc<str>>,
    delta: ListDelta,
}

/// What is to be hunted.
#[derive(Default)]
pub(super) struct Plan {
    deltas: Vec<Delta>,
    /// Lists that a publication changed, and nothing else.
    changed: Vec<Changed>,
    /// The last event by which any payment may be judged otherwise.
    pub(super) all: Option<Learned>,
    /// Whether nothing but lessons of banks asks for all to be judged.
    pub(super) lessons_only: bool,
}

impl Plan {
    /// What some events come to. `before`: what the window was last judged by, where that is known.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub(super) fn of(
        node: &Node,
        events: &[UnhuntedEvent],
        before: Option<&Lists>,
        view: &View,
    ) -> Result<Plan> {
        let mut plan = Plan { lessons_only: true, ..Plan::default() };
        // Of events that were taken together nothing is known but that they were.
        if let Some(last) = events.iter().rfind(|one| one.first != one.sequence) {
            let what = LearnedWhat::Generation(view.id());
            plan.all = Some(Learned { sequence: last.sequence, at_ms: last.at_ms, what });
            plan.lessons_only = false;
        }
        for some in events.chunks(EVENTS_AT_ONCE) {
            let wanted: Vec<_> = some.iter().map(|one| (RecordKind::Accepted, one.sequence)).collect();
            let records = node.reader.read_many(&wanted).map_err(|e| anyhow!("{e}"))?;
            for record in records.into_iter().flatten() {
                let accepted = Accepted::decode(&record.open, record.sealed.as_deref())?;
                plan.add(node, accepted, before, view)?;
            }
        }
        Ok(plan)
    }
    fn add(&mut self, node: &Node, accepted: Accepted, before: Option<&Lists>, view: &View) -> Result<()> {
        let (sequence, at_ms) = (accepted.sequence, accepted.event.arrival_ms);
        let learned = |what| Learned { sequence, at_ms, what };
        match accepted.event.body {
            Body::ListDelta(delta) => {
                let owner = (!delta.shared).then_some(accepted.event.tenant);
                let learned = learned(LearnedWhat::List(delta.list.clone()));
                // Rules that name a list were undecided for every payment while there was none.
                if is_new(&delta.list, owner.as_deref(), before, view) {
                    (self.all, self.lessons_only) = (Some(learned.clone()), false);
                }
                self.deltas.push(Delta { learned, owner, delta: *delta });
            }
            Body::Publish { generation } => {
                let learned = learned(LearnedWhat::Generation(generation));
                self.lessons_only = false;
                match changes::of(node, sequence, &generation)? {
                    Some(changed) => self
                        .changed
                        .extend(changed.into_iter().map(|list| Changed { learned: learned.clone(), list })),
                    None => self.all = Some(learned),
                }
            }
            _ => self.all = Some(learned(LearnedWhat::Label)),
        }
        Ok(())
    }
    /// What looks for all subjects that list deltas named, or that changed lists say otherwise of; `None` where there is
    /// none.
    pub(super) fn subjects(&self) -> Option<Subjects> {
        if self.deltas.is_empty() && self.changed.is_empty() {
            return None;
        }
        let mut subjects = Collected::default();
        let mut deltas = self.deltas.iter().peekable();
        let mut changed = self.changed.iter().peekable();
        // In the order of the events: the last word on a subject counts.
        loop {
            let is_delta = match (deltas.peek(), changed.peek()) {
                (Some(delta), Some(changed)) => delta.learned.sequence < changed.learned.sequence,
                (delta, None) if delta.is_none() => break,
                (delta, _) => delta.is_some(),
            };
            if is_delta {
                deltas.next().into_iter().for_each(|delta| subjects.delta(delta));
            } else {
                changed.next().into_iter().for_each(|list| subjects.list(list));
            }
        }
        Some(subjects.build())
    }
}

/// A list that a publication changed.
struct Changed {
    learned: Learned,
    list: ChangedList,
}

/// Subjects as they are collected.
#[derive(Default)]
struct Collected {
    wanted: Wanted,
    tags: HashMap<(u128, KeyId), Named>,
    cuts: BTreeSet<(KeyId, u8)>,
    ranges: Vec<(Subject, Named)>,
    learned: Vec<(Learned, bool)>,
}

impl Collected {
    fn delta(&mut self, one: &Delta) {
        let at = self.learned.len();
        self.learned.push((one.learned.clone(), false));
        let owner = one.owner.as_deref();
        let key = if owner.is_none() { KeyId::SHARED } else { KeyId::STATE };
        let added = one.delta.add.iter().map(|entry| (entry.subject, true));
        for (subject, added) in added.chain(one.delta.remove.iter().map(|subject| (*subject, false))) {
            self.wanted.add(owner, &subject);
            self.named(subject, key, Named { event: at, added });
        }
    }
    fn list(&mut self, one: &Changed) {
        let at = self.learned.len();
        self.learned.push((one.learned.clone(), true));
        let meta = &one.list.meta;
        if let Some(of) = meta.consortium.filter(|of| of.is_cut()) {
            self.cuts.insert((meta.key(), of.bits));
        }
        for (subject, difference) in &one.list.subjects {
            self.wanted.add_of(meta, subject);
            let named = Named { event: at, added: *difference == Difference::Listed };
            self.named(*subject, meta.key(), named);
        }
    }
    fn named(&mut self, subject: Subject, key: KeyId, named: Named) {
        match subject {
            Subject::Tag { tag, .. } => drop(self.tags.insert((tag.0, key), named)),
            _ => self.ranges.push((subject, named)),
        }
    }
    fn build(self) -> Subjects {
        let Collected { wanted, tags, cuts, ranges, learned } = self;
        Subjects { query: wanted.build(), tags, cuts, ranges, learned }
    }
}

/// The lists that there are: names and owners.
pub(super) struct Lists(BTreeSet<(String, Option<String>)>);

impl Lists {
    /// Those of a view.
    pub(super) fn of(view: &View) -> Lists {
        let lists = view.lists();
        let metas = (0..lists.len() as u16).filter_map(|number| lists.list_meta(number));
        let owner = |meta: &ListMeta| meta.tenant.as_deref().filter(|_| !meta.shared).map(str::to_owned);
        Lists(metas.map(|meta| (meta.name.clone(), owner(meta))).collect())
    }
    fn has(&self, name: &str, owner: Option<&str>) -> bool {
        self.0.contains(&(name.to_owned(), owner.map(str::to_owned)))
    }
}

/// Whether a list that has a slot in the generation may not have been there before.
fn is_new(list: &str, owner: Option<&str>, before: Option<&Lists>, view: &View) -> bool {
    if view.generation().list_slot(list).is_none() {
        return false;
    }
    match before {
        Some(before) => !before.has(list, owner),
        // Not known any more; a list of the configuration has been there.
        None => view.generation().lists().number(list, owner).is_none(),
    }
}

/// Who named a subject.
#[derive(Debug, Clone, Copy)]
struct Named {
    /// Its place among the events.
    event: usize,
    added: bool,
}

/// Subjects that deltas or changed lists named, and which event.
pub(super) struct Subjects {
    /// What looks for them in a chunk.
    pub(super) query: Query,
    tags: HashMap<(u128, KeyId), Named>,
    /// How many bits the truncated ones under a key have.
    cuts: BTreeSet<(KeyId, u8)>,
    ranges: Vec<(Subject, Named)>,
    /// The events, in their order, and whether each is a publication.
    learned: Vec<(Learned, bool)>,
}

/// What a row's hits come from.
pub(super) struct Cause {
    /// The latest event among them.
    pub(super) learned: Learned,
    /// Whether it added the subject.
    pub(super) added: bool,
    /// Whether it is a publication: as by one that changes all, a payment that was released is held again only for
    /// another reason than before.
    pub(super) published: bool,
}

impl Subjects {
    /// What a row's hits come from.
    pub(super) fn cause(&self, row: &Row<'_, '_>, hits: &[Hit]) -> Cause {
        let named = hits.iter().filter_map(|hit| match hit.field {
            Field::DeviceIp | Field::CardBin => self.of_range(hit.field),
            field => {
                let tag = row.tag(TagColumn::under(field, hit.key)?)?;
                let cuts = self.cuts.iter().filter(|(key, _)| *key == hit.key).map(|(_, bits)| *bits);
                let tags = cuts.map(|bits| Tag(tag).cut(bits).0).chain([tag]);
                tags.filter_map(|tag| self.tags.get(&(tag, hit.key)).copied()).max_by_key(|named| named.event)
            }
        });
        let last = named.max_by_key(|named| named.event);
        let last = last.unwrap_or(Named { event: self.learned.len() - 1, added: true });
        let (learned, published) = self.learned[last.event].clone();
        Cause { learned, added: last.added, published }
    }
    /// The latest event with ranges of a field's kind: which of them it was does not matter to anybody.
    fn of_range(&self, field: Field) -> Option<Named> {
        let kind = match field {
            Field::DeviceIp => SubjectKind::Ip,
            _ => SubjectKind::Bin,
        };
        let of_kind = self.ranges.iter().filter(|(subject, _)| subject.kind() == kind);
        of_kind.map(|(_, named)| *named).max_by_key(|named| named.event)
    }
}
