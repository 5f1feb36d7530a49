//! Identifiers: one canonical spelling each, checked (Luhn, mod 97, E.164, ISO 3166-1 …). What goes in is a borrowed
//! text, what comes out lives on the stack or in a wiped string until it has become a tag.

use super::countries::{iban_length, is_country};
use super::text::{Checked, identifier};
use interdict_engine::limits::IDENTIFIER_BYTES_MAX;
use std::fmt::Write as _;
use std::net::IpAddr;
use unicode_normalization::UnicodeNormalization;
use zeroize::{Zeroize, Zeroizing};

/// A short identifier on the stack, wiped when dropped.
pub struct Wiped<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Wiped<N> {
    fn new() -> Self {
        Wiped { bytes: [0; N], len: 0 }
    }
    fn push(&mut self, byte: u8) -> Option<()> {
        debug_assert!(byte.is_ascii());
        *self.bytes.get_mut(self.len)? = byte;
        self.len += 1;
        Some(())
    }
    /// The canonical text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).expect("only ASCII is pushed")
    }
}

impl<const N: usize> Drop for Wiped<N> {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

/// What a PAN is expected to be.
pub const EXPECTED_PAN: &str = "a PAN of 12 to 19 digits with a right check digit (Luhn)";

/// A card number: 12 to 19 digits, checked.
pub struct Pan(Wiped<19>);

impl Pan {
    /// A PAN of digits, spaces and dashes.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(text: &str) -> Checked<Pan> {
        let mut digits = Wiped::new();
        for byte in text.bytes().filter(|byte| !matches!(byte, b' ' | b'-')) {
            if !byte.is_ascii_digit() {
                return Err(EXPECTED_PAN);
            }
            digits.push(byte).ok_or(EXPECTED_PAN)?;
        }
        if digits.len < 12 || !luhn(digits.as_str().as_bytes()) {
            return Err(EXPECTED_PAN);
        }
        Ok(Pan(digits))
    }
    /// The digits.
    pub fn digits(&self) -> &str {
        self.0.as_str()
    }
    /// The issuer identification number that may be kept: eight digits (ISO/IEC 7812-1:2017) where at least eight
    /// others remain, six for shorter PANs.
    pub fn bin(&self) -> &str {
        let kept = if self.0.len >= 16 { 8 } else { 6 };
        &self.digits()[..kept]
    }
    /// The last four digits.
    pub fn last4(&self) -> &str {
        &self.digits()[self.0.len - 4..]
    }
}

/// Luhn's check over ASCII digits (ISO/IEC 7812-1, annex B).
pub fn luhn(digits: &[u8]) -> bool {
    const DOUBLED: [u32; 10] = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9];
    let weigh = |(place, byte): (usize, &u8)| {
        let digit = u32::from(byte - b'0');
        if place % 2 == 1 { DOUBLED[digit as usize] } else { digit }
    };
    digits.iter().rev().enumerate().map(weigh).sum::<u32>() % 10 == 0
}

/// What an IBAN is expected to be.
pub const EXPECTED_IBAN: &str = "an IBAN of its country's length with right check digits (mod 97)";

/// An IBAN: capitals, no spaces, checked.
pub struct Iban(Wiped<34>);

impl Iban {
    /// An IBAN in any case, with or without spaces.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(text: &str) -> Checked<Iban> {
        let mut iban = Wiped::new();
        for byte in text.bytes().filter(|byte| *byte != b' ') {
            if !byte.is_ascii_alphanumeric() {
                return Err(EXPECTED_IBAN);
            }
            iban.push(byte.to_ascii_uppercase()).ok_or(EXPECTED_IBAN)?;
        }
        let iban = Iban(iban);
        let known = iban.0.len >= 5 && iban_length(iban.country()) == Some(iban.0.len);
        if !known || mod_97(iban.text().as_bytes()) != 1 {
            return Err(EXPECTED_IBAN);
        }
        Ok(iban)
    }
    /// The canonical text.
    pub fn text(&self) -> &str {
        self.0.as_str()
    }
    /// The country, ISO 3166-1 alpha-2.
    pub fn country(&self) -> &str {
        &self.text()[..2]
    }
}

/// Remainder by 97 of an IBAN read as a number (ISO 13616): first four characters last, A as 10 to Z as 35.
pub fn mod_97(iban: &[u8]) -> u32 {
    let (head, tail) = iban.split_at(4.min(iban.len()));
    tail.iter().chain(head).fold(0, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte.to_ascii_uppercase() - b'A') + 10) % 97,
    })
}

/// An account that has no IBAN: the bank's id and the number, both as their owner spells them.
///
/// # Errors
/// What was expected.
pub fn account(bank: &str, number: &str) -> Checked<Zeroizing<String>> {
    let (bank, number) = (identifier(bank)?, identifier(number)?);
    // A separator that `identifier` refuses, so that no two pairs read alike.
    Ok(Zeroizing::new(format!("{bank}\u{1f}{number}")))
}

/// What an e-mail address is expected to be.
pub const EXPECTED_EMAIL: &str = "an e-mail address (local@domain) of at most 256 bytes";

/// An e-mail address: trimmed, NFC, lower case. The domain is what follows the `@`.
///
/// # Errors
/// What was expected.
pub fn email(text: &str) -> Checked<Zeroizing<String>> {
    let text = text.trim();
    if text.len() > IDENTIFIER_BYTES_MAX || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(EXPECTED_EMAIL);
    }
    let lowered = if text.is_ascii() {
        text.to_ascii_lowercase()
    } else {
        text.nfc().flat_map(char::to_lowercase).nfc().collect()
    };
    let lowered = Zeroizing::new(lowered);
    let well_formed = match lowered.split_once('@') {
        Some((local, domain)) => !local.is_empty() && !domain.is_empty() && !domain.contains('@'),
        None => false,
    };
    if well_formed && lowered.len() <= IDENTIFIER_BYTES_MAX { Ok(lowered) } else { Err(EXPECTED_EMAIL) }
}

/// The domain of an address that [`email`] gave.
pub fn email_domain(address: &str) -> &str {
    address.rsplit_once('@').map_or("", |(_, domain)| domain)
}

/// What a phone number is expected to be.
pub const EXPECTED_PHONE: &str = "a phone number in E.164: + and 7 to 15 digits";

/// A phone number in E.164; spaces, dashes, dots and parentheses go, `00` becomes `+`.
///
/// # Errors
/// What was expected.
pub fn phone(text: &str) -> Checked<Wiped<16>> {
    let text = text.trim();
    let digits = text.strip_prefix('+').or_else(|| text.strip_prefix("00")).ok_or(EXPECTED_PHONE)?;
    let mut number = Wiped::new();
    number.push(b'+').ok_or(EXPECTED_PHONE)?;
    for byte in digits.bytes().filter(|byte| !matches!(byte, b' ' | b'-' | b'.' | b'(' | b')')) {
        if !byte.is_ascii_digit() {
            return Err(EXPECTED_PHONE);
        }
        number.push(byte).ok_or(EXPECTED_PHONE)?;
    }
    // No country code begins with 0.
    if number.len < 8 || number.bytes[1] == b'0' {
        return Err(EXPECTED_PHONE);
    }
    Ok(number)
}

/// An IP address; an IPv4 address mapped into IPv6 is the IPv4 address.
///
/// # Errors
/// What was expected.
pub fn ip(text: &str) -> Checked<IpAddr> {
    let address: IpAddr = text.trim().parse().map_err(|_| "an IPv4 or IPv6 address")?;
    Ok(address.to_canonical())
}

/// An IP prefix (`203.0.113.0/24`) or a single address: network address and prefix length in bits.
///
/// # Errors
/// What was expected; host bits must be zero.
pub fn ip_prefix(text: &str) -> Checked<(IpAddr, u8)> {
    const EXPECTED: &str = "an IP prefix such as 203.0.113.0/24 with zero host bits, or an address";
    let (address, length) = match text.trim().split_once('/') {
        Some((address, length)) if !length.starts_with('+') => (address, Some(length)),
        Some(_) => return Err(EXPECTED),
        None => (text.trim(), None),
    };
    let address: IpAddr = address.parse().map_err(|_| EXPECTED)?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let length: u8 = length.map_or(Ok(bits), str::parse).map_err(|_| EXPECTED)?;
    let host_bits = u32::from(bits.checked_sub(length).ok_or(EXPECTED)?);
    let clear = match address {
        IpAddr::V4(v4) => v4.to_bits().trailing_zeros() >= host_bits,
        IpAddr::V6(v6) => v6.to_bits().trailing_zeros() >= host_bits,
    };
    match (clear, address.to_canonical()) {
        (false, _) => Err(EXPECTED),
        // A mapped IPv4 network: its first 96 bits are the mapping's.
        (true, canonical @ IpAddr::V4(_)) if bits == 128 => match length.checked_sub(96) {
            Some(length) => Ok((canonical, length)),
            None => Ok((address, length)),
        },
        (true, canonical) => Ok((canonical, length)),
    }
}

const EXPECTED_BIN: &str = "a BIN prefix of 4 to 8 digits, or a range of such (411111-411119)";

/// A BIN prefix of 4 to 8 digits: its number and how many digits it has.
///
/// # Errors
/// What was expected.
pub fn bin_prefix(text: &str) -> Checked<(u32, u8)> {
    let text = text.trim();
    if !(4..=8).contains(&text.len()) {
        return Err(EXPECTED_BIN);
    }
    exact_digits(text, text.len(), EXPECTED_BIN)?;
    let number = text.parse().map_err(|_| EXPECTED_BIN)?;
    Ok((number, text.len() as u8))
}

/// The prefixes, ascending, that together are a BIN range `low-high` (both ends in it, of equally many digits), or the one
/// prefix of a text without a dash. The fewest there are: at most 2 × 9 for each digit.
///
/// # Errors
/// What was expected.
pub fn bin_prefixes(text: &str) -> Checked<Vec<(u32, u8)>> {
    let Some((low, high)) = text.split_once('-') else { return Ok(vec![bin_prefix(text)?]) };
    let ((mut low, digits), (high, high_digits)) = (bin_prefix(low)?, bin_prefix(high)?);
    if digits != high_digits || low > high {
        return Err("a BIN range whose ends have equally many digits, the lower one first");
    }
    let mut prefixes = Vec::new();
    while low <= high {
        // The widest block that begins here and does not pass the end.
        let (mut block, mut number, mut length) = (1, low, digits);
        while length > 1 && low.is_multiple_of(block * 10) && low + (block * 10 - 1) <= high {
            (block, number, length) = (block * 10, number / 10, length - 1);
        }
        prefixes.push((number, length));
        low += block;
    }
    Ok(prefixes)
}

/// A country, ISO 3166-1 alpha-2 in capitals.
///
/// # Errors
/// What was expected.
pub fn country(text: &str) -> Checked<&str> {
    if is_country(text) { Ok(text) } else { Err("an ISO 3166-1 alpha-2 code in capitals") }
}

/// A text of exactly so many ASCII digits.
///
/// # Errors
/// `expected`.
pub fn exact_digits<'a>(text: &'a str, digits: usize, expected: &'static str) -> Checked<&'a str> {
    let right = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if right { Ok(text) } else { Err(expected) }
}

/// A merchant category code.
///
/// # Errors
/// What was expected.
pub fn mcc(text: &str) -> Checked<&str> {
    exact_digits(text, 4, "a merchant category code of 4 digits (ISO 18245)")
}

/// A system trace audit number.
///
/// # Errors
/// What was expected.
pub fn stan(text: &str) -> Checked<&str> {
    exact_digits(text, 6, "a system trace audit number of 6 digits")
}

/// A retrieval reference number.
///
/// # Errors
/// What was expected.
pub fn rrn(text: &str) -> Checked<&str> {
    let right = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if right { Ok(text) } else { Err("a retrieval reference number of 12 letters and digits") }
}

/// A UETR: a UUID of version 4, in lower case.
///
/// # Errors
/// What was expected.
pub fn uetr(text: &str) -> Checked<String> {
    const EXPECTED: &str = "a UETR: a UUID of version 4, 36 characters";
    let well_formed = text.len() == 36
        && text.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            14 => byte == b'4',
            19 => matches!(byte, b'8' | b'9' | b'a' | b'b' | b'A' | b'B'),
            _ => byte.is_ascii_hexdigit(),
        });
    if well_formed { Ok(text.to_ascii_lowercase()) } else { Err(EXPECTED) }
}

/// A number as the text of an identifier: plain decimal, no padding.
pub fn decimal(number: i64) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(20));
    write!(text, "{number}").expect("writing to a string does not fail");
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
