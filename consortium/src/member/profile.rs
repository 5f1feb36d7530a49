//! What a member says of itself when it applies, and its keys: the lines that a genesis has for each founder and an
//! application for its applicant.

use super::did::Did;
use super::roles::Roles;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::{KeyType, VerifierKey};
use crate::limits::{
    EVIDENCE_MAX, LEGAL_NAME_BYTES_MAX, MEMBER_NAME_BYTES_MAX, TLS_CERTIFICATES_MAX, TOKEN_BYTES_MAX,
};
use crate::record::{Reader, Writer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeSet;
use std::fmt;

/// Checks a member's or an alliance's name: labels of `[a-z0-9-]` with dots between, a letter somewhere (records may name
/// a member by its number too), at most 63 bytes.
///
/// # Errors
/// `Malformed`, `TooLarge`.
pub fn check_member_name(name: &str) -> Result<()> {
    if name.len() > MEMBER_NAME_BYTES_MAX {
        let message = format!("a name of {} bytes, limit {MEMBER_NAME_BYTES_MAX}", name.len());
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    let is_label = |label: &str| {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        !label.is_empty() && label.bytes().all(fits) && !label.starts_with('-') && !label.ends_with('-')
    };
    match name.split('.').all(is_label) && name.contains(|c: char| c.is_ascii_lowercase()) {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::Malformed,
            format!("{name:?}: a name is like bank-a.example: a-z, 0-9, \"-\", with dots between"),
        )),
    }
}

/// Checks a word such as a tariff class: `[a-z0-9-]`, at most `TOKEN_BYTES_MAX`.
pub(super) fn check_token(what: &str, token: &str) -> Result<()> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    match (1..=TOKEN_BYTES_MAX).contains(&token.len()) && token.bytes().all(fits) {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::Malformed,
            format!("{what}: expected 1 to {TOKEN_BYTES_MAX} of a-z, 0-9 and \"-\""),
        )),
    }
}

/// A country (ISO 3166-1 alpha-2), upper case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

impl Country {
    /// Reads two upper-case letters; whether there is such a country is not looked up.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn parse(text: &str) -> Result<Country> {
        match text.as_bytes() {
            [a, b] if a.is_ascii_uppercase() && b.is_ascii_uppercase() => Ok(Country([*a, *b])),
            _ => Err(Error::new(
                ErrorKind::Malformed,
                "expected a country as two upper-case letters (ISO 3166-1)",
            )),
        }
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{}", char::from(*b)))
    }
}

/// A member as it presents itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its name in the alliance, never given to another.
    pub name: String,
    /// The legal person.
    pub legal_name: String,
    /// Its decentralised identifier: `did:web` or `did:key`.
    pub did: Did,
    /// Where it is licensed.
    pub jurisdiction: Country,
    /// Asked for in an application; held, in a [`super::Member`].
    pub roles: Roles,
    /// What it has shown: kind and SHA-256 of the document.
    pub evidence: BTreeSet<(String, [u8; 32])>,
    /// Signs records; its name is the member's.
    pub sign: VerifierKey,
    /// Cosigns checkpoints; its name is the member's.
    pub witness: VerifierKey,
    /// For what is sealed to it: X25519 (HPKE, RFC 9180).
    pub hpke: [u8; 32],
    /// SHA-256 of the DER of each certificate that it may connect with.
    pub tls: BTreeSet<[u8; 32]>,
    /// By which the tariff prices it.
    pub tariff_class: String,
}

impl Profile {
    pub(super) fn check(&self) -> Result<()> {
        check_member_name(&self.name)?;
        check_bytes("legal_name", &self.legal_name, LEGAL_NAME_BYTES_MAX)?;
        if self.evidence.len() > EVIDENCE_MAX {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("more than {EVIDENCE_MAX} pieces of evidence"),
            ));
        }
        self.evidence.iter().try_for_each(|(kind, _)| check_token("evidence", kind))?;
        check_key(&self.name, &self.sign, KeyType::Ed25519)?;
        check_key(&self.name, &self.witness, KeyType::Cosignature)?;
        check_tls(&self.tls)?;
        check_token("tariff_class", &self.tariff_class)
    }
    pub(super) fn write_lines(&self, w: &mut Writer) -> Result<()> {
        self.check()?;
        w.put("member", &self.name)?.put("legal_name", &self.legal_name)?.put("did", &self.did)?;
        w.put("jurisdiction", self.jurisdiction)?.put("roles", self.roles)?;
        for (kind, hash) in &self.evidence {
            w.put("evidence", format_args!("{kind} {}", STANDARD.encode(hash)))?;
        }
        w.put("sign", &self.sign)?.put("witness", &self.witness)?.put_bytes("hpke", &self.hpke)?;
        write_tls(&self.tls, w)?;
        w.put("tariff_class", &self.tariff_class).map(drop)
    }
    pub(super) fn read_lines(r: &mut Reader<'_>) -> Result<Profile> {
        let name = r.take("member")?.to_owned();
        check_member_name(&name).map_err(|e| r.refuse(e.message))?;
        let legal_name = r.take("legal_name")?.to_owned();
        let did = Did::parse(r.take("did")?).map_err(|e| r.refuse(e.message))?;
        let jurisdiction = Country::parse(r.take("jurisdiction")?).map_err(|e| r.refuse(e.message))?;
        let roles = Roles::parse(r.take("roles")?).map_err(|e| r.refuse(e.message))?;
        let mut evidence = BTreeSet::new();
        while let Some(value) = r.take_some("evidence")? {
            let pair = value.split_once(' ').and_then(|(kind, hash)| {
                Some((kind.to_owned(), STANDARD.decode(hash).ok()?.try_into().ok()?))
            });
            evidence.insert(pair.ok_or_else(|| r.refuse("expected \"KIND SHA256\", the hash in base64"))?);
        }
        let sign = read_key(r, "sign")?.ok_or_else(|| r.refuse("expected \"sign\" after this line"))?;
        let witness =
            read_key(r, "witness")?.ok_or_else(|| r.refuse("expected \"witness\" after this line"))?;
        let hpke = r.array("hpke")?;
        let tls = read_tls(r)?;
        let tariff_class = r.take("tariff_class")?.to_owned();
        let profile = Profile {
            name,
            legal_name,
            did,
            jurisdiction,
            roles,
            evidence,
            sign,
            witness,
            hpke,
            tls,
            tariff_class,
        };
        profile.check().map_err(|e| Error { place: r.refuse("").place, ..e })?;
        Ok(profile)
    }
}

/// That a text is not longer than it may be.
pub(super) fn check_bytes(what: &str, text: &str, max: usize) -> Result<()> {
    match text.len() {
        n if n > max => Err(Error::new(ErrorKind::TooLarge, format!("{what} of {n} bytes, limit {max}"))),
        _ => Ok(()),
    }
}

/// That a key is under its owner's name and of the right type.
pub(super) fn check_key(owner: &str, key: &VerifierKey, ty: KeyType) -> Result<()> {
    match key.name() == owner && key.key_type() == ty {
        true => Ok(()),
        false => {
            let message = format!("expected a key of {owner:?} of type {:#04x}", ty as u8);
            Err(Error::new(ErrorKind::Malformed, message))
        }
    }
}

pub(super) fn check_tls(tls: &BTreeSet<[u8; 32]>) -> Result<()> {
    match (1..=TLS_CERTIFICATES_MAX).contains(&tls.len()) {
        true => Ok(()),
        false => {
            let message = format!("{} TLS certificates: expected 1 to {TLS_CERTIFICATES_MAX}", tls.len());
            Err(Error::new(ErrorKind::Malformed, message))
        }
    }
}

pub(super) fn read_key(r: &mut Reader<'_>, key: &'static str) -> Result<Option<VerifierKey>> {
    let Some(value) = r.take_some(key)? else { return Ok(None) };
    VerifierKey::parse(value).map(Some).map_err(|e| Error { place: r.refuse("").place, ..e })
}

pub(super) fn write_tls(tls: &BTreeSet<[u8; 32]>, w: &mut Writer) -> Result<()> {
    tls.iter().try_for_each(|hash| w.put_bytes("tls", hash).map(drop))
}

pub(super) fn read_tls(r: &mut Reader<'_>) -> Result<BTreeSet<[u8; 32]>> {
    let mut tls = BTreeSet::new();
    while let Some(value) = r.take_some("tls")? {
        let hash = STANDARD.decode(value).ok().and_then(|bytes| bytes.try_into().ok());
        tls.insert(hash.ok_or_else(|| r.refuse("expected a SHA-256 in base64"))?);
    }
    Ok(tls)
}
