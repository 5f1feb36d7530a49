//! Money: integer minor units and a currency of ISO 4217, whose exponent says how many minor units make one.

use std::fmt;

/// An ISO 4217 alphabetic code that is in the table below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency([u8; 3]);

/// Active ISO 4217 codes (list one) by exponent: currencies with exponent 2 are all that are not named in another
/// row. XXX and XTS are not money and are refused.
const EXPONENT_0: &str = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF";
const EXPONENT_2: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP \
    BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP \
    GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD \
    MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB \
    SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU \
    UZS VED VES WST XCD XCG YER ZAR ZMW ZWG";
const EXPONENT_3: &str = "BHD IQD JOD KWD LYD OMR TND";
const EXPONENT_4: &str = "CLF UYW";

impl Currency {
    /// The currency of an alphabetic code, in capitals; `None` when ISO 4217 has no such active code.
    pub fn parse(code: &str) -> Option<Currency> {
        let bytes: [u8; 3] = code.as_bytes().try_into().ok()?;
        let known = bytes.iter().all(u8::is_ascii_uppercase)
            && [EXPONENT_2, EXPONENT_0, EXPONENT_3, EXPONENT_4].iter().any(|row| row.contains(code));
        known.then_some(Currency(bytes))
    }
    /// Decimal places of the minor unit.
    pub fn exponent(self) -> u32 {
        let code = self.code();
        match () {
            () if EXPONENT_0.contains(code) => 0,
            () if EXPONENT_3.contains(code) => 3,
            () if EXPONENT_4.contains(code) => 4,
            () => 2,
        }
    }
    /// The alphabetic code.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).expect("parse admits ASCII only")
    }
    /// `minor` units in major units, as people write them: `57.67 EUR`, `800 JPY`.
    pub fn format(self, minor: i64) -> String {
        let exponent = self.exponent();
        let unit = 10u64.pow(exponent);
        let (sign, minor) = (if minor < 0 { "-" } else { "" }, minor.unsigned_abs());
        if exponent == 0 {
            return format!("{sign}{minor} {self}");
        }
        format!("{sign}{}.{:0width$} {self}", minor / unit, minor % unit, width = exponent as usize)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_are_those_of_iso_4217() {
        for (code, exponent) in [("EUR", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4), ("IDR", 2), ("ISK", 0)] {
            assert_eq!(Currency::parse(code).map(Currency::exponent), Some(exponent), "{code}");
        }
        for bad in ["eur", "EU", "XXX", "XTS", "R A", " EU", ""] {
            assert_eq!(Currency::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn people_read_major_units() {
        let format = |code, minor| Currency::parse(code).expect("in the table").format(minor);
        assert_eq!(format("EUR", 5767), "57.67 EUR");
        assert_eq!(format("EUR", -5), "-0.05 EUR");
        assert_eq!(format("JPY", 800), "800 JPY");
        assert_eq!(format("KWD", 1), "0.001 KWD");
    }
}
