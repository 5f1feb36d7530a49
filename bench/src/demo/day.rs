//! The day itself, step by step: morning, noon, people, evening.

use super::DemoConfig;
use super::node::Node;
use super::receiver::Receiver;
use super::scene::{self, Holds};
use super::tell::Tell;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;

/// Payments in one request.
const TOGETHER: usize = 40;
/// The third hunt that finds something ends the process before what it found is written, as `kill -9` would.
const KILLED_AT: &str = "hunt.before_found:3";
const ABORTED: i32 = 6;

struct Day {
    node: Node,
    receiver: Receiver,
    tell: Tell,
    /// What each payment was answered.
    verdicts: BTreeMap<String, String>,
    /// Those that the evening's files of transfers and of cards have.
    transfers: Vec<String>,
    cards: Vec<String>,
}

pub(super) async fn run(config: &DemoConfig) -> Result<()> {
    let receiver = Receiver::start().await?;
    let node = Node::lay_out(config, &receiver)?;
    let tell = Tell { colours: config.colours };
    let (verdicts, transfers, cards) = (BTreeMap::new(), Vec::new(), Vec::new());
    let mut day = Day { node, receiver, tell, verdicts, transfers, cards };
    day.morning().await.context("step \"morning\"")?;
    day.card().await.context("step \"a card is reported stolen\"")?;
    day.account().await.context("step \"an account is reported\"")?;
    day.name().await.context("step \"a name is put on the watchlist\"")?;
    day.people().await.context("step \"people decide\"")?;
    day.transfers().await.context("step \"transfers settle\"")?;
    day.cards().await.context("step \"cards settle\"")?;
    day.told().await.context("step \"who was told\"")?;
    day.report().await.context("step \"the day's report\"")
}

impl Day {
    async fn morning(&mut self) -> Result<()> {
        self.tell.step("08:00", "Morning. Payments are decided as they come, in milliseconds each.");
        let mut payments = scene::ordinary()?;
        let ordinary = payments.len();
        for payment in scene::named() {
            let time: jiff::Timestamp = payment["time"].as_str().context("time")?.parse()?;
            payments.push((time.as_millisecond(), payment));
        }
        payments.sort_by_key(|(at_ms, _)| *at_ms);
        let first_ms = payments.first().context("there are payments")?.0;
        self.node.set_clock(&crate::world::rfc3339(first_ms)).await?;
        self.node.start(Some(KILLED_AT)).await?;
        for together in payments.chunks(TOGETHER) {
            let last_ms = together.last().context("no chunk is empty")?.0;
            self.node.set_clock(&crate::world::rfc3339(last_ms)).await?;
            let bodies: Vec<&Value> = together.iter().map(|(_, payment)| payment).collect();
            let answers = self.node.post("/v1/decisions", &json!(bodies)).await?;
            for (payment, answer) in bodies.iter().zip(answers.as_array().context("answers")?) {
                let id = payment["id"].as_str().context("id")?.to_owned();
                let outcome = answer["outcome"].as_str().with_context(|| format!("{id}: {answer}"))?;
                match payment["channel"] == "transfer" {
                    true => self.transfers.push(id.clone()),
                    false => self.cards.push(id.clone()),
                }
                self.verdicts.insert(id, outcome.to_owned());
            }
        }
        let (count, told) = (self.verdicts.len(), scene::outcomes(&self.verdicts));
        self.tell.check(count == ordinary + 7, &format!("{count} payments, {told}"))?;
        for id in ["bakery", "pharmacy", "headphones", "rent", "deposit", "charter"] {
            ensure!(self.verdicts[id] == "approve", "{id} is {}, not approved", self.verdicts[id]);
        }
        self.tell.say("Among them, all approved: three purchases with one card (bakery, pharmacy, and headphones that are");
        self.tell.say("sent in the afternoon), a rent and an instant deposit to one account, and a charter company's bill.");
        let incoming = self.hold("incoming").await?;
        self.tell.check(
            incoming["state"] == "held" && incoming["sanctions"] == true,
            "one was held at once: an instant payment from a name on the house's watchlist is accepted, but not posted",
        )
    }

    async fn card(&mut self) -> Result<()> {
        self.tell.step(
            "12:00",
            "A customer reports her card stolen. One entry on a list; nobody looks at old payments by hand.",
        );
        self.node.set_clock("2026-09-15T10:00:00Z").await?;
        self.learn("stolen_cards", json!([{"card": {"pan": scene::STOLEN_CARD}}])).await?;
        let holds = self.node.holds().await?;
        for (id, lever) in
            [("bakery", "cancel_capture"), ("pharmacy", "cancel_capture"), ("headphones", "detain_goods")]
        {
            let hold = holds.get(id).with_context(|| format!("{id} is not held"))?;
            let learned = &hold["learned"];
            let so = hold["state"] == "held" && hold["lever"] == lever && learned["name"] == "stolen_cards";
            let text = format!(
                "{id}: held until {} ({lever}); learned from list {} at event {}, generation {}",
                berlin(&hold["until"]),
                text(&learned["name"]),
                learned["sequence"],
                text(&hold["generation"]),
            );
            self.tell.check(so, &text)?;
        }
        Ok(())
    }

    async fn account(&mut self) -> Result<()> {
        self.tell.step("12:05", "A bank names an account that stolen money goes through.");
        self.node.set_clock("2026-09-15T10:05:00Z").await?;
        self.learn("mule_accounts", json!([{"account": {"iban": scene::MULE}}])).await?;
        let rent = self.hold("rent").await?;
        let so = rent["state"] == "held" && rent["lever"] == "stop_before_cutoff";
        self.tell.check(so, &format!("rent: held; its batch closes at {}", berlin(&rent["cut_off"])))?;
        let deposit = self.hold("deposit").await?;
        let so = deposit["state"] == "too_late" && deposit["recall"] == true;
        self.tell
            .check(so, "deposit: too late, an instant payment is gone in ten seconds; it is asked back")?;
        let recall = deposit["rail_messages"][0].clone();
        let xml = text(&recall["xml"]);
        self.tell.check(
            xml.contains("<FIToFIPmtCxlReq>"),
            &format!("the recall, camt.056 {}:", text(&recall["id"])),
        )?;
        self.show(xml, &["<OrgnlUETR>", "<OrgnlIntrBkSttlmAmt", "<Cd>"]);
        let name = format!("{}.xml", text(&recall["id"]));
        self.node.until("the recall is a file", async || Ok(self.node.rail_files()?.contains(&name))).await
    }

    async fn name(&mut self) -> Result<()> {
        self.tell.step("12:10", "Compliance puts a name on the house's watchlist and publishes it. In the middle of the hunt the process dies.");
        self.node.set_clock("2026-09-15T10:10:00Z").await?;
        let path = self.node.watchlist();
        let list = std::fs::read_to_string(&path)?;
        std::fs::write(&path, format!("{}\nH-9,{},company\n", list.trim_end(), scene::NAME))?;
        let before = self.node.get("/v1/status").await?;
        // The answer may be cut by the end of the process; what counts is in the journal.
        drop(self.node.post("/v1/generations", &json!({})).await);
        let status = self.node.ended().await?;
        self.tell.check(
            status.signal() == Some(ABORTED),
            "it is gone at once, as by kill -9: after the hunt found something, and before that was written",
        )?;
        self.node.start(None).await?;
        let after = self.node.get("/v1/status").await?;
        let (before, after) = (&before["generation"], &after["generation"]);
        let told = format!("restarted: generation {} after {}", text(after), text(before));
        self.tell.check(before != after, &told)?;
        self.node.hunted().await?;
        let charter = self.hold("charter").await?;
        let so = charter["state"] == "held"
            && charter["learned"]["kind"] == "generation"
            && charter["sanctions"] == true
            && charter["until"].is_null();
        self.tell.check(so, "charter: held by the new generation; a sanctions hold, which no timer ends")?;
        let holds = self.node.holds().await?;
        let known = ["bakery", "pharmacy", "headphones", "rent", "deposit"];
        let once =
            known.iter().all(|id| holds[*id]["id"].as_str().is_some_and(|id| id.matches('-').count() == 1));
        self.tell.check(once, "what had been found before the kill is there, once")
    }

    async fn people(&mut self) -> Result<()> {
        self.tell
            .step("12:30", "People decide. Each says why, and it stands in the journal with their name.");
        self.node.set_clock("2026-09-15T10:30:00Z").await?;
        let release = json!({"comment": "called the customer: she was there herself", "who": "mira"});
        let answer = self.act("pharmacy", "release", &release).await?;
        self.tell.check(
            answer["state"] == "released",
            &format!("pharmacy: released by {}", text(&answer["by"])),
        )?;
        let confirm = json!({"comment": "not hers", "who": "mira"});
        let answer = self.act("bakery", "confirm", &confirm).await?;
        self.tell.check(answer["state"] == "confirmed", "bakery: confirmed as fraud")?;
        self.act("incoming", "comment", &json!({"comment": "date of birth asked for", "who": "ola"})).await?;
        self.node.set_clock("2026-09-15T11:00:00Z").await?;
        let block = json!({"comment": "the date of birth is the listed one", "who": "ola"});
        let answer = self.act("incoming", "block", &block).await?;
        self.tell.check(answer["state"] == "blocked", "incoming: a true match; the funds stay blocked")?;
        self.node.set_clock("2026-09-15T13:00:00Z").await?;
        self.expired("headphones").await?;
        self.tell.step("15:00", "The parcel would leave now. Nobody has decided about the headphones, so the declared default counts.");
        let hold = self.hold("headphones").await?;
        let so = hold["state"] == "expired_confirmed" && hold["ended"]["by"] == "timer";
        self.tell.check(so, "headphones: expired to confirm; the goods stay")
    }

    async fn transfers(&mut self) -> Result<()> {
        self.tell.step(
            "16:45",
            "The batch of transfers closes at 17:00. Whoever settles asks first: POST /v1/settlement/clear",
        );
        self.node.set_clock("2026-09-15T14:45:00Z").await?;
        let ids = self.transfers.clone();
        self.gate(
            &ids,
            &[("rent", "held"), ("charter", "held"), ("incoming", "held"), ("deposit", "too_late")],
        )
        .await
    }
    async fn cards(&mut self) -> Result<()> {
        self.tell.step("19:50", "Captures are presented at 20:00.");
        self.node.set_clock("2026-09-15T17:50:00Z").await?;
        // Nobody had decided about it when its batch closed.
        self.expired("rent").await?;
        let ids = self.cards.clone();
        self.gate(&ids, &[("bakery", "held"), ("headphones", "held"), ("pharmacy", "go")]).await
    }

    /// Asks the gate twice, and holds its answers against the holds and the verdicts.
    async fn gate(&self, ids: &[String], expected: &[(&str, &str)]) -> Result<()> {
        let answer = self.node.post("/v1/settlement/clear", &json!({"ids": ids})).await?;
        let again = self.node.post("/v1/settlement/clear", &json!({"ids": ids})).await?;
        ensure!(answer["results"] == again["results"], "asked again, the gate says something else");
        let holds = self.node.holds().await?;
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut states: BTreeMap<&str, &str> = BTreeMap::new();
        for (id, result) in ids.iter().zip(answer["results"].as_array().context("results")?) {
            let state = text(&result["state"]);
            ensure!(state == may_settle(id, &self.verdicts, &holds), "{id} is told {state}");
            ensure!(result["flagged"] == false, "{id} goes by the default");
            *counts.entry(state).or_default() += 1;
            states.insert(id, state);
        }
        let told: Vec<String> = counts.iter().map(|(state, count)| format!("{count} {state}")).collect();
        let told = told.join(", ");
        self.tell.check(counts.contains_key("go"), &format!("{} payments: {told}", ids.len()))?;
        for (id, state) in expected {
            self.tell.check(states.get(id) == Some(state), &format!("{id}: {state}"))?;
        }
        Ok(())
    }

    async fn told(&self) -> Result<()> {
        self.tell.step("19:55", "Who else was told.");
        let incoming = self.hold("incoming").await?;
        let messages = incoming["rail_messages"].as_array().context("messages to the rail")?;
        let statuses: Vec<&str> = messages.iter().map(|message| text(&message["status"])).collect();
        let so = statuses == ["ACWP", "PDNG", "BLCK"];
        self.tell
            .check(so, &format!("the rail, of \"incoming\" by pacs.002: {}", statuses.join(", then ")))?;
        let last = text(&messages.last().context("messages")?["xml"]);
        self.show(last, &["<MsgId>", "<TxSts>", "<Cd>"]);
        let files = async || {
            let files = self.node.rail_files()?;
            Ok(messages.iter().all(|message| files.contains(&format!("{}.xml", text(&message["id"])))))
        };
        self.node.until("the rail's files are written", files).await?;
        let files = self.node.rail_files()?;
        self.tell.check(files.len() == 4, &format!("files in rail/outgoing: {}", files.join(" ")))?;
        let holds = self.node.holds().await?;
        let placed = holds.values().filter(|hold| hold["state"] != "too_late").count();
        let kinds = [
            ("hold.placed", placed),
            ("case.too_late", holds.len() - placed),
            ("hold.released", 1),
            ("hold.confirmed", 1),
            ("hold.blocked", 1),
            ("hold.expired", 2),
        ];
        let all = async || Ok(kinds.iter().all(|(kind, count)| self.receiver.count(kind) == *count));
        self.node.until("the webhook's receiver was told all", all).await?;
        let told: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        let told = format!("a webhook, signed, before and after the kill: {}", told.join(", "));
        self.tell.check(self.receiver.refused() == 0, &told)
    }

    async fn report(&self) -> Result<()> {
        self.tell.step(
            "20:00",
            "The day's interceptions: approved in the morning, or held at once, and what became of them.",
        );
        let holds = self.node.holds().await?;
        let mut kept: BTreeMap<&str, i64> = BTreeMap::new();
        for (id, hold) in &holds {
            let (state, minor) =
                (text(&hold["state"]), hold["payment"]["amount"]["minor"].as_i64().unwrap_or(0));
            let learned = match hold["learned"]["kind"].as_str() {
                None => "its own verdict".to_owned(),
                Some(kind) => format!("{kind} at event {}", hold["learned"]["sequence"]),
            };
            if !matches!(state, "released" | "expired_released" | "too_late") {
                *kept.entry(text(&hold["payment"]["amount"]["currency"])).or_default() += minor;
            }
            self.tell.say(&format!(
                "{id:<12} {:>7}.{:02} {}  {state:<17} {:<22} {learned}",
                minor / 100,
                minor % 100,
                text(&hold["payment"]["amount"]["currency"]),
                text(&hold["lever"]),
            ));
        }
        let named_minor = 640 + 80_000 + 18_900 + 52_000 + 45_000;
        let so = kept.get("EUR").is_some_and(|minor| *minor >= named_minor);
        let told =
            kept.iter().map(|(currency, minor)| format!("{}.{:02} {currency}", minor / 100, minor % 100));
        let told = told.collect::<Vec<_>>().join(", ");
        self.tell.check(so, &format!("kept back: {told}"))?;
        let verified = self.node.verify()?;
        self.tell.check(verified.0, &format!("and every verdict made again from the journal: {}", verified.1))
    }

    async fn learn(&self, list: &str, entries: Value) -> Result<()> {
        self.node.ask(hyper::Method::PUT, &format!("/v1/lists/{list}/entries"), &entries).await?;
        self.node.hunted().await
    }
    async fn expired(&self, payment: &str) -> Result<()> {
        let ended = async || Ok(self.hold(payment).await?["state"] == "expired_confirmed");
        self.node.until(&format!("the hold of {payment} has run out"), ended).await
    }
    /// The whole of a payment's hold.
    async fn hold(&self, payment: &str) -> Result<Value> {
        let holds = self.node.holds().await?;
        let hold = holds.get(payment).with_context(|| format!("{payment} has no hold"))?;
        self.node.get(&format!("/v1/holds/{}", text(&hold["id"]))).await
    }
    async fn act(&self, payment: &str, act: &str, body: &Value) -> Result<Value> {
        let hold = self.hold(payment).await?;
        self.node.post(&format!("/v1/holds/{}/{act}", text(&hold["id"])), body).await
    }
    /// The lines of a message that have one of these.
    fn show(&self, xml: &str, elements: &[&str]) {
        for line in xml.lines().filter(|line| elements.iter().any(|element| line.contains(element))) {
            self.tell.say(&format!("  {}", line.trim()));
        }
    }
}

/// What the gate has to say of a payment, from its verdict and its hold alone.
fn may_settle(id: &str, verdicts: &BTreeMap<String, String>, holds: &Holds) -> &'static str {
    match holds.get(id).map(|hold| text(&hold["state"])) {
        Some("too_late") => "too_late",
        Some("released" | "expired_released") => "go",
        Some(_) => "held",
        None if matches!(verdicts[id].as_str(), "decline" | "hold") => "held",
        None => "go",
    }
}

/// A time as clocks in Berlin show it on that summer day.
fn berlin(time: &Value) -> String {
    let zone = jiff::tz::offset(2).to_time_zone();
    let time = text(time).parse::<jiff::Timestamp>().map(|time| time.to_zoned(zone));
    time.map_or_else(|_| "?".into(), |time| time.strftime("%H:%M").to_string())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
