//! What happens, in order.

use super::AllianceConfig;
use super::cast::{Cast, Node, first_file};
use crate::demo::tell::Tell;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// A card that is in the wrong hands; the number is the schemes' own test number.
const BURNED: &str = "4111111111111111";
/// Another card; as above.
const OTHER: &str = "5555555555554444";
/// The banks and the auditor that found the alliance; two more banks join it.
const FOUNDERS: [&str; 4] = ["bank-a", "bank-b", "bank-c", "auditor"];
/// Who must have built an epoch's bytes again before a node loads it.
const COSIGNERS: &str = "2";
const PERIOD: &str = "demo";

/// What is told and checked.
struct Story<'a> {
    config: &'a AllianceConfig,
    cast: Cast,
    tell: Tell,
    began: Instant,
    began_ms: i64,
}

/// Plays it.
///
/// # Errors
/// The first step that did not come to what it says.
pub(super) fn run(config: &AllianceConfig) -> Result<()> {
    let mut story = Story {
        config,
        cast: Cast::new(config)?,
        tell: Tell { colours: config.colours },
        began: Instant::now(),
        began_ms: jiff::Timestamp::now().as_millisecond(),
    };
    let in_step = |name: &'static str| move || format!("step \"{name}\"");
    story.found().with_context(in_step("an alliance is founded"))?;
    story.grow().with_context(in_step("two more banks are admitted"))?;
    let (d, e) = story.work().with_context(in_step("everybody is at work"))?;
    story.report(&d, &e).with_context(in_step("a card is reported"))?;
    story.prove().with_context(in_step("the proof"))?;
    story.bill().with_context(in_step("the bill"))?;
    story.tell.step(&story.clock(), "That was all of it.");
    let work = story.cast.work.display();
    story
        .tell
        .say(&format!("Every line marked ok was checked. Folders, keys, logs and notes are in {work}."));
    Ok(())
}

impl Story<'_> {
    fn clock(&self) -> String {
        format!("{:>5.1} s", self.began.elapsed().as_secs_f64())
    }
    fn step(&self, title: &str) {
        self.tell.step(&self.clock(), title);
    }

    fn found(&mut self) -> Result<()> {
        self.step("Three banks and an auditor found an alliance.");
        self.tell.say("Each makes its own keys. The operator writes the rules down; all sign them, or there is no alliance.");
        let config = self.cast.hub_config()?;
        let mut init: Vec<String> =
            ["hub", "init", "--json", "--alliance", "alliance.example"].map(str::to_owned).into();
        let about = [
            "--name",
            "hub.example",
            "--legal-name",
            "Hub eG",
            "--jurisdiction",
            "DE",
            "--roles",
            "operator",
        ];
        init.extend(about.map(str::to_owned));
        for name in FOUNDERS {
            self.apply(name)?;
            init.extend(["--founder".into(), self.cast.at(&format!("{name}.application"))]);
        }
        let genesis = self.cast.at("genesis.note");
        init.extend(["--cosigners", COSIGNERS, "--config", &config, "--out", &genesis].map(str::to_owned));
        self.cast.run(&init.iter().map(String::as_str).collect::<Vec<_>>())?;
        for name in FOUNDERS {
            self.cast.member(name, &["member", "approve", &genesis])?;
        }
        let founded =
            self.cast.run(&["hub", "found", "--json", "--config", &config, "--out", &genesis, &genesis])?;
        let signatures = fs::read_to_string(&genesis)?.matches('\u{2014}').count();
        self.tell.check(
            founded["founded"] == true && signatures == FOUNDERS.len() + 1,
            &format!("the genesis has {signatures} signatures: {}", short(&founded["genesis"])),
        )?;
        self.cast.start("hub", &["hub", "serve", "--config", &config])?;
        for name in FOUNDERS {
            self.join(name)?;
        }
        self.until_synced("bank-a")
    }
    /// Makes a member's folder, and its application.
    fn apply(&self, name: &str) -> Result<()> {
        let (folder, full) = (self.cast.at(name), format!("{name}.example"));
        let roles = if name == "auditor" { "auditor" } else { "contributor,consumer" };
        let about = ["--name", &full, "--legal-name", name, "--jurisdiction", "DE", "--roles", roles];
        self.cast.run(&[&["consortium", "init", "--json", "--folder", &folder][..], &about].concat())?;
        self.write_application(name)
    }
    fn write_application(&self, name: &str) -> Result<()> {
        let out = self.cast.at(&format!("{name}.application"));
        self.cast.member(name, &["member", "apply", "--out", &out]).map(drop)
    }
    fn join(&self, name: &str) -> Result<()> {
        let (genesis, hub) = (self.cast.at("genesis.note"), self.cast.hub());
        self.cast.member(name, &["join", "--genesis", &genesis, "--hub", &hub]).map(drop)
    }
    /// The hub may be about to listen.
    fn until_synced(&mut self, name: &str) -> Result<()> {
        self.cast.until("the hub answers", |cast| Ok(cast.member(name, &["sync"]).is_ok())).map(drop)
    }

    fn grow(&mut self) -> Result<()> {
        self.step("Two more banks are admitted, by the rules.");
        for name in ["bank-d", "bank-e"] {
            self.apply(name)?;
            self.join(name)?;
            // Again: this time to the alliance that it has joined.
            self.write_application(name)?;
            let application = self.cast.at(&format!("{name}.application"));
            let one = self.cast.member("bank-a", &["member", "admit", &application])?;
            let two = self.cast.member("bank-b", &["member", "approve", "--all"])?;
            let leaf = two["signed"][0]["answer"]["leaf"].as_u64();
            self.tell.check(
                one["pending"] == true && leaf.is_some(),
                &format!(
                    "{name}: bank-a sponsors it, which is not enough; with bank-b it is, leaf {}",
                    leaf.unwrap_or(0)
                ),
            )?;
        }
        self.tell.say("The operator makes the key that tags are made under, sealed to each bank, and proposes a tariff.");
        self.cast.run(&["hub", "tag-key", "--json", "--config", &self.cast.at("hub.toml")])?;
        let tariff = self.cast.work.join("tariff");
        fs::write(&tariff, tariff_text()?)?;
        let tariff = tariff.display().to_string();
        self.cast.member("hub/operator", &["statement", "tariff", &tariff])?;
        for name in ["bank-a", "bank-b", "bank-c"] {
            self.cast.member(name, &["member", "approve", "--all"])?;
        }
        // Each has its copy of the key, which its node is to make tags under from its first payment on.
        for name in ["bank-d", "bank-e"] {
            self.cast.member(name, &["sync"])?;
        }
        let list = self.cast.member("bank-a", &["member", "list"])?;
        let waiting = list["pending"].as_array().context("what waits")?.len();
        self.tell.check(waiting == 0, "three of five banks have signed both: nothing waits any more")
    }

    fn work(&mut self) -> Result<(Node, Node)> {
        self.step("Everybody goes to work.");
        for name in ["bank-b", "bank-c", "auditor"] {
            let folder = self.cast.at(name);
            self.cast.start(name, &["consortium", "sync", "--json", "--folder", &folder, "--every", "1"])?;
        }
        let d = Node::start(&mut self.cast, "bank-d")?;
        let e = Node::start(&mut self.cast, "bank-e")?;
        self.tell.say("bank-b, bank-c and the auditor follow the logs; bank-d and bank-e have their nodes in the path of payments.");
        let morning = e.pay("morning", BURNED, 12_900)?;
        self.tell.check(
            morning["outcome"] == "approve",
            "bank-e approves a payment of 129.00 EUR; it settles in eight hours",
        )?;
        let other = d.pay("groceries", OTHER, 4_210)?;
        self.tell.check(other["outcome"] == "approve", "bank-d approves another card's")?;
        Ok((d, e))
    }

    fn report(&mut self, d: &Node, e: &Node) -> Result<()> {
        self.step("A customer of bank-a reports a card stolen.");
        let csv = self.cast.work.join("burned.csv");
        fs::write(&csv, format!("kind,value,reason,severity\ncard,{BURNED},card_stolen,90\n"))?;
        let reported = Instant::now();
        let done = self.cast.member("bank-a", &["contribute", &csv.display().to_string()])?;
        self.tell.check(
            done["rows"] == 1,
            "bank-a makes two tags of the number, signs them and sends them; the number stays there",
        )?;
        self.cast.until("the epoch is in force at bank-d", |_| {
            Ok(d.metric("interdict_consortium_rows")? == 1.0)
        })?;
        let took_s = reported.elapsed().as_secs_f64();
        let cosigners = self.cosigners("bank-d")?;
        self.tell.check(
            cosigners.len() >= 2,
            &format!(
                "{took_s:.1} s later bank-d uses the epoch; built again, byte for byte, and cosigned by {}",
                cosigners.join(", ")
            ),
        )?;
        let noon = d.pay("noon", BURNED, 89_900)?;
        let outcome = noon["outcome"].as_str().unwrap_or_default();
        let reason =
            noon["reasons"].as_array().and_then(|all| all.iter().find(|one| one["stage"] == "lists"));
        let detail = reason.map(|reason| &reason["detail"]).context("a reason of the lists")?;
        self.tell.check(
            outcome == "hold" && detail["reason"] == "card_stolen",
            &format!(
                "the same card at bank-d: {outcome}, {} on the word of a {} contributor, severity {}",
                detail["reason"], detail["class"], detail["severity"]
            ),
        )?;
        let fine = d.pay("more groceries", OTHER, 1_890)?;
        self.tell.check(fine["outcome"] == "approve", "another card goes on as before")?;
        self.tell.say("The short tag fits a few cards in the world. bank-d asks the tag service, blinded, whether it is this one.");
        self.cast.until("bank-d has it confirmed", |_| {
            Ok(d.metric("interdict_consortium_confirmations_total{answer=\"listed\"}")? == 1.0)
        })?;
        self.cast.until("the payment at bank-d is held", |_| Ok(d.hold("noon")?.is_some()))?;
        self.tell.check(true, "it is: the payment stays held")?;
        self.cast.until("the morning's payment at bank-e is held", |_| Ok(e.hold("morning")?.is_some()))?;
        let took_s = reported.elapsed().as_secs_f64();
        self.tell.check(
            true,
            &format!("and bank-e, which had approved at once in the morning, holds that payment too, {took_s:.1} s after the report"),
        )?;
        self.tell.check(
            e.gate("morning")? == "held" && d.gate("groceries")? == "go",
            "whoever settles is told: the morning's payment \"held\", the groceries \"go\"",
        )
    }

    /// Who has signed the epoch that a member holds, beside the operator.
    fn cosigners(&self, member: &str) -> Result<Vec<String>> {
        let note = fs::read_to_string(self.cast.work.join(member).join("epochs/held"))?;
        let names = note.lines().filter_map(|line| line.strip_prefix("\u{2014} ")?.split(' ').next());
        let banks = names.filter(|name| *name != "hub.example");
        Ok(banks.map(|name| name.trim_end_matches(".example").to_owned()).collect())
    }

    fn prove(&mut self) -> Result<()> {
        self.step("What bank-d asked is in a log that nobody can rewrite unseen.");
        let receipts = self.cast.work.join("bank-d/receipts");
        self.cast.until("bank-d has its receipt", |_| Ok(first_file(&receipts, ".tlog-proof").is_some()))?;
        let receipt = first_file(&receipts, ".tlog-proof").context("a receipt")?;
        let policy = self.cast.work.join("bank-d/alliance.policy");
        let (fits, said) = self.verify(&receipt, &policy)?;
        self.tell.check(fits, "the receipt, by deploy/verify_receipt.py, which shares no code with us:")?;
        said.lines().for_each(|line| self.tell.say(&format!("   {line}")));
        let text = fs::read_to_string(&receipt)?;
        let at = text.find("extra ").context("a receipt has its opening")? + 12;
        let mut bytes = text.into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let forged = self.cast.work.join("forged.tlog-proof");
        fs::write(&forged, bytes)?;
        let (fits, _) = self.verify(&forged, &policy)?;
        self.tell.check(!fits, "one letter of it changed: refused")?;
        let found = Command::new("grep").args(["-rl", BURNED]).arg(self.cast.work.join("hub")).output()?;
        self.tell.check(found.stdout.is_empty(), "the card's number is nowhere in the hub's folder")
    }
    fn verify(&self, receipt: &Path, policy: &Path) -> Result<(bool, String)> {
        let script = self.config.repository.join("deploy/verify_receipt.py");
        let done = Command::new(&self.config.python).arg(&script).arg(receipt).arg(policy).output();
        let done = done.with_context(|| {
            format!("{} (needed: Python with `cryptography`)", self.config.python.display())
        })?;
        let told = String::from_utf8_lossy(&done.stdout).into_owned();
        ensure!(
            !String::from_utf8_lossy(&done.stderr).contains("ModuleNotFoundError"),
            "{} has no package `cryptography`",
            self.config.python.display()
        );
        Ok((done.status.success(), told))
    }

    fn bill(&mut self) -> Result<()> {
        self.step("The bill follows from that log.");
        let (from, until) = (self.began_ms.to_string(), (self.began_ms + 86_400_000).to_string());
        let out = self.cast.at("bills");
        let verb = ["statement", "make", PERIOD, "--from-ms", &from, "--until-ms", &until, "--out", &out];
        let made = self.cast.member("hub/operator", &verb)?;
        let nets = made["nets"].as_array().context("nets")?;
        let sum: i64 = nets.iter().filter_map(|net| net[1].as_i64()).sum();
        let told: Vec<String> = nets.iter().map(|net| format!("{}: {} ct", net[0], net[1])).collect();
        self.tell.check(
            sum == 0 && nets.len() > 1,
            &format!("by member number, {}; the sum is zero", told.join(", ")),
        )?;
        // Their processes hold their folders.
        self.cast.end("auditor")?;
        self.cast.end("bank-d-node")?;
        let checked = self.cast.member("auditor", &["statement", "check", PERIOD])?;
        self.tell.check(
            checked["differences"] == json!([]),
            "the auditor opens every leaf, computes it again, and finds no difference",
        )?;
        let confirmed = self.cast.member("bank-d", &["statement", "confirm", PERIOD])?;
        self.tell.check(
            confirmed["signatures"] == 2,
            "bank-d computes its own again and signs: now both parties have",
        )?;
        let seen = self.cast.member("auditor", &["monitor"])?;
        self.tell.check(
            seen["broken"] == json!([]),
            &format!(
                "{} records and {} queries in the logs; no promise of the hub is broken",
                seen["governance"]["leaves"], seen["queries"]["leaves"]
            ),
        )
    }
}

/// The first digits of a hash.
fn short(hash: &Value) -> &str {
    hash.as_str().and_then(|hash| hash.get(..16)).unwrap_or_default()
}

fn tariff_text() -> Result<String> {
    use interdict_consortium::bill::money::Currency;
    use interdict_consortium::bill::service::Service;
    use interdict_consortium::bill::tariff::{AtFloor, CreditRule, Price, Tariff, Terms};
    let terms = Terms { minimum_minor: 0, floor_minor: 0, at_floor: AtFloor::Warn };
    let tariff = Tariff {
        alliance: "alliance.example".into(),
        version: 1,
        currency: Currency::parse("EUR")?,
        valid_from_ms: 1,
        classes: [("standard".to_owned(), terms)].into(),
        // Two cents for each identifier that the tag service is asked about.
        prices: [((Service::Confirm, "standard".to_owned()), Price { micro: 20_000, free: 0 })].into(),
        credit: CreditRule::None,
    };
    Ok(tariff.encode()?)
}
