//! Lists as their definition reads: every entry that ever was, with the sequences between which it is seen, and a
//! linear look through all of them for each transaction.

use interdict_engine::domain::{
    Effect, Entry, Field, KeyId, ListDelta, Outcome, Subject, SubjectKind, Transaction, Value,
};
use std::net::IpAddr;

/// A list: whose it is, what a block means, and every entry it has ever had.
#[derive(Debug, Clone)]
pub struct List {
    /// Its name.
    pub name: String,
    /// Its owner; `None` for a list that all tenants share.
    pub owner: Option<String>,
    /// What a block means.
    pub block_outcome: Outcome,
    /// Every entry it has ever had.
    pub entries: Vec<Seen>,
}

/// An entry and who sees it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The entry.
    pub entry: Entry,
    /// Transactions with a greater sequence see it.
    pub from: u64,
    /// Transactions with a greater sequence no longer see it.
    pub to: Option<u64>,
}

/// A hit: the list's number, the entry's place in it, and the field.
pub type Found = (usize, usize, Field);

/// The outcome, and for each hit and each rule whether it was cancelled.
pub type Decision = (Option<Outcome>, Vec<bool>, Vec<bool>);

/// All lists, in the order of their numbers.
#[derive(Debug, Clone, Default)]
pub struct Lists(pub Vec<List>);

impl Lists {
    /// Takes a delta at a sequence.
    pub fn apply(&mut self, sequence: u64, tenant: &str, delta: &ListDelta) {
        let owner = if delta.shared { None } else { Some(tenant.to_owned()) };
        let number = match self.0.iter().position(|list| list.name == delta.list && list.owner == owner) {
            Some(number) => number,
            None => {
                let (name, block_outcome) = (delta.list.clone(), Outcome::Decline);
                self.0.push(List { name, owner, block_outcome, entries: Vec::new() });
                self.0.len() - 1
            }
        };
        let entries = &mut self.0[number].entries;
        for subject in delta.remove.iter().chain(delta.add.iter().map(|entry| &entry.subject)) {
            for seen in entries.iter_mut().filter(|seen| seen.entry.subject == *subject && seen.to.is_none())
            {
                seen.to = Some(sequence);
            }
        }
        entries.extend(delta.add.iter().map(|entry| Seen { entry: entry.clone(), from: sequence, to: None }));
    }

    /// What hits a transaction of this sequence.
    pub fn probe(&self, sequence: u64, transaction: &Transaction) -> Vec<Found> {
        let mut found = Vec::new();
        for (number, list) in self.0.iter().enumerate() {
            if list.owner.as_deref().is_some_and(|owner| owner != &*transaction.tenant) {
                continue;
            }
            let key = if list.owner.is_none() { KeyId(2) } else { KeyId(1) };
            for (place, seen) in list.entries.iter().enumerate() {
                let visible = seen.from < sequence && seen.to.is_none_or(|to| sequence <= to);
                let time = transaction.time_ms;
                let begun = seen.entry.valid_from_ms.is_none_or(|from| time >= from);
                let over = seen.entry.valid_to_ms.is_some_and(|to| time >= to);
                if visible && begun && !over {
                    let fields = fields(transaction, key, &seen.entry.subject);
                    found.extend(fields.into_iter().map(|field| (number, place, field)));
                }
            }
        }
        found
    }

    /// What hits and rules (by `pack/rule` and outcome) come to.
    pub fn resolve(&self, found: &[Found], rules: &[(&str, Outcome)]) -> Decision {
        let entry = |f: &Found| &self.0[f.0].entries[f.1].entry;
        let overridden = |name: &str| {
            found
                .iter()
                .any(|f| entry(f).effect == Effect::Override && entry(f).overrides.as_deref() == Some(name))
        };
        let mut outcomes = Vec::new();
        let mut cancelled = Vec::new();
        for f in found {
            let list = &self.0[f.0];
            let gone = match (entry(f).effect, entry(f).overridable) {
                (Effect::Block, true) | (Effect::Flag, _) => overridden(&list.name),
                (Effect::Block, false) | (Effect::Override, _) => false,
            };
            match entry(f).effect {
                Effect::Block if !gone => outcomes.push(list.block_outcome),
                Effect::Flag if !gone => outcomes.push(Outcome::Review),
                _ => {}
            }
            cancelled.push(gone);
        }
        let rules_cancelled: Vec<bool> = rules.iter().map(|(name, _)| overridden(name)).collect();
        for ((_, outcome), gone) in rules.iter().zip(&rules_cancelled) {
            if !gone {
                outcomes.push(*outcome);
            }
        }
        (outcomes.into_iter().max(), cancelled, rules_cancelled)
    }
}

/// The fields of a transaction that a subject means.
fn fields(transaction: &Transaction, key: KeyId, subject: &Subject) -> Vec<Field> {
    match *subject {
        Subject::Tag { kind, tag } => {
            let fields: &[Field] = match kind {
                SubjectKind::Card => &[Field::Card],
                SubjectKind::Account => &[Field::Account, Field::Payee],
                SubjectKind::Device => &[Field::Device],
                SubjectKind::Merchant => &[Field::Merchant],
                SubjectKind::Terminal => &[Field::Terminal],
                SubjectKind::Email => &[Field::Email],
                SubjectKind::Phone => &[Field::Phone],
                SubjectKind::Name => &[Field::PayerNameTag, Field::PayeeNameTag],
                SubjectKind::Ip | SubjectKind::Bin => &[],
            };
            fields.iter().copied().filter(|field| transaction.tag(*field, key) == Some(tag)).collect()
        }
        Subject::Ip { network, prefix } => match transaction.get(Field::DeviceIp) {
            Some(Value::Ip(address))
                if bits(address).starts_with(&bits(network)[..usize::from(prefix) + 1]) =>
            {
                vec![Field::DeviceIp]
            }
            _ => Vec::new(),
        },
        Subject::Bin { number, digits } => match transaction.text(Field::CardBin) {
            Some(bin) if bin.starts_with(&format!("{number:0width$}", width = usize::from(digits))) => {
                vec![Field::CardBin]
            }
            _ => Vec::new(),
        },
    }
}

/// An address as text: its family, then its bits.
fn bits(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => format!("4{:032b}", u32::from(v4)),
        IpAddr::V6(v6) => format!("6{:0128b}", u128::from(v6)),
    }
}
