//! Holds from outside: how they begin, what may be done with them and by whom, and what their readers see.

use super::keys::key;
use super::{BINARY, Probe, problem};
use interdict_tests::blackbox::{self, payment, write};
use interdict_tests::node::{Reply, Start};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Large amounts are held, larger ones declined; the amount 77,700 is a sanctions matter.
const RULES: &str = "\
rules:
  - id: stop
    title: Too much
    when: amount.minor >= 90000
    outcome: hold
    score: 700
    code: TOO_MUCH
    audience: processor
    examples:
      hit:
        - {amount.minor: 90000}
      miss:
        - {amount.minor: 89999}
  - id: secret
    title: What only the risk team knows
    when: amount.minor >= 95000
    outcome: hold
    score: 800
    code: SECRET
    audience: internal
    examples:
      hit:
        - {amount.minor: 95000}
      miss:
        - {amount.minor: 94999}
  - id: never
    title: Far too much
    when: amount.minor >= 990000
    outcome: decline
    score: 990
    code: NEVER
    audience: processor
    examples:
      hit:
        - {amount.minor: 990000}
      miss:
        - {amount.minor: 989999}
  - id: ask
    title: The customer is asked
    when: amount.minor == 60600
    outcome: challenge
    score: 600
    code: ASK
    audience: processor
    examples:
      hit:
        - {amount.minor: 60600}
      miss:
        - {amount.minor: 60601}
  - id: listed
    title: A matter of sanctions
    when: amount.minor == 77700
    outcome: hold
    score: 900
    code: LISTED
    audience: processor
    class: sanctions
    examples:
      hit:
        - {amount.minor: 77700}
      miss:
        - {amount.minor: 77701}
";

impl Probe {
    /// A node where payments are held.
    pub(super) fn holding(more: &str) -> Probe {
        let dir = TempDir::new().unwrap();
        // With the window, where a test does not say otherwise.
        let window = if more.contains("[window]") { "" } else { "\n[window]\n" };
        let config = blackbox::probe(dir.path(), &format!("{more}{window}"));
        write(&dir.path().join("probe/rules/rules.yaml"), RULES);
        let node = Start::new(BINARY, &config, dir.path().join("data")).start().unwrap();
        Probe { client: node.client(), node, dir, config }
    }
    pub(super) fn pay(&self, id: &str, minor: i64, more: Value) -> Value {
        let mut body = payment(json!({"id": id, "amount": {"minor": minor, "currency": "EUR"}}));
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        self.verdict(&body)
    }
    /// The state that the gate gives each id.
    pub(super) fn clear(&self, ids: Value) -> Vec<String> {
        let reply = self.client.post("/v1/settlement/clear", &json!({"ids": ids})).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text);
        let answer = reply.json();
        let results = answer["results"].as_array().unwrap();
        let asked: Vec<&Value> = results.iter().map(|one| &one["id"]).collect();
        assert_eq!(json!(asked), ids, "in the order asked");
        assert!(answer["hunted_through"].is_u64(), "{answer}");
        results.iter().map(|one| one["state"].as_str().unwrap().to_owned()).collect()
    }
    pub(super) fn act(&self, hold: &str, act: &str, body: Value) -> Reply {
        self.client.post(&format!("/v1/holds/{hold}/{act}"), &body).unwrap()
    }
    pub(super) fn done(&self, hold: &str, act: &str, body: Value) -> Value {
        let reply = self.act(hold, act, body);
        assert_eq!(reply.status, 200, "{act} {hold}: {}", reply.text);
        reply.json()
    }
    pub(super) fn hold(&self, hold: &str) -> Value {
        let reply = self.client.get(&format!("/v1/holds/{hold}")).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json()
    }
    /// The ids of the holds that a query finds, over all pages.
    fn holds(&self, query: &str) -> Vec<String> {
        let (mut ids, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.client.get(&format!("/v1/holds?{query}{cursor}")).unwrap();
            assert_eq!(page.status, 200, "{}", page.text);
            let page = page.json();
            ids.extend(page["holds"].as_array().unwrap().iter().map(|hold| text(&hold["id"])));
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return ids,
            }
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text, not {value}")).to_owned()
}
pub(super) fn hold_of(verdict: &Value) -> String {
    format!("h-{}", verdict["sequence"])
}

#[test]
fn a_held_payment_waits_is_released_once_and_then_goes_also_after_a_restart() {
    let mut probe = Probe::holding("");
    let held = probe.pay("a", 96_000, json!({"settles_at": "2100-01-01T00:00:00Z"}));
    assert_eq!((&held["outcome"], &held["lever"]), (&json!("hold"), &json!("cancel_capture")));
    let id = hold_of(&held);
    let hold = probe.hold(&id);
    assert_eq!((&hold["id"], &hold["state"]), (&json!(id), &json!("held")));
    let payment =
        json!({"id": "a", "sequence": held["sequence"], "amount": {"minor": 96_000, "currency": "EUR"}});
    assert_eq!(hold["payment"], payment);
    assert_eq!((&hold["lever"], &hold["kind"]), (&json!("cancel_capture"), &json!("settlement")));
    assert_eq!((&hold["cut_off"], &hold["until"]), (&json!("2100-01-01T00:00:00Z"), &hold["cut_off"]));
    assert_eq!((&hold["at_expiry"], &hold["sanctions"]), (&json!("confirm"), &json!(false)));
    assert_eq!(hold["causes"], json!(["probe/secret", "probe/stop"]));
    assert_eq!((&hold["reasons"], &hold["generation"]), (&held["reasons"], &held["generation"]));
    assert_eq!((&hold["ended"], &hold["acts"]), (&Value::Null, &json!([])));
    assert_eq!(probe.clear(json!(["a"])), ["held"]);
    probe.done(&id, "comment", json!({"comment": "asked the customer", "who": "anna"}));
    let released = probe.done(&id, "release", json!({"comment": "it was she", "who": "ben"}));
    assert_eq!((&released["state"], &released["by"]), (&json!("released"), &json!("loopback/ben")));
    for act in ["release", "confirm"] {
        let refused = problem(&probe.act(&id, act, json!({})), 409);
        assert!(text(&refused["detail"]).contains("is released"), "{refused}");
    }
    let refused = problem(&probe.act(&id, "block", json!({})), 409);
    assert!(text(&refused["detail"]).contains("is released"), "{refused}");
    for round in 0..2 {
        assert_eq!(probe.clear(json!(["a", "a"])), ["go", "go"], "round {round}");
        let hold = probe.hold(&id);
        assert_eq!((&hold["state"], &hold["ended"]["by"]), (&json!("released"), &json!("loopback/ben")));
        let acts: Vec<_> = hold["acts"].as_array().unwrap().iter().collect();
        let told: Vec<_> = acts.iter().map(|act| [&act["act"], &act["by"], &act["comment"]]).collect();
        let expected =
            [["comment", "loopback/anna", "asked the customer"], ["release", "loopback/ben", "it was she"]];
        assert_eq!(json!(told), json!(expected));
        assert!(acts.iter().all(|act| act["at"].is_string() && act["sequence"].is_u64()), "{hold}");
        probe.restart();
    }
}

#[test]
fn what_may_be_done_with_a_hold_depends_on_what_it_is() {
    let probe = Probe::holding("");
    let held = hold_of(&probe.pay("a", 90_000, json!({})));
    for act in ["block", "reject", "false-match"] {
        problem(&probe.act(&held, act, json!({"comment": "why", "who": "anna"})), 409);
    }
    assert_eq!(probe.done(&held, "confirm", json!({}))["state"], "confirmed");
    assert_eq!(probe.clear(json!(["a"])), ["held"]);
    for (id, act, state) in [("b", "block", "blocked"), ("c", "reject", "rejected")] {
        let listed = hold_of(&probe.pay(id, 77_700, json!({})));
        assert_eq!(probe.hold(&listed)["sanctions"], true);
        assert_eq!(probe.hold(&listed)["until"], Value::Null, "no timer ends it");
        for refused in ["release", "confirm"] {
            problem(&probe.act(&listed, refused, json!({"comment": "why"})), 409);
        }
        assert_eq!(probe.done(&listed, act, json!({}))["state"], state);
        assert_eq!(probe.clear(json!([id])), ["held"]);
    }
    // Nobody else's business: no hold, no act, no body.
    problem(&probe.act("h-99999", "release", json!({})), 404);
    problem(&probe.act("h-1-1", "release", json!({})), 404);
    problem(&probe.act(&held, "undo", json!({})), 404);
    problem(&probe.client.get("/v1/holds/h-99999").unwrap(), 404);
    problem(&probe.act(&held, "comment", json!({"comment": " "})), 422);
    problem(&probe.act(&held, "comment", json!({"comment": "x".repeat(4097)})), 413);
    problem(&probe.act(&held, "comment", json!({"comment": 7})), 422);
    problem(&probe.act(&held, "comment", json!({"comment": "x", "who": "a/b"})), 422);
}

#[test]
fn a_false_match_needs_two_persons_and_words() {
    let probe = Probe::holding("");
    let listed = hold_of(&probe.pay("a", 77_700, json!({})));
    let says = |who: Option<&str>, comment: &str| {
        probe.act(&listed, "false-match", json!({"comment": comment, "who": who}))
    };
    assert_eq!(problem(&says(None, "another date of birth"), 422)["field"], "who");
    problem(&says(Some("anna"), ""), 422);
    assert_eq!(says(Some("anna"), "another date of birth").json()["state"], "held");
    let hold = probe.hold(&listed);
    assert_eq!(hold["false_match_proposed"]["by"], "loopback/anna");
    assert_eq!(probe.holds("proposed=true"), [listed.as_str()]);
    problem(&says(Some("anna"), "another date of birth"), 409);
    assert_eq!(probe.clear(json!(["a"])), ["held"]);
    assert_eq!(says(Some("ben"), "seen the passport").json()["state"], "released");
    assert_eq!(probe.clear(json!(["a"])), ["go"]);
}

#[test]
fn persons_are_told_apart_by_their_keys_unless_the_configuration_trusts_who_has_one() {
    for (persons_by, second, with_own_key) in [("key", 409, 200), ("who", 200, 409)] {
        let dir = TempDir::new().unwrap();
        let more = format!("\n[settlement]\npersons_by = \"{persons_by}\"\n");
        let config = blackbox::probe(dir.path(), &more);
        write(&dir.path().join("probe/rules/rules.yaml"), RULES);
        let data = dir.path().join("data");
        let keys = ["one", "two"].map(|name| key(&data, name, "risk", None));
        let admin = key(&data, "admin", "admin", None);
        let node = Start::new(BINARY, &config, &data).start().unwrap();
        let client = node.client();
        let send = |key: &str, path: &str, body: &Value| {
            let bearer = format!("Bearer {key}");
            client.send("POST", path, &[("Authorization", &bearer)], body.to_string()).unwrap()
        };
        let held = |id: &str| {
            let body = payment(json!({"id": id, "amount": {"minor": 77_700, "currency": "EUR"}}));
            hold_of(&send(&admin, "/v1/decisions", &body).json())
        };
        let says = |key: &str, hold: &str, who: &str| {
            let body = json!({"comment": "no match", "who": who});
            send(key, &format!("/v1/holds/{hold}/false-match"), &body).status
        };
        let (first, other) = (held("a"), held("b"));
        assert_eq!(says(&keys[0], &first, "anna"), 200);
        assert_eq!(says(&keys[0], &first, "ben"), second, "{persons_by}: another person, the same key");
        assert_eq!(says(&keys[0], &other, "anna"), 200);
        assert_eq!(
            says(&keys[1], &other, "anna"),
            with_own_key,
            "{persons_by}: the same person, another key"
        );
    }
}

#[test]
fn holds_are_found_by_what_they_are_a_page_at_a_time() {
    let probe = Probe::holding("");
    let settles = |n: usize| json!({"settles_at": format!("2100-01-{:02}T00:00:00Z", 28 - n)});
    let all: Vec<String> =
        (0..9).map(|n| hold_of(&probe.pay(&format!("p-{n}"), 90_000 + n as i64, settles(n)))).collect();
    let listed = hold_of(&probe.pay("s", 77_700, json!({"channel": "transfer"})));
    probe.done(&all[4], "release", json!({}));
    probe.done(&all[5], "confirm", json!({}));
    let without = |left: &[usize]| -> Vec<String> {
        all.iter().enumerate().filter(|(at, _)| !left.contains(at)).map(|(_, id)| id.clone()).collect()
    };
    let mut backwards = all.clone();
    backwards.reverse();
    let every: Vec<String> = all.iter().chain([&listed]).cloned().collect();
    for limit in [1, 2, 9, 10, 1000] {
        let found = |query: &str| probe.holds(&format!("limit={limit}&{query}"));
        assert_eq!(found(""), every);
        assert_eq!(found("state=held&lever=cancel_capture"), without(&[4, 5]));
        assert_eq!(found("state=released,confirmed"), [all[4].as_str(), all[5].as_str()]);
        assert_eq!(found("order=deadline&reason=probe/stop"), backwards);
        assert_eq!(found("order=deadline&state=confirmed"), [all[5].as_str()]);
        assert_eq!(found("sanctions=true"), [listed.as_str()]);
        assert_eq!(found("lever=stop_before_cutoff"), [listed.as_str()]);
        assert_eq!(found("min_amount=90007"), all[7..]);
        assert_eq!(found("kind=settlement&currency=EUR&tenant=default"), every);
    }
    for nothing in
        ["kind=payout", "currency=USD", "tenant=other", "until=2020-01-01T00:00:00Z", "reason=probe"]
    {
        assert!(probe.holds(nothing).is_empty(), "{nothing}");
    }
    assert_eq!(probe.holds("since=2020-01-01T00:00:00Z"), every);
    let row = &probe.client.get("/v1/holds?limit=1").unwrap().json()["holds"][0];
    assert_eq!((&row["payment"]["id"], &row["state"]), (&json!("p-0"), &json!("held")));
    problem(&probe.client.get("/v1/holds?state=gone").unwrap(), 422);
    problem(&probe.client.get("/v1/holds?order=deadline&cursor=h-1").unwrap(), 422);
}

#[test]
fn several_are_released_each_on_its_own() {
    let probe = Probe::holding("");
    let held = ["a", "b", "c"].map(|id| hold_of(&probe.pay(id, 90_000, json!({}))));
    let listed = hold_of(&probe.pay("s", 77_700, json!({})));
    probe.done(&held[1], "confirm", json!({}));
    let ids = json!([held[0], held[1], "h-77777", "nonsense", listed, held[2], held[2]]);
    let reply = probe.client.post("/v1/holds/release", &json!({"ids": ids, "comment": "all seen"})).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text);
    let reply = reply.json();
    let told: Vec<Value> =
        reply["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                if one["problem"].is_null() { one["state"].clone() } else { one["problem"]["status"].clone() }
            })
            .collect();
    assert_eq!(json!(told), json!(["released", 409, 404, 404, 409, "released", 409]));
    assert_eq!(probe.clear(json!(["a", "b", "c", "s"])), ["go", "held", "go", "held"]);
    let many = vec!["h-1"; 1001];
    problem(&probe.client.post("/v1/holds/confirm", &json!({"ids": many})).unwrap(), 413);
    problem(&probe.client.post("/v1/holds/block", &json!({"ids": []})).unwrap(), 404);
}

#[test]
fn a_reversal_ends_a_hold_in_full_and_not_in_part() {
    let mut probe = Probe::holding("");
    let reverse = |probe: &Probe, id: &str, of: &str, minor: i64| {
        probe.pay(id, minor, json!({"kind": "reversal", "refs": {"original": of}}))
    };
    let held = ["a", "b"].map(|id| hold_of(&probe.pay(id, 90_000, json!({}))));
    reverse(&probe, "r-1", "a", 40_000);
    assert_eq!(probe.hold(&held[0])["state"], "held");
    let whole = reverse(&probe, "r-2", "b", 90_000);
    for _ in 0..2 {
        let hold = probe.hold(&held[1]);
        assert_eq!((&hold["state"], &hold["ended"]["by"]), (&json!("reversed"), &json!("reversal")));
        assert_eq!(hold["ended"]["sequence"], whole["sequence"]);
        assert_eq!(probe.clear(json!(["a", "b", "r-1"])), ["held"; 3], "a reversal is nothing to settle");
        problem(&probe.act(&held[1], "release", json!({})), 409);
        probe.restart();
    }
    // One that comes before its payment: held and taken back in one.
    reverse(&probe, "r-3", "c", 90_000);
    let early = hold_of(&probe.pay("c", 90_000, json!({})));
    assert_eq!(probe.hold(&early)["state"], "reversed");
}

#[test]
fn tenants_and_roles_are_kept_apart_and_readers_see_what_is_meant_for_them() {
    let dir = TempDir::new().unwrap();
    let config = blackbox::probe(dir.path(), "");
    write(&dir.path().join("probe/rules/rules.yaml"), RULES);
    let data = dir.path().join("data");
    let roles = ["submit", "read", "risk", "ops", "admin"].map(|role| (role, key(&data, role, role, None)));
    let bound = [
        ("risk-a", "risk", "a"),
        ("risk-b", "risk", "b"),
        ("ops-a", "ops", "a"),
        ("submit-b", "submit", "b"),
    ];
    let bound = bound.map(|(name, role, tenant)| (name, key(&data, name, role, Some(tenant))));
    let keys: Vec<(&str, String)> = roles.into_iter().chain(bound).collect();
    let node = Start::new(BINARY, &config, &data).start().unwrap();
    let client = node.client();
    let send = |who: &str, method: &str, path: &str, body: &Value| {
        let key = &keys.iter().find(|(name, _)| *name == who).unwrap().1;
        let bearer = format!("Bearer {key}");
        client.send(method, path, &[("Authorization", &bearer)], body.to_string()).unwrap()
    };
    let get = |who: &str, path: &str| send(who, "GET", path, &json!(null));
    let held = |tenant: &str| {
        let amount = json!({"minor": 96_000, "currency": "EUR"});
        let body = payment(json!({"id": "x", "tenant": tenant, "amount": amount}));
        hold_of(&send("submit", "POST", "/v1/decisions", &body).json())
    };
    let (of_a, of_b) = (held("a"), held("b"));
    let path = format!("/v1/holds/{of_a}");
    let comment = json!({"comment": "a word"});
    let clear = json!({"ids": ["x"]});
    for (who, reads, acts, clears) in [
        ("submit", 403, 403, 200),
        ("read", 403, 403, 403),
        ("risk", 200, 200, 403),
        ("ops", 200, 403, 403),
        ("admin", 200, 200, 200),
        ("risk-a", 200, 200, 403),
        ("risk-b", 404, 404, 403),
        ("ops-a", 200, 403, 403),
        ("submit-b", 403, 403, 200),
    ] {
        assert_eq!(get(who, &path).status, reads, "{who}");
        assert_eq!(get(who, "/v1/holds").status, if reads == 404 { 200 } else { reads }, "{who}");
        assert_eq!(send(who, "POST", &format!("{path}/comment"), &comment).status, acts, "{who}");
        assert_eq!(send(who, "POST", "/v1/settlement/clear", &clear).status, clears, "{who}");
    }
    let found = |who: &str, query: &str| {
        let page = get(who, &format!("/v1/holds?{query}")).json();
        page["holds"].as_array().unwrap().iter().map(|hold| text(&hold["id"])).collect::<Vec<_>>()
    };
    assert_eq!(found("risk", ""), [of_a.clone(), of_b.clone()]);
    assert_eq!((found("risk-a", ""), found("risk-b", "")), (vec![of_a.clone()], vec![of_b.clone()]));
    assert_eq!(get("risk-b", "/v1/holds?tenant=a").status, 403);
    // The id is known to both tenants, and is another payment to each.
    let release = send("risk-a", "POST", &format!("{path}/release"), &json!({}));
    assert_eq!(release.status, 200, "{}", release.text);
    let state = send("submit-b", "POST", "/v1/settlement/clear", &clear).json();
    assert_eq!(state["results"][0]["state"], "held");
    let sequence = json!({"ids": [format!("@{}", &of_a[2..]), of_a[2..].parse::<u64>().unwrap()]});
    let state = send("submit-b", "POST", "/v1/settlement/clear", &sequence).json();
    assert_eq!(
        (&state["results"][0]["state"], &state["results"][1]["state"]),
        (&json!("unknown"), &json!("unknown"))
    );
    // Reasons of the risk team, and what it wrote, are its own.
    let (full, part) = (get("risk", &path).json(), get("ops", &path).json());
    let codes = |hold: &Value| {
        let reasons = hold["reasons"].as_array().unwrap().iter();
        reasons.map(|reason| text(&reason["code"])).collect::<Vec<_>>()
    };
    assert_eq!((codes(&full), &full["filtered"]), (vec!["SECRET".into(), "TOO_MUCH".into()], &json!(false)));
    assert_eq!((codes(&part), &part["filtered"]), (vec!["TOO_MUCH".to_owned()], &json!(true)));
    assert_eq!((&part["causes"], &part["acts"][0]["comment"]), (&Value::Null, &Value::Null));
    assert_eq!(full["acts"][0]["comment"], "a word");
    assert!(!part.to_string().contains("secret") && !part.to_string().contains("a word"), "{part}");
}

#[test]
fn a_hold_that_nobody_ends_becomes_what_was_declared_and_a_sanctions_hold_does_not() {
    let mut probe =
        Probe::holding("\n[settlement.holds.cancel_capture]\nhold_for = \"1s\"\nat_expiry = \"release\"\n");
    let soon = json!({"channel": "transfer", "settles_at": blackbox::after_ms(1500)});
    let goes = hold_of(&probe.pay("goes", 90_000, json!({})));
    let stays = hold_of(&probe.pay("stays", 90_000, soon.clone()));
    let listed = hold_of(&probe.pay("listed", 77_700, soon));
    assert_eq!(probe.hold(&goes)["at_expiry"], "release");
    assert_eq!(probe.hold(&stays)["at_expiry"], "confirm");
    let began = std::time::Instant::now();
    while probe.hold(&goes)["state"] == "held" || probe.hold(&stays)["state"] == "held" {
        assert!(began.elapsed().as_secs() < 60, "no timer has run out");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    for _ in 0..2 {
        for (id, state) in [(&goes, "expired_released"), (&stays, "expired_confirmed")] {
            let hold = probe.hold(id);
            assert_eq!((&hold["state"], &hold["ended"]["by"]), (&json!(state), &json!("timer")));
            assert_eq!(hold["acts"][0]["act"], "expire");
            problem(&probe.act(id, "release", json!({})), 409);
        }
        assert_eq!(probe.hold(&listed)["state"], "held");
        assert_eq!(probe.clear(json!(["goes", "stays", "listed"])), ["go", "held", "held"]);
        probe.restart();
    }
}
