//! ISO 3166-1 alpha-2 codes, and the lengths of IBANs by country (SWIFT IBAN registry, release 99).

/// ISO 3166-1 alpha-2, officially assigned, and XK, which banks use for Kosovo.
const CODES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS \
    BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET \
    FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO \
    IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH \
    MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM \
    PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG \
    TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW";

/// IBAN lengths, in characters.
const IBAN_LENGTHS: &str = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 \
    DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 \
    IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 \
    OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 \
    UA29 VA22 VG24 XK20 YE30";

const TABLE: [bool; 26 * 26] = {
    let (codes, mut table, mut at) = (CODES.as_bytes(), [false; 26 * 26], 0);
    while at + 1 < codes.len() {
        if codes[at] != b' ' {
            table[number(codes[at], codes[at + 1])] = true;
            at += 1;
        }
        at += 1;
    }
    table
};

const IBAN_TABLE: [u8; 26 * 26] = {
    let (rows, mut table, mut at) = (IBAN_LENGTHS.as_bytes(), [0; 26 * 26], 0);
    while at + 3 < rows.len() {
        if rows[at] == b' ' {
            at += 1;
        } else {
            table[number(rows[at], rows[at + 1])] = (rows[at + 2] - b'0') * 10 + rows[at + 3] - b'0';
            at += 4;
        }
    }
    table
};

const fn number(first: u8, second: u8) -> usize {
    (first - b'A') as usize * 26 + (second - b'A') as usize
}

fn index(code: &str) -> Option<usize> {
    match code.as_bytes() {
        [first @ b'A'..=b'Z', second @ b'A'..=b'Z'] => Some(number(*first, *second)),
        _ => None,
    }
}

/// Whether this is an ISO 3166-1 alpha-2 code, in capitals.
pub fn is_country(code: &str) -> bool {
    index(code).is_some_and(|at| TABLE[at])
}

/// The length of a country's IBANs in characters; `None` where the country has none.
pub fn iban_length(country: &str) -> Option<usize> {
    index(country).map(|at| usize::from(IBAN_TABLE[at])).filter(|length| *length > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_hold_what_they_say() {
        assert_eq!(TABLE.iter().filter(|known| **known).count(), 250);
        for code in CODES.split_whitespace() {
            assert!(is_country(code), "{code}");
        }
        for code in ["", "D", "de", "ZZ", "UK", "EU", "DEU", "É"] {
            assert!(!is_country(code), "{code}");
        }
        let rows: Vec<_> = IBAN_LENGTHS.split_whitespace().collect();
        for row in &rows {
            assert_eq!(iban_length(&row[..2]), row[2..].parse().ok());
            assert!(is_country(&row[..2]), "{row}");
        }
        assert_eq!(IBAN_TABLE.iter().filter(|length| **length > 0).count(), rows.len());
        assert_eq!(iban_length("US"), None);
    }
}
