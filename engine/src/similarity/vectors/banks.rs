//! The banks of all tenants as state of the sequencer: each payment's prints wait for a label, and a label teaches
//! them. What was learned up to a sequence is a version that lanes share.

use super::contents::Contents;
use super::plan::{BankPlan, Print, Prints};
use crate::domain::{Label, Stamp, Transaction};
use crate::error::Error;
use crate::image::{Reader, Writer, senseless};
use crate::limits::BANK_WAITING_MAX;
use imbl::shared_ptr::DefaultSharedPtr;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

type Tenants = imbl::GenericHashMap<Arc<str>, Arc<[Contents]>, foldhash::fast::RandomState, DefaultSharedPtr>;

/// What all banks have learned up to a sequence. A clone is one reference count.
#[derive(Clone, Default)]
pub struct Learned(Tenants);

impl Learned {
    /// What a tenant's bank holds; `None` before its first lesson.
    pub fn contents(&self, tenant: &str, bank: usize) -> Option<&Contents> {
        self.0.get(tenant)?.get(bank)
    }
    /// Of one tenant with one bank.
    #[cfg(test)]
    pub(super) fn of(bank: &Contents) -> Learned {
        Learned(Tenants::from_iter([("t".into(), [bank.clone()].into())]))
    }
    /// What every tenant's banks hold, in no order.
    pub(super) fn all(&self) -> impl Iterator<Item = &Contents> {
        self.0.values().flat_map(|banks| banks.iter())
    }
}

impl fmt::Debug for Learned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Learned({} tenants)", self.0.len())
    }
}

/// Counts of what happened, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BanksCounts {
    /// Labels that a bank learned.
    pub learned: u64,
    /// Labels whose payment no longer waits for one (or never did).
    pub forgotten: u64,
}

struct Waiting {
    sequence: u64,
    tenant: Arc<str>,
    prints: Arc<Prints>,
    label: Option<Label>,
}

/// The banks.
pub struct Banks {
    plan: Arc<BankPlan>,
    waiting: VecDeque<Waiting>,
    waiting_max: usize,
    learned: Learned,
    counts: BanksCounts,
}

impl Banks {
    /// Empty banks.
    pub fn new(plan: Arc<BankPlan>) -> Banks {
        Banks {
            plan,
            waiting: VecDeque::new(),
            waiting_max: BANK_WAITING_MAX,
            learned: Learned::default(),
            counts: BanksCounts::default(),
        }
    }
    /// What has been learned so far.
    pub fn learned(&self) -> &Learned {
        &self.learned
    }
    /// Counts since the start.
    pub fn counts(&self) -> BanksCounts {
        self.counts
    }
    /// A payment's prints, which wait for its label from now on; `None` where the generation has no banks.
    pub fn observe(&mut self, sequence: u64, tx: &Transaction, stamps: &[Stamp]) -> Option<Arc<Prints>> {
        if self.plan.is_empty() {
            return None;
        }
        let prints = Arc::new(self.plan.prints(tx, stamps));
        if self.waiting.len() >= self.waiting_max {
            self.waiting.pop_front();
        }
        let waiting = Waiting { sequence, tenant: tx.tenant.clone(), prints: prints.clone(), label: None };
        self.waiting.push_back(waiting);
        Some(prints)
    }
    /// Teaches the label of a payment to the banks that learn such; a later label takes the place of an earlier.
    /// Whether anything changed.
    pub fn label(&mut self, tenant: &str, sequence: u64, label: Label) -> bool {
        if self.plan.is_empty() {
            return false;
        }
        let at = self.waiting.binary_search_by_key(&sequence, |waiting| waiting.sequence);
        let Some(waiting) = at.ok().map(|at| &mut self.waiting[at]).filter(|w| &*w.tenant == tenant) else {
            self.counts.forgotten += 1;
            return false;
        };
        let before = waiting.label.replace(label);
        if before == Some(label) {
            return false;
        }
        let empty: Arc<[Contents]> = vec![Contents::default(); self.plan.len()].into();
        let known = self.learned.0.get(tenant).cloned().unwrap_or(empty);
        let mut next: Vec<Contents> = known.to_vec();
        let mut changed = false;
        for ((contents, decl), print) in next.iter_mut().zip(self.plan.banks()).zip(waiting.prints.iter()) {
            let Some(print) = print else { continue };
            if before.is_some() {
                let (without, was_there) = contents.unlearn(sequence);
                (*contents, changed) = (without, changed || was_there);
            }
            if decl.learns.contains(&label) {
                *contents = contents.learn(sequence, label, print, decl.capacity as usize);
                changed = true;
            }
        }
        if changed {
            self.learned.0.insert(waiting.tenant.clone(), next.into());
            self.counts.learned += 1;
        }
        changed
    }
    /// Takes the banks of a new generation: one that is declared as before keeps what it has learned, others begin
    /// empty, and payments before them cannot teach them.
    pub fn replan(&mut self, plan: Arc<BankPlan>) {
        let kept: Vec<Option<usize>> =
            plan.banks().map(|decl| self.plan.banks().position(|old| old.is_same(decl))).collect();
        let in_place =
            self.plan.len() == plan.len() && kept.iter().enumerate().all(|(at, old)| *old == Some(at));
        if !in_place {
            let pick = |old: &[Contents]| -> Arc<[Contents]> {
                kept.iter().map(|at| at.map_or_else(Contents::default, |at| old[at].clone())).collect()
            };
            let tenants = self.learned.0.iter().map(|(tenant, old)| (tenant.clone(), pick(old)));
            self.learned = Learned(tenants.collect());
            for waiting in &mut self.waiting {
                let old = &waiting.prints;
                waiting.prints = Arc::new(kept.iter().map(|at| at.and_then(|at| old[at])).collect());
            }
        }
        self.plan = plan;
    }
}

impl Banks {
    /// Writes the payments that wait for a label, and what was learned, by tenant.
    pub fn save(&self, to: &mut Writer<'_>) {
        to.u64s(&[self.counts.learned, self.counts.forgotten]);
        to.count(self.waiting.len());
        for Waiting { sequence, tenant, prints, label } in &self.waiting {
            to.u64(*sequence);
            to.text(tenant);
            to.u8(label.map_or(0, |label| 1 + label as u8));
            for print in prints.iter() {
                to.bool(print.is_some());
                print.iter().for_each(|print| print.save(to));
            }
        }
        let mut learned: Vec<_> = self.learned.0.iter().collect();
        learned.sort_unstable_by_key(|(tenant, _)| *tenant);
        to.count(learned.len());
        for (tenant, banks) in learned {
            to.text(tenant);
            banks.iter().for_each(|bank| bank.save(to));
        }
    }
    /// What [`Banks::save`] wrote, into empty banks of the same plan.
    ///
    /// # Errors
    /// `Corrupt` for what cannot have been written; whatever the source returns.
    pub fn load(&mut self, from: &mut Reader<'_>) -> Result<(), Error> {
        (self.counts.learned, self.counts.forgotten) = (from.u64()?, from.u64()?);
        let plan = self.plan.clone();
        let mut tenants: Vec<Arc<str>> = Vec::new();
        for _ in 0..from.count(self.waiting_max)? {
            let (sequence, name) = (from.u64()?, from.text()?);
            // Tenants are few: one name each, not one a payment.
            let tenant = tenants.iter().find(|known| ***known == *name).cloned().unwrap_or_else(|| {
                tenants.push(name.into());
                tenants[tenants.len() - 1].clone()
            });
            let label = match from.u8()? {
                0 => None,
                1 => Some(Label::Fraud),
                2 => Some(Label::Good),
                other => return Err(senseless(format_args!("a label of {other}"))),
            };
            let mut print = |decl| from.bool()?.then(|| Print::load(from, decl)).transpose();
            let prints = plan.banks().map(&mut print).collect::<Result<Prints, Error>>()?;
            self.waiting.push_back(Waiting { sequence, tenant, prints: Arc::new(prints), label });
        }
        for _ in 0..from.count(usize::MAX)? {
            let tenant = from.text()?.into();
            let banks = plan.banks().map(|decl| Contents::load(from, decl)).collect::<Result<_, Error>>()?;
            self.learned.0.insert(tenant, banks);
        }
        Ok(())
    }
}

impl fmt::Debug for Banks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Banks({} waiting, {:?})", self.waiting.len(), self.learned)
    }
}
