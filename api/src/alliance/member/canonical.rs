//! The one spelling of an identifier that tags are made of: the same checks and spellings as payments', so that a signal of
//! one member is found by a payment of another.

use interdict_consortium::error::{Error, ErrorKind, Result};
use interdict_consortium::kind::Kind;
use interdict_consortium::signal::draft::Given;
use interdict_ingest::normalise::{identifiers, text};

/// The canonical spelling of an identifier of a kind. An account is an IBAN, a number of a bank, or what the institution calls
/// it; a card a PAN, or a token.
///
/// # Errors
/// `Invalid` for an identifier that is none (Luhn, mod 97, E.164 …); never quotes it.
pub fn canonical(given: Given<'_>) -> Result<String> {
    let Given { kind, text: value, bank } = given;
    let wrong =
        |expected: &str| Error::new(ErrorKind::Invalid, format!("this is no {kind}: expected {expected}"));
    let identifier = |value| text::identifier(value).map(|text| text.into_owned()).map_err(wrong);
    match kind {
        // A token has a letter, a PAN has none.
        Kind::Card if value.bytes().any(|b| b.is_ascii_alphabetic()) => identifier(value),
        Kind::Card => identifiers::Pan::parse(value).map(|pan| pan.digits().to_owned()).map_err(wrong),
        Kind::Account => match (bank, identifiers::Iban::parse(value)) {
            (Some(bank), _) => identifiers::account(bank, value).map(|text| text.to_string()).map_err(wrong),
            (None, Ok(iban)) => Ok(iban.text().to_owned()),
            (None, Err(_)) => identifier(value),
        },
        Kind::Ip => identifiers::ip(value).map(|ip| ip.to_string()).map_err(wrong),
        Kind::Email => identifiers::email(value).map(|text| text.to_string()).map_err(wrong),
        Kind::Phone => identifiers::phone(value).map(|text| text.as_str().to_owned()).map_err(wrong),
        Kind::Device | Kind::Merchant | Kind::Terminal => identifier(value),
        Kind::Name => match text::free_text(value).map_err(wrong)? {
            Some(name) => Ok(name.into_owned()),
            None => Err(wrong("a name")),
        },
    }
}
