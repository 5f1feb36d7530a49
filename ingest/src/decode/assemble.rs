//! Read values to a transaction: every check and every tag, in one place for all formats. Each field is set once, from
//! one leaf; identifiers leave as tags under the tenant's and the shared key.

use super::identity::{CLASS_REQUEST, IdentityKey, class_of, identity_key};
use super::refs::{Elements, Original};
use super::request::{Decoded, RequestContext};
use super::shape::Leaf;
use super::values::Values;
use crate::error::FieldError;
use crate::normalise::identifiers::{self as ids, Iban, Pan};
use crate::normalise::keys::{TagKey, TagKeys, TenantKeys};
use crate::normalise::text::{Checked, fold_name, free_text, identifier};
use crate::normalise::{money, time};
use interdict_engine::domain::transaction::CHANNELS;
use interdict_engine::domain::{
    Earlier, Field, KeyId, Keyed, SubjectKind, Tag, Transaction, TransactionKind,
};
use interdict_engine::limits::IDENTIFIER_BYTES_MAX;
use std::borrow::Cow;
use zeroize::Zeroizing;

/// What a request must have one of.
const SUBJECTS: [Leaf; 19] = [
    Leaf::CardPan,
    Leaf::CardToken,
    Leaf::AccountIban,
    Leaf::AccountNumber,
    Leaf::DeviceId,
    Leaf::DeviceIp,
    Leaf::DeviceUserAgent,
    Leaf::MerchantId,
    Leaf::MerchantName,
    Leaf::MerchantMcc,
    Leaf::MerchantCountry,
    Leaf::TerminalId,
    Leaf::PayeeName,
    Leaf::PayeeCountry,
    Leaf::PayeeIban,
    Leaf::PayeeNumber,
    Leaf::PayeeBank,
    Leaf::Email,
    Leaf::Phone,
];

fn invalid(leaf: Leaf, expected: &str) -> FieldError {
    FieldError::invalid(leaf.path(), expected)
}

struct Assembly<'r, 'a> {
    values: &'r Values<'a>,
    keys: &'r TenantKeys,
    tx: Transaction,
}

/// The transaction of read values.
pub(super) fn assemble(
    keys: &TagKeys,
    values: &Values<'_>,
    ctx: &RequestContext<'_>,
) -> Result<Decoded, FieldError> {
    let keys = keys.tenant(&tenant(values, ctx)?);
    let kind = match values.text(Leaf::Kind) {
        None => TransactionKind::Request,
        Some(name) => TransactionKind::by_name(name)
            .ok_or_else(|| invalid(Leaf::Kind, "request, advice, reversal, repeat, completion or refund"))?,
    };
    let time_ms = event_time(values)?;
    if SUBJECTS.into_iter().all(|leaf| values.is_absent(leaf)) {
        let expected = "one of card, account, device, merchant, terminal, payee, email, phone";
        return Err(FieldError::invalid("", expected));
    }
    let mut assembly =
        Assembly { values, keys: &keys, tx: Transaction::new(keys.tenant.clone(), kind, time_ms) };
    assembly.money()?;
    assembly.card_and_accounts()?;
    assembly.parties()?;
    assembly.merchant_and_terminal()?;
    assembly.device_and_contacts()?;
    assembly.texts_and_references()?;
    assembly.derived();
    assembly.finish(ctx)
}

fn tenant<'v>(values: &'v Values<'_>, ctx: &'v RequestContext<'_>) -> Result<Cow<'v, str>, FieldError> {
    let (text, field) = match (values.text(Leaf::Tenant), ctx.tenant) {
        (Some(text), _) => (text, "tenant"),
        (None, Some(text)) => (text, "Interdict-Tenant"),
        (None, None) => return Ok(Cow::Borrowed(ctx.default_tenant)),
    };
    identifier(text).map_err(|expected| FieldError::invalid(field, expected))
}

/// Text from JSON and most feeds, ms since the epoch from columns that are times already.
fn time_of(values: &Values<'_>, leaf: Leaf) -> Result<Option<i64>, FieldError> {
    match (values.int(leaf), values.text(leaf)) {
        (Some(ms), _) => Ok(Some(ms)),
        (None, Some(text)) => time::rfc3339_ms(text).map(Some).map_err(|expected| invalid(leaf, expected)),
        (None, None) => Ok(None),
    }
}

fn event_time(values: &Values<'_>) -> Result<i64, FieldError> {
    time_of(values, Leaf::Time)?.ok_or_else(|| invalid(Leaf::Time, time::EXPECTED_TIME))
}

/// The client's id is kept as it is, byte for byte, so it is checked and nothing else.
fn client_key<'t>(text: &'t str, field: &str) -> Result<&'t str, FieldError> {
    if text.is_empty() || text.len() > IDENTIFIER_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(FieldError::invalid(field, "1 to 256 bytes without control characters"));
    }
    Ok(text)
}

/// The digits of a tag in what the payment digest covers; an absent one is told from any tag by its mark.
fn push_tag(bytes: &mut Vec<u8>, tag: Option<Tag>) {
    bytes.push(u8::from(tag.is_some()));
    bytes.extend(tag.map_or(0, |tag| tag.0).to_be_bytes());
}

impl Assembly<'_, '_> {
    fn checked<T>(
        &self,
        leaf: Leaf,
        check: impl for<'t> FnOnce(&'t str) -> Checked<T>,
    ) -> Result<Option<T>, FieldError> {
        self.values.text(leaf).map(check).transpose().map_err(|expected| invalid(leaf, expected))
    }
    fn tag(&mut self, field: Field, kind: SubjectKind, canonical: &str) {
        self.tx.add_tag(field, KeyId::STATE, self.keys.state.tag(kind, canonical));
        self.tx.add_tag(field, KeyId::SHARED, self.keys.shared.tag(kind, canonical));
        if self.keys.is_rotated() {
            self.tag_rotated(field, kind, canonical);
        }
        for (id, key) in KeyId::CONSORTIUM.into_iter().zip(&self.keys.consortium) {
            if let Some(key) = key {
                let tag = key.tag(kind, canonical);
                self.tx.add_tag(field, id, tag);
                self.keys.witness.tagged(id, kind, tag, canonical);
            }
        }
    }
    /// After a rotation: the tag that lists and banks go by, and for a time those that state may hang on.
    fn tag_rotated(&mut self, field: Field, kind: SubjectKind, canonical: &str) {
        self.tx.add_tag(field, KeyId::LISTS, self.keys.lists().tag(kind, canonical));
        for (key, earlier) in KeyId::EARLIER.into_iter().zip(&self.keys.earlier) {
            self.tx.add_tag(field, key, earlier.tag(kind, canonical));
        }
    }
    /// Sets a text field from a leaf through a check that gives the text back.
    fn code(
        &mut self,
        leaf: Leaf,
        field: Field,
        check: impl for<'t> FnOnce(&'t str) -> Checked<&'t str>,
    ) -> Result<(), FieldError> {
        if let Some(text) = self.values.text(leaf) {
            let text = check(text).map_err(|expected| invalid(leaf, expected))?;
            self.tx.set_text(field, text);
        }
        Ok(())
    }
    fn identifier_text(&mut self, leaf: Leaf, field: Field) -> Result<(), FieldError> {
        if let Some(text) = self.values.text(leaf) {
            let text = identifier(text).map_err(|expected| invalid(leaf, expected))?;
            self.tx.set_text(field, &text);
        }
        Ok(())
    }
    fn free_text(&mut self, leaf: Leaf, field: Field) -> Result<(), FieldError> {
        if let Some(text) = self.values.text(leaf) {
            let text = free_text(text).map_err(|expected| invalid(leaf, expected))?;
            if let Some(text) = text {
                self.tx.set_text(field, &text);
            }
        }
        Ok(())
    }

    fn money(&mut self) -> Result<(), FieldError> {
        let minor = self.values.int(Leaf::AmountMinor).ok_or(money::EXPECTED_MINOR);
        let minor = minor.and_then(money::minor_units).map_err(|e| invalid(Leaf::AmountMinor, e))?;
        let code = self.values.text(Leaf::AmountCurrency).ok_or(money::EXPECTED_CURRENCY);
        let currency = code.and_then(money::currency).map_err(|e| invalid(Leaf::AmountCurrency, e))?;
        self.tx.set_int(Field::AmountMinor, minor);
        self.tx.set_text(Field::AmountCurrency, currency.code());
        let minor = self.values.int(Leaf::SettlementMinor);
        let currency = self.checked(Leaf::SettlementCurrency, money::currency)?;
        match (minor, currency) {
            (None, None) => {}
            (None, Some(_)) => return Err(invalid(Leaf::SettlementMinor, money::EXPECTED_MINOR)),
            (Some(_), None) => return Err(invalid(Leaf::SettlementCurrency, money::EXPECTED_CURRENCY)),
            (Some(minor), Some(currency)) => {
                let minor = money::minor_units(minor).map_err(|e| invalid(Leaf::SettlementMinor, e))?;
                self.tx.set_int(Field::SettlementMinor, minor);
                self.tx.set_text(Field::SettlementCurrency, currency.code());
            }
        }
        self.code(Leaf::Channel, Field::Channel, |name| {
            if CHANNELS.contains(&name) {
                return Ok(name);
            }
            Err("chip, contactless, magstripe, ecommerce, atm, qr_merchant, qr_consumer, transfer, wallet or phone")
        })
    }

    fn card_and_accounts(&mut self) -> Result<(), FieldError> {
        if !self.values.is_absent(Leaf::CardPan) && !self.values.is_absent(Leaf::CardToken) {
            return Err(FieldError::invalid("card", "either pan or token, not both"));
        }
        if let Some(pan) = self.checked(Leaf::CardPan, Pan::parse)? {
            self.tag(Field::Card, SubjectKind::Card, pan.digits());
            self.tx.set_text(Field::CardBin, pan.bin());
            self.tx.set_text(Field::CardLast4, pan.last4());
        }
        if let Some(token) = self.values.text(Leaf::CardToken) {
            let token = identifier(token).map_err(|expected| invalid(Leaf::CardToken, expected))?;
            self.tag(Field::Card, SubjectKind::Card, &token);
        }
        let payer = (Leaf::AccountIban, Leaf::AccountNumber, Leaf::AccountBank);
        self.account("account", payer, Field::Account, Field::AccountCountry)?;
        if self.tx.tag(Field::Account, KeyId::STATE).is_some() {
            self.identifier_text(Leaf::AccountBank, Field::AccountBank)?;
        }
        let payee = (Leaf::PayeeIban, Leaf::PayeeNumber, Leaf::PayeeBank);
        self.account("payee.account", payee, Field::Payee, Field::PayeeAccountCountry)
    }
    fn account(
        &mut self,
        path: &str,
        (iban, number, bank): (Leaf, Leaf, Leaf),
        field: Field,
        country: Field,
    ) -> Result<(), FieldError> {
        if let Some(canonical) = account(self.values, path, (iban, number, bank))? {
            self.tag(field, SubjectKind::Account, canonical.text());
            if let Account::Iban(iban) = &canonical {
                self.tx.set_text(country, iban.country());
            }
        }
        Ok(())
    }

    fn parties(&mut self) -> Result<(), FieldError> {
        self.free_text(Leaf::PayerName, Field::PayerName)?;
        self.free_text(Leaf::PayeeName, Field::PayeeName)?;
        for (name, tag) in [(Field::PayerName, Field::PayerNameTag), (Field::PayeeName, Field::PayeeNameTag)]
        {
            let folded = self.tx.text(name).map(|name| Zeroizing::new(fold_name(name)));
            if let Some(folded) = folded.filter(|folded| !folded.is_empty()) {
                self.tag(tag, SubjectKind::Name, &folded);
            }
        }
        self.code(Leaf::PayerCountry, Field::PayerCountry, ids::country)?;
        self.code(Leaf::PayeeCountry, Field::PayeeCountry, ids::country)
    }

    fn merchant_and_terminal(&mut self) -> Result<(), FieldError> {
        for (leaf, text, tag, kind) in [
            (Leaf::MerchantId, Field::MerchantId, Field::Merchant, SubjectKind::Merchant),
            (Leaf::TerminalId, Field::TerminalId, Field::Terminal, SubjectKind::Terminal),
        ] {
            if let Some(id) = self.values.text(leaf) {
                let id = identifier(id).map_err(|expected| invalid(leaf, expected))?;
                self.tag(tag, kind, &id);
                self.tx.set_text(text, &id);
            }
        }
        self.free_text(Leaf::MerchantName, Field::MerchantName)?;
        self.code(Leaf::MerchantMcc, Field::MerchantMcc, ids::mcc)?;
        self.code(Leaf::MerchantCountry, Field::MerchantCountry, ids::country)?;
        self.identifier_text(Leaf::Acquirer, Field::Acquirer)?;
        self.identifier_text(Leaf::Issuer, Field::Issuer)
    }

    fn device_and_contacts(&mut self) -> Result<(), FieldError> {
        if let Some(id) = self.values.text(Leaf::DeviceId) {
            let id = identifier(id).map_err(|expected| invalid(Leaf::DeviceId, expected))?;
            self.tag(Field::Device, SubjectKind::Device, &id);
        }
        if let Some(ip) = self.checked(Leaf::DeviceIp, ids::ip)? {
            self.tx.set_ip(Field::DeviceIp, ip);
        }
        self.free_text(Leaf::DeviceUserAgent, Field::DeviceUserAgent)?;
        if let Some(email) = self.checked(Leaf::Email, ids::email)? {
            self.tag(Field::Email, SubjectKind::Email, &email);
            self.tx.set_text(Field::EmailDomain, ids::email_domain(&email));
        }
        if let Some(phone) = self.checked(Leaf::Phone, ids::phone)? {
            self.tag(Field::Phone, SubjectKind::Phone, phone.as_str());
        }
        Ok(())
    }

    fn texts_and_references(&mut self) -> Result<(), FieldError> {
        self.free_text(Leaf::Text, Field::Text)?;
        self.free_text(Leaf::Qr, Field::Qr)?;
        self.code(Leaf::Stan, Field::Stan, ids::stan)?;
        self.code(Leaf::Rrn, Field::Rrn, ids::rrn)?;
        if let Some(uetr) = self.checked(Leaf::Uetr, ids::uetr)? {
            self.tx.set_text(Field::Uetr, &uetr);
        }
        if let Some(ms) = time_of(self.values, Leaf::SettlesAt)? {
            self.tx.set_time(Field::SettlesAt, ms);
        }
        if let Some(id) = self.values.text(Leaf::Id) {
            self.tx.id = Some(client_key(id, Leaf::Id.path())?.into());
        }
        Ok(())
    }

    /// Where the money goes from and to, when both are known: a country given wins over an account's.
    fn derived(&mut self) {
        let known = |fields: &[Field]| fields.iter().find_map(|field| self.tx.text(*field));
        let from = known(&[Field::PayerCountry, Field::AccountCountry]);
        let to = known(&[Field::MerchantCountry, Field::PayeeCountry, Field::PayeeAccountCountry]);
        if let (Some(from), Some(to)) = (from, to) {
            let (cross_border, corridor) = (from != to, format!("{from}-{to}"));
            self.tx.set_bool(Field::CrossBorder, cross_border);
            self.tx.set_text(Field::Corridor, &corridor);
        }
    }

    /// Under a state key, from the tags made under it.
    fn payment_digest(&self, id: KeyId, key: &TagKey) -> u128 {
        let tag = |field| self.tx.tag(field, id);
        let kind = match self.tx.kind {
            TransactionKind::Repeat => TransactionKind::Request,
            kind => kind,
        };
        let mut bytes = Vec::with_capacity(80);
        bytes.push(kind as u8);
        bytes.extend(self.tx.amount_minor().to_be_bytes());
        bytes.extend(self.tx.text(Field::AmountCurrency).unwrap_or_default().as_bytes());
        // Card and account tags differ by their kind, so which of the two it is needs no mark of its own.
        push_tag(&mut bytes, tag(Field::Card).or(tag(Field::Account)));
        push_tag(&mut bytes, tag(Field::Merchant));
        push_tag(&mut bytes, tag(Field::Terminal));
        key.payment(&bytes)
    }

    fn original(&mut self) -> Result<Vec<IdentityKey>, FieldError> {
        let Some(original) = Original::read(self.values)? else { return Ok(Vec::new()) };
        if let Original::Id(id) = original {
            client_key(id, Leaf::Original.path())?;
        }
        self.tx.set_text(Field::Original, original.text());
        Ok(original.identities(self.keys, self.tx.kind))
    }

    fn finish(mut self, ctx: &RequestContext<'_>) -> Result<Decoded, FieldError> {
        let by_header = ctx.idempotency_key.map(|text| client_key(text, "Idempotency-Key")).transpose()?;
        let elements = Elements::of(self.values)?;
        let (id_key, id_alias) = self.identities(&self.keys.state, by_header, elements.as_ref());
        let mut keyed = Keyed { exchanges: self.keys.exchanges, ..Keyed::default() };
        if self.keys.is_rotated() {
            let earlier = KeyId::EARLIER.into_iter().zip(&self.keys.earlier).map(|(id, key)| {
                let (identity, alias) = self.identities(key, by_header, elements.as_ref());
                let (identity, alias) = (identity.map(|key| key.0), alias.map(|key| key.0));
                Earlier { identity, alias, digest: self.payment_digest(id, key) }
            });
            (keyed.rotations, keyed.earlier) = (self.keys.rotations, earlier.collect());
        }
        self.tx.set_keyed(keyed);
        let original = self.original()?;
        Ok(Decoded {
            id_key,
            id_alias,
            payment_digest: self.payment_digest(KeyId::STATE, &self.keys.state),
            original,
            deadline_ms: deadline_ms(self.values, ctx)?,
            tx: self.tx,
        })
    }

    /// The identity under a state key, and the alias.
    fn identities(
        &self,
        state: &TagKey,
        by_header: Option<&str>,
        elements: Option<&Elements>,
    ) -> (Option<IdentityKey>, Option<IdentityKey>) {
        let class = class_of(self.tx.kind);
        let by_id = self.tx.id.as_deref().map(|id| identity_key(state, class, id));
        let by_header = by_header.map(|text| identity_key(state, CLASS_REQUEST, text));
        let by_elements = elements.map(|elements| elements.key(state, self.tx.kind));
        let by_uetr = || self.tx.text(Field::Uetr).map(|uetr| identity_key(state, class, uetr));
        let id_key = by_header.or(by_id).or(by_elements).or_else(by_uetr);
        (id_key, [by_id, by_elements].into_iter().flatten().find(|key| Some(*key) != id_key))
    }
}

fn deadline_ms(values: &Values<'_>, ctx: &RequestContext<'_>) -> Result<Option<u32>, FieldError> {
    const EXPECTED: &str = "an integer number of ms from 0 to 4294967295";
    if let Some(ms) = values.int(Leaf::DeadlineMs) {
        return u32::try_from(ms).map(Some).map_err(|_| invalid(Leaf::DeadlineMs, EXPECTED));
    }
    let header = ctx.deadline_ms.map(|text| text.trim().parse());
    header.transpose().map_err(|_| FieldError::invalid("Interdict-Deadline-Ms", EXPECTED))
}

/// An account in its canonical spelling.
pub(super) enum Account {
    Iban(Iban),
    Other(Zeroizing<String>),
}

impl Account {
    pub(super) fn text(&self) -> &str {
        match self {
            Account::Iban(iban) => iban.text(),
            Account::Other(text) => text,
        }
    }
}

/// The account of an IBAN, or of a number with its bank; `None` when none of the three is there.
pub(super) fn account<L: Into<u8> + Copy>(
    values: &Values<'_>,
    path: &str,
    (iban, number, bank): (L, L, L),
) -> Result<Option<Account>, FieldError> {
    let wrong = |name: &str, expected: &str| FieldError::invalid(format!("{path}.{name}"), expected);
    match (values.text(iban), values.text(number), values.text(bank)) {
        (None, None, None) => Ok(None),
        (Some(_), Some(_), _) => Err(FieldError::invalid(path, "either iban, or number with bank, not both")),
        (Some(iban), None, _) => {
            Iban::parse(iban).map(|iban| Some(Account::Iban(iban))).map_err(|e| wrong("iban", e))
        }
        (None, Some(number), Some(bank)) => {
            identifier(bank).map_err(|e| wrong("bank", e))?;
            let account = ids::account(bank, number).map_err(|e| wrong("number", e))?;
            Ok(Some(Account::Other(account)))
        }
        (None, Some(_), None) => Err(wrong("bank", "the bank of the account number")),
        (None, None, Some(_)) => Err(wrong("number", "an iban, or a number with its bank")),
    }
}
