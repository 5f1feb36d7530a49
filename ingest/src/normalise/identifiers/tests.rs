use super::*;
use proptest::prelude::*;

/// Luhn as the standard's annex tells it, digit by digit, from the right.
fn luhn_slow(text: &str) -> bool {
    let mut sum = 0;
    for (place, digit) in text.chars().rev().map(|c| c.to_digit(10).unwrap()).enumerate() {
        let doubled = if place % 2 == 1 { digit * 2 } else { digit };
        sum += doubled / 10 + doubled % 10;
    }
    sum % 10 == 0
}

/// Remainder by 97 by long division over the spelled-out number.
fn mod_97_slow(text: &str) -> u32 {
    let turned = format!("{}{}", &text[4..], &text[..4]);
    let spelled: String = turned.chars().map(|c| c.to_digit(36).unwrap().to_string()).collect();
    spelled.chars().fold(0u32, |rest, c| (rest * 10 + c.to_digit(10).unwrap()) % 97)
}

#[test]
fn pans() {
    let pan = Pan::parse("4111 1111-1111 1111").unwrap();
    assert_eq!((pan.digits(), pan.bin(), pan.last4()), ("4111111111111111", "41111111", "1111"));
    let amex = Pan::parse("378282246310005").unwrap();
    assert_eq!((amex.bin(), amex.last4()), ("378282", "0005"));
    assert!(Pan::parse("6304000000000000000").is_ok() == luhn_slow("6304000000000000000"));
    for bad in
        ["", "4111111111111112", "41111111111", "411111111111111111110", "4111x11111111111", "４１１１"]
    {
        assert_eq!(Pan::parse(bad).err(), Some(EXPECTED_PAN), "{bad}");
    }
}

#[test]
fn ibans() {
    for good in
        ["DE89370400440532013000", "fr14 2004 1010 0505 0001 3m02 606", "MT84MALT011000012345MTLCAST001S"]
    {
        let iban = Iban::parse(good).unwrap();
        assert_eq!(iban.text(), good.replace(' ', "").to_uppercase());
        assert_eq!(iban.country(), &good[..2].to_uppercase());
    }
    for bad in ["", "DE", "DE89370400440532013001", "DE8937040044053201300", "US89370400440532013000", "DÉ89"]
    {
        assert_eq!(Iban::parse(bad).err(), Some(EXPECTED_IBAN), "{bad}");
    }
}

#[test]
fn contacts_and_addresses() {
    assert_eq!(email(" Ana@Example.ORG ").unwrap().as_str(), "ana@example.org");
    assert_eq!(email_domain("ana@example.org"), "example.org");
    assert_eq!(email("an\u{e1}@example.org").unwrap(), email("an\u{61}\u{301}@example.org").unwrap());
    for bad in ["", "ana", "@example.org", "ana@", "a@b@c", "a b@c", &format!("{}@x.org", "a".repeat(256))] {
        assert!(email(bad).is_err(), "{bad}");
    }
    assert_eq!(phone("+351 (21) 000-0000").unwrap().as_str(), "+351210000000");
    assert_eq!(phone("00351210000000").unwrap().as_str(), "+351210000000");
    for bad in
        ["", "210000000", "+123456", "+1234567890123456", "+35a210000000", "+0351210000000", "++351210000"]
    {
        assert!(phone(bad).is_err(), "{bad}");
    }
    assert_eq!(ip("::ffff:203.0.113.7").unwrap(), ip("203.0.113.7").unwrap());
    assert!(ip("203.0.113.256").is_err());
    assert_eq!(ip_prefix("203.0.113.0/24"), Ok(("203.0.113.0".parse().unwrap(), 24)));
    assert_eq!(ip_prefix("203.0.113.7"), Ok(("203.0.113.7".parse().unwrap(), 32)));
    assert_eq!(ip_prefix("::ffff:203.0.113.0/120"), Ok(("203.0.113.0".parse().unwrap(), 24)));
    assert_eq!(ip_prefix("::/0"), Ok(("::".parse().unwrap(), 0)));
    for bad in ["203.0.113.7/24", "203.0.113.0/33", "203.0.113.0/", "203.0.113.0/+8", "2001:db8::1/32", "x"] {
        assert!(ip_prefix(bad).is_err(), "{bad}");
    }
    assert_eq!(bin_prefix("004111"), Ok((4111, 6)));
    assert!(bin_prefix("411").is_err() && bin_prefix("411111111").is_err() && bin_prefix("+41111").is_err());
}

#[test]
fn references() {
    let uuid = "8A562C67-CA16-48BA-B074-65581BE6F011";
    assert_eq!(uetr(uuid).unwrap(), uuid.to_lowercase());
    for bad in
        ["", "8a562c67-ca16-18ba-b074-65581be6f011", "8a562c67-ca16-48ba-c074-65581be6f011", "8a562c67"]
    {
        assert!(uetr(bad).is_err(), "{bad}");
    }
    assert!(stan("000123").is_ok() && stan("123").is_err() && stan("00012x").is_err());
    assert!(rrn("809100000123").is_ok() && rrn("8091").is_err() && rrn("80910000012 ").is_err());
    assert!(mcc("5812").is_ok() && mcc("581").is_err());
    assert_ne!(account("a", "bc").unwrap(), account("ab", "c").unwrap());
    assert!(account("a\u{1f}b", "c").is_err());
    assert_eq!(decimal(0).as_str(), "0");
}

proptest! {
    #[test]
    fn luhn_is_the_standards(digits in "[0-9]{1,30}") {
        prop_assert_eq!(luhn(digits.as_bytes()), luhn_slow(&digits));
    }

    #[test]
    fn mod_97_is_long_division(text in "[A-Z]{2}[0-9]{2}[A-Z0-9]{0,30}") {
        prop_assert_eq!(mod_97(text.as_bytes()), mod_97_slow(&text));
    }

    #[test]
    fn a_wrong_digit_never_passes(body in "[0-9]{11,18}", place in 0usize..18, by in 1u8..10) {
        let right = (0..10).map(|check| format!("{body}{check}")).find(|pan| luhn_slow(pan)).unwrap();
        prop_assert!(Pan::parse(&right).is_ok());
        let place = place % right.len();
        let mut wrong = right.into_bytes();
        wrong[place] = b'0' + (wrong[place] - b'0' + by) % 10;
        prop_assert!(Pan::parse(std::str::from_utf8(&wrong).unwrap()).is_err());
    }

    #[test]
    fn canonical_is_canonical(text in "\\PC{0,40}", spaced in "[+0-9 ().-]{7,24}") {
        if let Ok(first) = email(&text) { prop_assert_eq!(email(&first), Ok(first)); }
        if let Ok(first) = phone(&spaced) {
            let second = phone(first.as_str()).unwrap();
            prop_assert_eq!(second.as_str(), first.as_str());
        }
        if let Ok(first) = Pan::parse(&spaced) {
            let second = Pan::parse(first.digits()).unwrap();
            prop_assert_eq!(second.digits(), first.digits());
        }
        if let Ok(first) = identifier(&text) { prop_assert_eq!(identifier(&first), Ok(first.clone())); }
    }

    #[test]
    fn emails_are_canonical_once(local in "\\PC{1,12}", domain in "\\PC{1,12}") {
        if let Ok(first) = email(&format!("{local}@{domain}")) { prop_assert_eq!(email(&first), Ok(first)); }
    }
}

#[test]
fn bin_ranges_become_the_fewest_prefixes() {
    assert_eq!(bin_prefixes("411111"), Ok(vec![(411_111, 6)]));
    assert_eq!(bin_prefixes("411110-411119"), Ok(vec![(41_111, 5)]));
    assert_eq!(bin_prefixes("411118 - 411120"), Ok(vec![(411_118, 6), (411_119, 6), (411_120, 6)]));
    assert_eq!(bin_prefixes("0000-9999").map(|all| all.len()), Ok(10));
    for wrong in
        ["411119-411111", "41111-411119", "411-419", "-411111", "411111-", "4111-4112-4113", "4111-411x"]
    {
        assert!(bin_prefixes(wrong).is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn a_bin_is_in_a_range_if_a_prefix_begins_it(low in 0u32..10_000, span in 0u32..3_000, asked in 0u32..10_000) {
        let high = (low + span).min(9_999);
        let prefixes = bin_prefixes(&format!("{low:04}-{high:04}")).unwrap();
        let text = format!("{asked:04}");
        let begun = prefixes.iter().filter(|(number, digits)| {
            text.starts_with(&format!("{number:0width$}", width = usize::from(*digits)))
        });
        prop_assert_eq!(begun.count(), usize::from((low..=high).contains(&asked)));
        prop_assert!(prefixes.len() <= 2 * 9 * 4);
    }
}
