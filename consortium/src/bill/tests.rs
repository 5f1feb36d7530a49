//! An alliance of five with a tariff and a month of queries, on which the tests of the bill stand.
#![allow(clippy::unwrap_used)]

use super::basis::{Basis, LogRange, Period};
use super::compute::{Bill, Inputs};
use super::confirm::{Role, Signatory};
use super::credit::Credit;
use super::money::Currency;
use super::report::{JournalHead, Report};
use super::service::Service;
use super::settlement::Settlement;
use super::statement::Statement;
use super::tariff::{AtFloor, CreditRule, Price, Tariff, Terms};
use super::usage::{Opened, Usage};
use super::{Party, hash_of};
use crate::keys::{KeyType, SignerKey};
use crate::kind::MemberId;
use crate::note::Note;
use std::collections::BTreeMap;

mod attacks;
mod balances;
mod computing;
mod filing;
mod governed;
mod instructions;
mod netting;
mod records;
mod rendering;

const ALLIANCE: &str = "alliance.example";
/// 2026-11-01T00:00:00Z.
const FROM_MS: u64 = 1_793_491_200_000;
/// 2026-12-01T00:00:00Z.
const UNTIL_MS: u64 = FROM_MS + 30 * 86_400_000;
const OPERATOR: MemberId = MemberId(0);
const AUDITOR: MemberId = MemberId(9);

/// Everything a bill follows from, owned.
#[derive(Debug, Clone)]
struct World {
    basis: Basis,
    parties: Vec<Party>,
    tariff: Tariff,
    opened: Vec<Opened>,
    reports: Vec<Report>,
    credits: Vec<Credit>,
}

impl World {
    fn usage(&self) -> Usage {
        Usage::fold(self.basis.queries.leaves(), self.opened.iter().copied()).unwrap()
    }
    fn bill(&self) -> Bill {
        self.with(|inputs| Bill::compute(inputs, salt).unwrap())
    }
    fn with<T>(&self, f: impl FnOnce(&Inputs<'_>) -> T) -> T {
        let usage = self.usage();
        f(&Inputs {
            basis: &self.basis,
            operator: (OPERATOR, ALLIANCE),
            parties: &self.parties,
            tariff: &self.tariff,
            usage: &usage,
            reports: &self.reports,
            credits: &self.credits,
        })
    }
    /// Names the tariff as it is now in the basis.
    fn retariff(&mut self) {
        self.basis.tariff = self.tariff.reference().unwrap();
        self.basis.currency = self.tariff.currency;
    }
}

fn salt(member: MemberId) -> [u8; 16] {
    [member.0 as u8 + 1; 16]
}

fn party(number: u16, class: &str) -> Party {
    let letter = char::from(b'a' + number as u8 - 1);
    Party { member: MemberId(number), name: format!("bank-{letter}.example"), class: class.into() }
}

fn tariff() -> Tariff {
    let terms = |minimum_minor, floor_minor, at_floor| Terms { minimum_minor, floor_minor, at_floor };
    let price = |service, class: &str, micro, free| ((service, class.to_owned()), Price { micro, free });
    Tariff {
        alliance: ALLIANCE.into(),
        version: 2,
        currency: Currency::parse("EUR").unwrap(),
        valid_from_ms: FROM_MS,
        classes: BTreeMap::from([
            ("large".to_owned(), terms(50_000, -100_000, AtFloor::Warn)),
            ("standard".to_owned(), terms(0, 0, AtFloor::Refuse)),
        ]),
        prices: BTreeMap::from([
            price(Service::Confirm, "large", 2_500, 100),
            price(Service::Confirm, "standard", 4_995, 0),
            price(Service::Screened, "large", 3, 0),
        ]),
        credit: CreditRule::SharePpm(200_000),
    }
}

fn leaf(index: u64, member: u16, items: u32) -> Opened {
    let time_ms = FROM_MS + (index - 1200) * 60_000;
    Opened { index, member: MemberId(member), service: Service::Confirm, items, time_ms, epoch: 7 }
}

/// Members 1 and 2 are large, 3 to 5 are not; 5 asked nothing.
fn world() -> World {
    let opened = vec![
        leaf(1200, 1, 256),
        leaf(1201, 2, 1),
        leaf(1202, 1, 31),
        leaf(1203, 3, 1),
        leaf(1204, 4, 200),
        leaf(1205, 3, 1),
        leaf(1206, 4, 57),
    ];
    let root = |byte| [byte; 32];
    let report = Report {
        alliance: ALLIANCE.into(),
        member: MemberId(1),
        number: 3,
        period: period(),
        screened: 1_200_000,
        local_hits: 14,
        journal: JournalHead { sequence: 7_000_000, chain: [7; 32] },
        created_ms: UNTIL_MS + 1,
    };
    let mut world = World {
        basis: Basis {
            alliance: ALLIANCE.into(),
            number: 3,
            period: period(),
            queries: LogRange { from: 1200, to: 1207, root: root(1) },
            governance: LogRange { from: 40, to: 61, root: root(2) },
            tariff: super::basis::TariffRef { version: 2, hash: [0; 32] },
            currency: Currency::parse("EUR").unwrap(),
            previous: Some([3; 32]),
            replaces: None,
            created_ms: UNTIL_MS + 3_600_000,
        },
        parties: vec![
            party(1, "large"),
            party(2, "large"),
            party(3, "standard"),
            party(4, "standard"),
            party(5, "standard"),
        ],
        tariff: tariff(),
        opened,
        reports: vec![report],
        credits: vec![
            Credit { member: MemberId(3), epoch: 6, signals: 2 },
            Credit { member: MemberId(3), epoch: 7, signals: 1 },
            Credit { member: MemberId(5), epoch: 7, signals: 4 },
        ],
    };
    world.retariff();
    world
}

fn period() -> Period {
    Period { name: "2026-11".into(), from_ms: FROM_MS, until_ms: UNTIL_MS }
}

fn signer(member: MemberId) -> SignerKey {
    let name = match member {
        OPERATOR => ALLIANCE.to_owned(),
        AUDITOR => "auditor.example".to_owned(),
        MemberId(number) => party(number, "large").name,
    };
    SignerKey::from_seed(&name, KeyType::Ed25519, &[member.0 as u8 + 1; 32]).unwrap()
}

fn signatories() -> Vec<Signatory> {
    let of = |member, role| Signatory { member, role, key: signer(member).verifier().clone() };
    let members = (1..=5).map(|number| of(MemberId(number), Role::Member));
    members.chain([of(OPERATOR, Role::Operator), of(AUDITOR, Role::Auditor)]).collect()
}

fn note(text: String, by: &[MemberId]) -> Note {
    let mut note = Note::new(text).unwrap();
    by.iter().for_each(|member| note.sign(&signer(*member)));
    note
}

/// The bill with altered statements, its settlement naming them as they are: what a dishonest operator would present.
fn presented(bill: &Bill, alter: impl Fn(&mut Statement)) -> (Settlement, Vec<Statement>) {
    let mut statements: Vec<Statement> = bill.statements.values().cloned().collect();
    statements.iter_mut().for_each(alter);
    let mut settlement = bill.settlement.clone();
    for statement in &statements {
        let hash = hash_of(&statement.encode().unwrap());
        settlement.statements.insert(statement.party.member, hash);
    }
    (settlement, statements)
}
