//! What the JSON bodies may hold: tables of objects and leaves, the one place where the wire's names stand. The reader
//! refuses what is not in them, and the dead letter keeps only what they say may be kept.

/// The type of a leaf in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeafType {
    /// A string.
    Text,
    /// An integer.
    Int,
    /// true or false.
    Bool,
}

/// How a leaf appears in a masked copy of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Never: an identifier, a name, free text.
    No,
    /// When it is a right code, time, address or number, so that nothing else hides in it.
    Code,
    /// With long digit runs masked: ids and references of the client's own.
    Reference,
}

/// A leaf of a shape.
#[derive(Debug, Clone, Copy)]
pub struct LeafDef {
    /// Dotted path.
    pub path: &'static str,
    /// JSON type.
    pub ty: LeafType,
    /// Whether a masked copy keeps it.
    pub keep: Keep,
}

/// What a name of an object leads to.
#[derive(Debug, Clone, Copy)]
pub enum Node {
    /// A leaf, by number.
    Leaf(u8),
    /// An object.
    Object(&'static Object),
    /// A leaf where there is no object, else an object.
    Either(u8, &'static Object),
}

/// An object of a shape: its own path (empty for the root) and its names.
#[derive(Debug)]
pub struct Object {
    /// Dotted path; empty for the root.
    pub path: &'static str,
    /// Names and where they lead.
    pub names: &'static [(&'static str, Node)],
}

/// A whole body's shape.
#[derive(Debug)]
pub struct Shape {
    /// The root object.
    pub root: &'static Object,
    /// The leaves, by number.
    pub leaves: &'static [LeafDef],
}

impl Shape {
    /// The number of the leaf of a path.
    pub fn leaf(&self, path: &str) -> Option<u8> {
        self.leaves.iter().position(|leaf| leaf.path == path).map(|at| at as u8)
    }
}

macro_rules! leaves {
    ($(#[$doc:meta])* $leaf:ident $table:ident: $($name:ident $path:literal $ty:ident $keep:ident;)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum $leaf { $(#[doc = concat!("`", $path, "`")] $name),* }
        impl From<$leaf> for u8 {
            fn from(leaf: $leaf) -> u8 {
                leaf as u8
            }
        }
        impl $leaf {
            /// Dotted path.
            pub fn path(self) -> &'static str {
                $table[self as usize].path
            }
        }
        static $table: &[LeafDef] = &[$(LeafDef { path: $path, ty: LeafType::$ty, keep: Keep::$keep }),*];
        const _: () = assert!($table.len() <= super::values::LEAVES_MAX);
    };
}

/// An object of a shape, written `object!(NAME "path" Leaf: "name" => Leaf, "name" => {OBJECT}, "name" => [Leaf or
/// OBJECT])`.
macro_rules! object {
    (@node $leaf:ident {$object:ident}) => { Node::Object(&$object) };
    (@node $leaf:ident [$name:ident or $object:ident]) => { Node::Either($leaf::$name as u8, &$object) };
    (@node $leaf:ident $name:ident) => { Node::Leaf($leaf::$name as u8) };
    ($object:ident $path:literal $leaf:ident: $($name:literal => $to:tt),* $(,)?) => {
        static $object: Object = Object { path: $path, names: &[$(($name, object!(@node $leaf $to))),*] };
    };
}

leaves! {
    /// The leaves of a decision request.
    Leaf REQUEST_LEAVES:
    Id                 "id"                         Text Reference;
    Tenant             "tenant"                     Text Reference;
    Kind               "kind"                       Text Code;
    Time               "time"                       Text Code;
    AmountMinor        "amount.minor"               Int  Code;
    AmountCurrency     "amount.currency"            Text Code;
    SettlementMinor    "settlement_amount.minor"    Int  Code;
    SettlementCurrency "settlement_amount.currency" Text Code;
    Channel            "channel"                    Text Code;
    CardPan            "card.pan"                   Text No;
    CardToken          "card.token"                 Text No;
    AccountIban        "account.iban"               Text No;
    AccountNumber      "account.number"             Text No;
    AccountBank        "account.bank"               Text Reference;
    PayerName          "payer.name"                 Text No;
    PayerCountry       "payer.country"              Text Code;
    PayeeName          "payee.name"                 Text No;
    PayeeCountry       "payee.country"              Text Code;
    PayeeIban          "payee.account.iban"         Text No;
    PayeeNumber        "payee.account.number"       Text No;
    PayeeBank          "payee.account.bank"         Text Reference;
    MerchantId         "merchant.id"                Text No;
    MerchantName       "merchant.name"              Text No;
    MerchantMcc        "merchant.mcc"               Text Code;
    MerchantCountry    "merchant.country"           Text Code;
    TerminalId         "terminal.id"                Text No;
    Acquirer           "acquirer"                   Text Reference;
    Issuer             "issuer"                     Text Reference;
    DeviceId           "device.id"                  Text No;
    DeviceIp           "device.ip"                  Text No;
    DeviceUserAgent    "device.user_agent"          Text No;
    Email              "email"                      Text No;
    Phone              "phone"                      Text No;
    Text               "text"                       Text No;
    Qr                 "qr"                         Text No;
    Stan               "refs.stan"                  Text Code;
    Rrn                "refs.rrn"                   Text No;
    Uetr               "refs.uetr"                  Text Code;
    TransmittedAt      "refs.transmitted_at"        Text Code;
    Original           "refs.original"              Text Reference;
    OriginalMti        "refs.original.mti"          Text Code;
    OriginalStan       "refs.original.stan"         Text Code;
    OriginalTransmittedAt "refs.original.transmitted_at" Text Code;
    OriginalAcquirer   "refs.original.acquirer"     Text Reference;
    OriginalForwarder  "refs.original.forwarder"    Text Reference;
    OriginalRrn        "refs.original.rrn"          Text No;
    SettlesAt          "settles_at"                 Text Code;
    DeadlineMs         "deadline_ms"                Int  Code;
}

object!(AMOUNT "amount" Leaf: "minor" => AmountMinor, "currency" => AmountCurrency);
object!(SETTLEMENT "settlement_amount" Leaf: "minor" => SettlementMinor, "currency" => SettlementCurrency);
object!(CARD "card" Leaf: "pan" => CardPan, "token" => CardToken);
object!(ACCOUNT "account" Leaf: "iban" => AccountIban, "number" => AccountNumber, "bank" => AccountBank);
object!(PAYER "payer" Leaf: "name" => PayerName, "country" => PayerCountry);
object!(PAYEE_ACCOUNT "payee.account" Leaf: "iban" => PayeeIban, "number" => PayeeNumber, "bank" => PayeeBank);
object!(PAYEE "payee" Leaf: "name" => PayeeName, "account" => {PAYEE_ACCOUNT}, "country" => PayeeCountry);
object!(MERCHANT "merchant" Leaf: "id" => MerchantId, "name" => MerchantName, "mcc" => MerchantMcc,
    "country" => MerchantCountry);
object!(TERMINAL "terminal" Leaf: "id" => TerminalId);
object!(DEVICE "device" Leaf: "id" => DeviceId, "ip" => DeviceIp, "user_agent" => DeviceUserAgent);
object!(ORIGINAL "refs.original" Leaf: "mti" => OriginalMti, "stan" => OriginalStan,
    "transmitted_at" => OriginalTransmittedAt, "acquirer" => OriginalAcquirer, "forwarder" => OriginalForwarder,
    "rrn" => OriginalRrn);
object!(REFS "refs" Leaf: "stan" => Stan, "rrn" => Rrn, "uetr" => Uetr, "transmitted_at" => TransmittedAt,
    "original" => [Original or ORIGINAL]);
object!(ROOT "" Leaf: "id" => Id, "tenant" => Tenant, "kind" => Kind, "time" => Time, "amount" => {AMOUNT},
    "settlement_amount" => {SETTLEMENT}, "channel" => Channel, "card" => {CARD}, "account" => {ACCOUNT},
    "payer" => {PAYER}, "payee" => {PAYEE}, "merchant" => {MERCHANT}, "terminal" => {TERMINAL},
    "acquirer" => Acquirer, "issuer" => Issuer, "device" => {DEVICE}, "email" => Email, "phone" => Phone,
    "text" => Text, "qr" => Qr, "refs" => {REFS}, "settles_at" => SettlesAt, "deadline_ms" => DeadlineMs);

/// A decision request (wire.md).
pub static REQUEST: Shape = Shape { root: &ROOT, leaves: REQUEST_LEAVES };

leaves! {
    /// The leaves of a label.
    LabelLeaf LABEL_LEAVES:
    Id       "id"       Text Reference;
    Sequence "sequence" Int  Code;
    Label    "label"    Text Code;
    Time     "time"     Text Code;
}

object!(LABEL_ROOT "" LabelLeaf: "id" => Id, "sequence" => Sequence, "label" => Label, "time" => Time);

/// One label of `POST /v1/labels`.
pub static LABEL: Shape = Shape { root: &LABEL_ROOT, leaves: LABEL_LEAVES };

leaves! {
    /// The leaves of a list entry.
    EntryLeaf ENTRY_LEAVES:
    CardPan       "card.pan"       Text No;
    CardToken     "card.token"     Text No;
    AccountIban   "account.iban"   Text No;
    AccountNumber "account.number" Text No;
    AccountBank   "account.bank"   Text Reference;
    Device        "device.id"      Text No;
    Merchant      "merchant.id"    Text No;
    Terminal      "terminal.id"    Text No;
    Ip            "ip"             Text No;
    Bin           "bin"            Text No;
    Email         "email"          Text No;
    Phone         "phone"          Text No;
    Name          "name"           Text No;
    Effect        "effect"         Text Code;
    Overridable   "overridable"    Bool Code;
    Overrides     "overrides"      Text Reference;
    Reason        "reason"         Text No;
    Severity      "severity"       Int  Code;
    ValidFrom     "valid_from"     Text Code;
    ValidTo       "valid_to"       Text Code;
    Contributor   "contributor"    Text Reference;
}

object!(ENTRY_CARD "card" EntryLeaf: "pan" => CardPan, "token" => CardToken);
object!(ENTRY_ACCOUNT "account" EntryLeaf: "iban" => AccountIban, "number" => AccountNumber, "bank" => AccountBank);
object!(ENTRY_DEVICE "device" EntryLeaf: "id" => Device);
object!(ENTRY_MERCHANT "merchant" EntryLeaf: "id" => Merchant);
object!(ENTRY_TERMINAL "terminal" EntryLeaf: "id" => Terminal);
object!(ENTRY_ROOT "" EntryLeaf: "card" => {ENTRY_CARD}, "account" => {ENTRY_ACCOUNT}, "device" => {ENTRY_DEVICE},
    "merchant" => {ENTRY_MERCHANT}, "terminal" => {ENTRY_TERMINAL}, "ip" => Ip, "bin" => Bin, "email" => Email,
    "phone" => Phone, "name" => Name, "effect" => Effect, "overridable" => Overridable, "overrides" => Overrides,
    "reason" => Reason, "severity" => Severity, "valid_from" => ValidFrom, "valid_to" => ValidTo,
    "contributor" => Contributor);

/// One entry of a list delta or of a list file in JSONL.
pub static ENTRY: Shape = Shape { root: &ENTRY_ROOT, leaves: ENTRY_LEAVES };

#[cfg(test)]
mod tests {
    use super::*;

    fn check(object: &Object, leaves: &[LeafDef], seen: &mut Vec<u8>) {
        assert!(object.names.len() <= 64, "the reader marks names seen in 64 bits");
        for (name, node) in object.names {
            let path =
                if object.path.is_empty() { (*name).into() } else { format!("{}.{name}", object.path) };
            match node {
                Node::Leaf(leaf) => {
                    assert_eq!(leaves[usize::from(*leaf)].path, path);
                    seen.push(*leaf);
                }
                Node::Object(inner) => {
                    assert_eq!(inner.path, path);
                    check(inner, leaves, seen);
                }
                Node::Either(leaf, inner) => {
                    assert_eq!((leaves[usize::from(*leaf)].path, inner.path), (&*path, &*path));
                    seen.push(*leaf);
                    check(inner, leaves, seen);
                }
            }
        }
    }

    #[test]
    fn every_leaf_is_reached_once_by_its_path() {
        for shape in [&REQUEST, &LABEL, &ENTRY] {
            let mut seen = Vec::new();
            check(shape.root, shape.leaves, &mut seen);
            seen.sort_unstable();
            assert!(seen.into_iter().map(usize::from).eq(0..shape.leaves.len()));
        }
    }
}
