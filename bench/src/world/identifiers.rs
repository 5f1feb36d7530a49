//! Identifiers that pass the checks a real one passes: Luhn (ISO/IEC 7812-1), mod 97 (ISO 13616), and the CRC of EMV
//! QR payloads. All are invented: test BINs, addresses of the documentation and benchmark ranges.

use super::dice::Dice;
use super::places::Country;

/// The Luhn check digit of some digits.
fn luhn_digit(digits: &str) -> char {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let value = u32::from(digit - b'0');
            match place % 2 {
                0 if value > 4 => 2 * value - 9,
                0 => 2 * value,
                _ => value,
            }
        })
        .sum();
    char::from(b'0' + ((10 - sum % 10) % 10) as u8)
}

/// A card number of the country's test range: 400000, the country's number, six digits, the check digit.
pub(crate) fn pan(dice: &mut Dice, country: &Country) -> String {
    let head = format!("400000{}{}", country.numeric, dice.digits(6));
    let check = luhn_digit(&head);
    format!("{head}{check}")
}

/// ISO 7064 mod 97-10 over letters and digits.
fn mod97(text: impl Iterator<Item = u8>) -> u32 {
    text.fold(0, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
    })
}

/// An IBAN of the country, or bank and number where it has none.
pub(crate) fn account(dice: &mut Dice, country: &Country) -> super::payments::Account {
    if country.bban.is_empty() {
        return super::payments::Account::number(format!("0210{}", dice.digits(5)), dice.digits(10));
    }
    let mut bban = String::new();
    for (class, count) in country.bban {
        for _ in 0..*count {
            let (first, size) = if *class == b'a' { (b'A', 26) } else { (b'0', 10) };
            bban.push(char::from(first + dice.below(size) as u8));
        }
    }
    let rest = mod97(bban.bytes().chain(country.code.bytes()).chain(*b"00"));
    super::payments::Account::iban(format!("{}{:02}{bban}", country.code, 98 - rest))
}

/// CRC-16/CCITT-FALSE, the checksum of EMV QR payloads (EMV QRCPS, merchant-presented mode, 4.7.3).
fn crc16(text: &str) -> u16 {
    text.bytes().fold(0xffff, |mut crc, byte| {
        crc ^= u16::from(byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
        }
        crc
    })
}

/// A merchant-presented QR payload.
pub(crate) fn qr(
    merchant_id: &str,
    name: &str,
    mcc: &str,
    country: &Country,
    currency_number: u16,
) -> String {
    let field = |id: &str, value: &str| format!("{id}{:02}{value}", value.len());
    let account = format!("{}{}", field("00", "org.example.qr"), field("01", merchant_id));
    let name: String = name.chars().filter(char::is_ascii).take(25).collect();
    let body = [
        field("00", "01"),
        field("01", "11"),
        field("26", &account),
        field("52", mcc),
        field("53", &format!("{currency_number:03}")),
        field("58", country.code),
        field("59", &name),
        field("60", country.town),
    ]
    .concat();
    let body = format!("{body}6304");
    format!("{body}{:04X}", crc16(&body))
}

/// An address of a country's customers: 198.18.0.0/15 is for benchmarks (RFC 2544).
pub(crate) fn home_ip(dice: &mut Dice, country_index: usize) -> String {
    format!("198.18.{}.{}", country_index * 14 + dice.below(14), dice.between(1, 254))
}

/// An address that attackers come from: the documentation ranges (RFC 5737).
pub(crate) fn attacker_ip(dice: &mut Dice) -> String {
    let prefix = *dice.pick(&["203.0.113", "192.0.2", "198.51.100"]);
    format!("{prefix}.{}", dice.between(1, 254))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::world::places::{COUNTRIES, country_of};

    #[test]
    fn known_identifiers_check() {
        assert_eq!(luhn_digit("411111111111111"), '1');
        assert_eq!(mod97(b"370400440532013000DE89".iter().copied()), 1);
        assert_eq!(crc16("123456789"), 0x29b1, "the check value of CRC-16/CCITT-FALSE");
    }

    #[test]
    fn made_identifiers_check() {
        let mut dice = Dice::new(3, 0);
        for index in 0..200 {
            let country = country_of(index % COUNTRIES.len());
            let pan = pan(&mut dice, country);
            let (head, check) = pan.split_at(15);
            assert_eq!(luhn_digit(head), check.parse::<char>().unwrap());
            if let Some(iban) = account(&mut dice, country).iban {
                assert_eq!(mod97(iban[4..].bytes().chain(iban[..4].bytes())), 1, "{iban}");
            }
        }
    }
}
