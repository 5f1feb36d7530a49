#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::load;
use interdict_engine::settlement::{CUT_OFF_DEFAULT_MS, HUNT_HORIZON_MS};
use std::path::Path;

/// Loads a configuration that lies in `deploy/`, as far as paths go.
fn load_text(text: &str) -> Result<Loaded> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.toml");
    std::fs::write(&path, text).unwrap();
    let mut loaded = load(&path)?;
    loaded.path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/c.toml");
    Ok(loaded)
}

const WHOLE: &str = r#"
[settlement]
default_h = 48
hunt_horizon = "10m"
unhunted = "go_flagged"

[[settlement.networks]]
name = "visa"
bins = ["4"]
[[settlement.networks]]
name = "t2"
channels = ["transfer"]
currencies = ["EUR"]
payee_countries = ["DE", "FR"]

[settlement.calendars.target]
file = "calendars/target.toml"
[settlement.calendars.cards]
file = "calendars/cards-t1.toml"

[[settlement.cut_offs]]
network = "t2"
calendar = "target"
[[settlement.cut_offs]]
tenant = "acme"
channel = "chip"
calendar = "cards"

[[settlement.levers]]
network = "t2"
lever = "accept_without_posting"
recall = true
[[settlement.levers]]
tenant = "acme"
network = "visa"
recall = false

[settlement.holds.cancel_capture]
hold_for = "36h"
at_expiry = "release"
[tenants.acme.holds.cancel_capture]
at_expiry = "confirm"
"#;

#[test]
fn a_whole_section_becomes_what_the_generation_has() {
    let built = build(&load_text(WHOLE).unwrap()).unwrap();
    let names: Vec<&str> = built.networks.iter().map(|network| network.name.as_str()).collect();
    assert_eq!(names, ["visa", "t2"]);
    // Calendars are by name, rows know them by number.
    let calendars: Vec<&str> = built.calendars.iter().map(|calendar| calendar.name.as_str()).collect();
    assert_eq!(calendars, ["cards", "target"]);
    assert_eq!(built.cut_offs.iter().map(|row| row.calendar).collect::<Vec<_>>(), [1, 0]);
    assert_eq!(built.calendars[1].version, "2026-1");
    assert_eq!((built.cut_off_default_ms, built.hunt_horizon_ms), (48 * HOUR_MS, 600_000));
    assert_eq!(built.unhunted, Unhunted::GoFlagged);
    assert_eq!(
        (built.levers[0].lever, built.levers[0].recall),
        (Some(Lever::AcceptWithoutPosting), Some(true))
    );
    assert_eq!((built.levers[1].lever, built.levers[1].recall), (None, Some(false)));
    let until = HoldUntil::For(36 * HOUR_MS);
    let terms = HoldTerms { until, at_expiry: AtExpiry::Release };
    assert_eq!(built.hold_terms(Lever::CancelCapture, "other"), terms);
    assert_eq!(built.hold_terms(Lever::CancelCapture, "acme"), HoldTerms::default());
}

#[test]
fn nothing_said_is_the_engines_default_and_the_older_key_goes_on_to_work() {
    assert_eq!(build(&load_text("").unwrap()).unwrap(), Settlement::default());
    assert_eq!((CUT_OFF_DEFAULT_MS, HUNT_HORIZON_MS), (24 * HOUR_MS, 300_000));
    let default_ms = |text: &str| build(&load_text(text).unwrap()).unwrap().cut_off_default_ms;
    assert_eq!(default_ms("[finish]\ncut_off_h = 7\n"), 7 * HOUR_MS);
    assert_eq!(default_ms("[finish]\ncut_off_h = 7\n[settlement]\ndefault_h = 9\n"), 9 * HOUR_MS);
}

#[test]
fn the_shipped_configuration_keeps_the_levers_of_the_contract() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/default.toml");
    let loaded = load(&path).unwrap();
    let settings = crate::node::publish::settings(&loaded).unwrap();
    let lever = |channel: &str, currency: &str| {
        use interdict_engine::domain::{Field, Transaction, TransactionKind};
        let mut tx = Transaction::new("default".into(), TransactionKind::Request, 0);
        tx.set_text(Field::Channel, channel);
        tx.set_text(Field::AmountCurrency, currency);
        (settings.lever(&tx), settings.settlement.network(&tx).map(ToOwned::to_owned))
    };
    for currency in ["EUR", "USD"] {
        for channel in ["chip", "contactless", "magstripe", "ecommerce", "phone"] {
            assert_eq!(lever(channel, currency).0, Lever::CancelCapture, "{channel}");
        }
        for channel in ["transfer", "qr_merchant", "qr_consumer", "wallet"] {
            assert_eq!(lever(channel, currency).0, Lever::StopBeforeCutoff, "{channel}");
        }
        assert_eq!(lever("atm", currency).0, Lever::None);
    }
    assert_eq!(lever("transfer", "EUR").1.as_deref(), Some("t2"));
    assert_eq!(lever("chip", "EUR").1.as_deref(), Some("cards"));
}

#[test]
fn what_is_wrong_is_told_with_its_key_and_what_was_expected() {
    for (text, expected) in [
        ("[settlement]\nunhunted = \"go\"\n", "settlement.unhunted = \"go\": expected hold or go_flagged"),
        (
            "[settlement]\nhunt_horizon = \"soon\"\n",
            "settlement.hunt_horizon = \"soon\": expected a duration",
        ),
        ("[settlement]\nhunt_horizon = \"8d\"\n", "limit 168h"),
        ("[settlement]\ndefault_h = -1\n", "settlement.default_h = -1: expected 0 to 9600"),
        (
            "[settlement]\nunhuntd = \"hold\"\n",
            "c.toml:2: unknown key \"unhuntd\", did you mean \"unhunted\"?",
        ),
        (
            "[[settlement.networks]]\nname = \"a\"\nbin = [\"4\"]\n",
            "c.toml:3: unknown key \"bin\", did you mean \"bins\"?",
        ),
        ("[[settlement.networks]]\nbins = [\"4\"]\n", "row 1: name = \"\""),
        (
            "[[settlement.networks]]\nname = \"a\"\nbins = [\"4\"]\n[[settlement.networks]]\nname = \"a\"\n",
            "row 2: name = \"a\": there is a row",
        ),
        (
            "[[settlement.networks]]\nname = \"a\"\n[[settlement.networks]]\nname = \"b\"\n",
            "\"b\" never carries",
        ),
        ("[[settlement.networks]]\nname = \"a\"\nbins = [\"4x\"]\n", "bins: \"4x\": expected 1 to 8 digits"),
        ("[[settlement.networks]]\nname = \"a\"\ncurrencies = [\"eur\"]\n", "currencies: \"eur\""),
        ("[[settlement.networks]]\nname = \"a\"\npayee_countries = [\"ZZ\"]\n", "payee_countries: \"ZZ\""),
        ("[[settlement.networks]]\nname = \"a\"\nchannels = [\"transfers\"]\n", "did you mean \"transfer\"?"),
        ("[[settlement.levers]]\nnetwork = \"a\"\nlever = \"none\"\n", "network = \"a\": there is none"),
        (
            "[[settlement.networks]]\nname = \"sct\"\n[[settlement.levers]]\nnetwork = \"stc\"\nlever = \"none\"\n",
            "row 1: network = \"stc\": expected one of sct, did you mean \"sct\"?",
        ),
        ("[[settlement.levers]]\nchannel = \"chip\"\n", "row 1: lever and recall are missing"),
        ("[[settlement.levers]]\ntenant = \"\"\nlever = \"none\"\n", "tenant is empty"),
        ("[[settlement.levers]]\nlever = \"cancel\"\n", "lever = \"cancel\": expected one of none,"),
        (
            "[decision.levers]\nchip = \"none\"\n[[settlement.levers]]\nchannel = \"chip\"\nlever = \"none\"\n",
            "settlement.levers, row 1: the lever of these payments is said twice",
        ),
        (
            "[[settlement.levers]]\nrecall = true\n[[settlement.levers]]\nrecall = false\n",
            "row 2: whether these payments can be recalled is said twice",
        ),
        (
            "[[settlement.cut_offs]]\ncalendar = \"x\"\n",
            "settlement.cut_offs, row 1: calendar = \"x\": there is none",
        ),
        ("[settlement.holds.recall]\n", "settlement.holds.recall: expected one of withhold_payout,"),
        (
            "[settlement.holds.detain_goods]\nhold_for = \"2\"\n",
            "settlement.holds.detain_goods.hold_for = \"2\"",
        ),
        ("[tenants.a.holds.detain_goods]\nat_expiry = \"end\"\n", "tenants.a.holds.detain_goods.at_expiry"),
    ] {
        let error = format!("{:#}", load_text(text).unwrap_err());
        assert!(error.contains(expected), "{text}: {error}");
    }
    let missing = load_text("[settlement.calendars.t]\nfile = \"calendars/none.toml\"\n").unwrap();
    let error = format!("{:#}", build(&missing).unwrap_err());
    assert!(error.contains("settlement.calendars.t") && error.contains("none.toml"), "{error}");
}
