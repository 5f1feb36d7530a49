//! One table of every field: name, type, unit, sensitivity, retention, ISO 8583 data element, ISO 20022 path, and
//! what it is. The JSON name is the path itself; rules see the same path. A field's position is its number in the
//! journal, so rows are only ever added at the end.

use super::slots::ValueType;

/// How a field's value is kept, which is decided here and nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sensitivity {
    /// Kept in the clear: numbers, codes, countries, the parts of identifiers that stages need.
    Open,
    /// An identifier: checked, turned into keyed tags by normalise, and dropped.
    Tagged,
    /// Names and free text: kept, but encrypted from the first byte written.
    Sealed,
}

/// How long a field is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// As long as the journal and the archive.
    Archive,
    /// Until the segment's data key is destroyed.
    SegmentKey,
}

/// A row of the catalogue.
#[derive(Debug, Clone, Copy)]
pub struct FieldDef {
    /// The field.
    pub field: Field,
    /// JSON name and rule name, dotted.
    pub path: &'static str,
    /// What a rule sees.
    pub ty: ValueType,
    /// Unit or code list.
    pub unit: &'static str,
    /// How the value is kept.
    pub sensitivity: Sensitivity,
    /// How long the value is kept.
    pub retention: Retention,
    /// ISO 8583:1987 data element; empty where there is none.
    pub iso8583: &'static str,
    /// ISO 20022 path within pacs.008 `CdtTrfTxInf`; empty where there is none.
    pub iso20022: &'static str,
    /// What it is, for people.
    pub doc: &'static str,
}

macro_rules! retention {
    (Sealed) => {
        Retention::SegmentKey
    };
    ($other:ident) => {
        Retention::Archive
    };
}

macro_rules! catalogue {
    ($($field:ident $path:literal $ty:ident $unit:literal $sens:ident $de:literal $iso:literal $doc:literal;)*) => {
        /// A field of the catalogue. The number is its place in the journal.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Field { $(#[doc = $doc] $field),* }

        /// The catalogue, in the order of the fields' numbers.
        pub const CATALOGUE: &[FieldDef] = &[$(FieldDef {
            field: Field::$field, path: $path, ty: ValueType::$ty, unit: $unit,
            sensitivity: Sensitivity::$sens, retention: retention!($sens),
            iso8583: $de, iso20022: $iso, doc: $doc,
        }),*];
    };
}

catalogue! {
    // field           path                          type unit             kept    DE          ISO 20022                          what it is
    Kind               "kind"                        Text "code"           Open    "MTI"       ""                                 "request, advice, reversal, repeat, completion or refund";
    Time               "time"                        Time "ms UTC"         Open    "7,12,13"   "AccptncDtTm"                      "event time";
    AmountMinor        "amount.minor"                Int  "minor units"    Open    "4"         "InstdAmt"                         "transaction amount";
    AmountCurrency     "amount.currency"             Text "ISO 4217"       Open    "49"        "InstdAmt/@Ccy"                    "transaction currency";
    SettlementMinor    "settlement_amount.minor"     Int  "minor units"    Open    "5"         "IntrBkSttlmAmt"                   "settlement amount";
    SettlementCurrency "settlement_amount.currency"  Text "ISO 4217"       Open    "50"        "IntrBkSttlmAmt/@Ccy"              "settlement currency";
    Channel            "channel"                     Text "code"           Open    "22"        "PmtTpInf/LclInstrm"               "how the payment was made";
    Card               "card.tag"                    Tag  "keyed tag"      Tagged  "2"         ""                                 "the card, from PAN or token";
    CardBin            "card.bin"                    Text "6 or 8 digits"  Open    "2"         ""                                 "issuer identification number (ISO/IEC 7812-1), from the PAN";
    CardLast4          "card.last4"                  Text "4 digits"       Open    "2"         ""                                 "last four digits of the PAN";
    Account            "account.tag"                 Tag  "keyed tag"      Tagged  "102"       "DbtrAcct/Id"                      "the payer's account, from IBAN, or bank and number";
    AccountCountry     "account.country"             Text "ISO 3166-1"     Open    ""          "DbtrAcct/Id/IBAN"                 "country of the payer's IBAN";
    AccountBank        "account.bank"                Text "bank id"        Open    ""          "DbtrAgt/FinInstnId"               "bank of the payer's account number";
    PayerName          "payer.name"                  Text "text"           Sealed  ""          "Dbtr/Nm"                          "payer's name";
    PayerNameTag       "payer.name_tag"              Tag  "keyed tag"      Tagged  ""          "Dbtr/Nm"                          "payer's folded name";
    PayerCountry       "payer.country"               Text "ISO 3166-1"     Open    ""          "Dbtr/PstlAdr/Ctry"                "payer's country";
    PayeeName          "payee.name"                  Text "text"           Sealed  ""          "Cdtr/Nm"                          "payee's name";
    PayeeNameTag       "payee.name_tag"              Tag  "keyed tag"      Tagged  ""          "Cdtr/Nm"                          "payee's folded name";
    PayeeCountry       "payee.country"               Text "ISO 3166-1"     Open    ""          "Cdtr/PstlAdr/Ctry"                "payee's country";
    Payee              "payee.tag"                   Tag  "keyed tag"      Tagged  "103"       "CdtrAcct/Id"                      "the payee's account, from IBAN, or bank and number";
    PayeeAccountCountry "payee.account.country"      Text "ISO 3166-1"     Open    ""          "CdtrAcct/Id/IBAN"                 "country of the payee's IBAN";
    MerchantId         "merchant.id"                 Text "text"           Sealed  "42"        ""                                 "card acceptor identification code";
    Merchant           "merchant.tag"                Tag  "keyed tag"      Tagged  "42"        ""                                 "the merchant";
    MerchantName       "merchant.name"               Text "text"           Sealed  "43"        ""                                 "merchant's name and descriptor";
    MerchantMcc        "merchant.mcc"                Text "ISO 18245"      Open    "18"        ""                                 "merchant category code";
    MerchantCountry    "merchant.country"            Text "ISO 3166-1"     Open    "19"        ""                                 "merchant's country";
    TerminalId         "terminal.id"                 Text "text"           Sealed  "41"        ""                                 "card acceptor terminal identification";
    Terminal           "terminal.tag"                Tag  "keyed tag"      Tagged  "41"        ""                                 "the terminal";
    Acquirer           "acquirer"                    Text "institution id" Open    "32"        ""                                 "acquiring institution";
    Issuer             "issuer"                      Text "institution id" Open    "100"       ""                                 "issuing institution";
    Device             "device.tag"                  Tag  "keyed tag"      Tagged  ""          ""                                 "the device";
    DeviceIp           "device.ip"                   Ip   "address"        Open    ""          ""                                 "IP address of the device";
    DeviceUserAgent    "device.user_agent"           Text "text"           Sealed  ""          ""                                 "user agent of the device";
    Email              "email.tag"                   Tag  "keyed tag"      Tagged  ""          "Dbtr/CtctDtls/EmailAdr"           "e-mail address";
    EmailDomain        "email.domain"                Text "domain"         Open    ""          "Dbtr/CtctDtls/EmailAdr"           "domain of the e-mail address";
    Phone              "phone.tag"                   Tag  "keyed tag"      Tagged  ""          "Dbtr/CtctDtls/PhneNb"             "phone number (E.164)";
    Text               "text"                        Text "text"           Sealed  ""          "RmtInf/Ustrd"                     "remittance information";
    Qr                 "qr"                          Text "text"           Sealed  ""          ""                                 "QR payload (EMV QRCPS)";
    Stan               "refs.stan"                   Text "6 digits"       Open    "11"        ""                                 "system trace audit number";
    Rrn                "refs.rrn"                    Text "12 characters"  Open    "37"        ""                                 "retrieval reference number";
    Uetr               "refs.uetr"                   Text "UUIDv4"         Open    ""          "PmtId/UETR"                       "unique end-to-end transaction reference";
    Original           "refs.original"               Text "id"             Open    "90"        "OrgnlTxId"                        "the id of the transaction this one follows";
    SettlesAt          "settles_at"                  Time "ms UTC"         Open    "15"        "IntrBkSttlmDt"                    "when the payment settles";
    CrossBorder        "cross_border"                Bool "derived"        Open    ""          ""                                 "the two known countries of the payment differ";
    Corridor           "corridor"                    Text "CC-CC"          Open    ""          ""                                 "from country to country";
    Tenant             "tenant"                      Text "id"             Open    ""          ""                                 "the institution the payment belongs to";
}

impl Field {
    /// How many fields there are.
    pub const COUNT: usize = CATALOGUE.len();
    /// The identifiers that carry tags, in the catalogue's order.
    pub const IDENTIFIERS: [Field; 10] = [
        Field::Card,
        Field::Account,
        Field::PayerNameTag,
        Field::PayeeNameTag,
        Field::Payee,
        Field::Merchant,
        Field::Terminal,
        Field::Device,
        Field::Email,
        Field::Phone,
    ];

    /// The field's row.
    pub const fn def(self) -> &'static FieldDef {
        &CATALOGUE[self as usize]
    }
    /// The field of a journal number.
    pub fn from_number(number: u8) -> Option<Field> {
        CATALOGUE.get(usize::from(number)).map(|def| def.field)
    }
    /// The field of a path.
    pub fn by_path(path: &str) -> Option<Field> {
        CATALOGUE.iter().find(|def| def.path == path).map(|def| def.field)
    }
}

/// Names under which sensitive authentication data is offered (PCI DSS 3.2.1, requirement 3.2: never stored after
/// authorization). A decoder that meets one refuses the record without echoing the value.
pub const FORBIDDEN: &[&str] =
    &["cvv", "cvv2", "cvc", "cvc2", "cid", "track1", "track2", "track_data", "pin", "pin_block"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_at_their_numbers_and_paths_are_unique() {
        for (number, def) in CATALOGUE.iter().enumerate() {
            assert_eq!(def.field as usize, number);
            assert_eq!(Field::by_path(def.path), Some(def.field));
            assert_eq!(matches!(def.sensitivity, Sensitivity::Tagged), matches!(def.ty, ValueType::Tag));
        }
        let tagged = CATALOGUE.iter().filter(|d| d.sensitivity == Sensitivity::Tagged).map(|d| d.field);
        assert!(tagged.eq(Field::IDENTIFIERS), "every identifier is listed once, in order");
    }
}
