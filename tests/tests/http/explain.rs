//! What a verdict's story shows of the payment's texts, and whom.

use super::BINARY;
use super::keys::Keyed;
use interdict_tests::blackbox::{payment, run, text, write};
use interdict_tests::node::Start;
use serde_json::{Value, json};

const PATTERNS: &str = r#"patterns:
  - id: gift_cards
    doc: payment in gift cards
    fields: [text, merchant.name]
    regex: '\bgift ?cards?\b'
    examples:
      hit: ["gift card"]
      miss: ["card"]
"#;
const RULES: &str = r#"rules:
  - id: story
    title: Codes of gift cards
    when: patterns.gift_cards && text.matches("[0-9]{4} codes")
    outcome: hold
    score: 700
    code: SCAM_STORY
    audience: customer
    examples:
      hit: [{patterns.gift_cards: true, text: 1234 codes}]
      miss: [{patterns.gift_cards: false, text: ""}]
  - id: quiet
    title: Gift cards, not counted yet
    when: patterns.gift_cards
    outcome: review
    score: 1
    code: QUIET
    mode: shadow
    examples:
      hit: [{patterns.gift_cards: true}]
      miss: [{patterns.gift_cards: false}]
"#;

/// Spaced out and misspelt, after a letter of two bytes.
const TEXT: &str = "für Oma: 2 x 100 EUR G1FT c a r d s, 4711 codes";
const NAME: &str = "Gift Cards & more";

/// What is told of a piece of a text.
fn piece(field: &str, pattern: &str, of: &str, matched: &str, excerpt: &str) -> Value {
    let start = of.find(matched).unwrap();
    let end = start + matched.len();
    json!({"field": field, "pattern": pattern, "start": start, "end": end, "excerpt": excerpt})
}

/// A rule of a section of the story.
fn rule<'a>(section: &'a Value, id: &str) -> &'a Value {
    let rules = section.as_array().unwrap().iter();
    let mut rules = rules.map(|told| if told["rule"].is_object() { &told["rule"] } else { told });
    rules.find(|rule| rule["rule"] == id).unwrap_or_else(|| panic!("no {id} in {section}"))
}

#[test]
fn the_risk_team_sees_what_a_pattern_matched_and_nobody_else_does() {
    let keyed = Keyed::prepared(|dir| {
        write(&dir.join("probe/patterns/texts.yaml"), PATTERNS);
        write(&dir.join("probe/rules/story.yaml"), RULES);
    });
    // White space around a text is no part of it.
    let merchant = json!({"id": "M-1", "name": NAME});
    let body = payment(json!({"id": "one", "text": format!("  {TEXT} "), "merchant": merchant}));
    let answer = keyed.send("submit", "POST", "/v1/decisions", &body);
    let told = answer.json();
    assert_eq!((&told["outcome"], &told["reasons"][0]["rule"]), (&json!("hold"), &json!("probe/story")));
    let again = keyed.send("submit", "POST", "/v1/decisions", &body);
    assert_eq!(again.json()["reasons"], told["reasons"], "as the lane left it, and as it is found again");

    let whole = keyed.send("risk", "GET", "/v1/decisions/one", &json!(null)).json();
    let detail = json!({"patterns.gift_cards": true, "text": TEXT});
    assert_eq!(whole["reasons"][0]["detail"], detail, "{whole}");
    let marked = "für Oma: 2 x 100 EUR «G1FT c a r d s», 4711 codes";
    let in_text = piece("text", "patterns.gift_cards", TEXT, "G1FT c a r d s", marked);
    let in_name = piece("merchant.name", "patterns.gift_cards", NAME, "Gift Cards", "«Gift Cards» & more");
    let codes = "für Oma: 2 x 100 EUR G1FT c a r d s, «4711 codes»";
    let searched = piece("text", "matches(\"[0-9]{4} codes\")", TEXT, "4711 codes", codes);
    let story = &whole["explanation"];
    let matched = &rule(&story["reasons"], "probe/story")["matched"];
    assert_eq!(*matched, json!([in_text, in_name, searched]));
    assert_eq!(rule(&story["shadow"], "probe/quiet")["matched"], json!([in_text, in_name]));

    let story = keyed.send("read", "GET", "/v1/decisions/one", &json!(null));
    for told in [&answer, &again, &story] {
        assert!(!told.text.contains('«') && !told.text.contains("matched"), "{}", told.text);
    }
    let log = keyed.probe.node.log();
    assert!(!log.contains("4711") && !log.contains("G1FT"), "{log}");

    let data = keyed.probe.data();
    let explained = run(BINARY, &["explain", "one", "--data", text(&data)]).stdout;
    let (start, end) = (&in_text["start"], &in_text["end"]);
    let line = format!("patterns.gift_cards matched bytes {start} to {end} of text: {marked:?}");
    assert_eq!(explained.matches(&line).count(), 2, "for the rule and its shadow: {line}\n{explained}");
}

#[test]
fn what_each_model_said_is_told_and_why_one_said_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/handbook.toml");
    let node = Start::new(BINARY, std::path::Path::new(config), dir.path().join("data")).start().unwrap();
    let client = node.client();
    // The windows of the first are not covered yet.
    for (id, day) in [("young", "2018-04-01"), ("mid", "2018-06-20"), ("old", "2018-06-21")] {
        let body = json!({"id": id, "time": format!("{day}T12:00:00Z"), "channel": "chip",
            "amount": {"minor": 5000, "currency": "EUR"}, "card": {"token": "c-1"}, "terminal": {"id": "T-1"}});
        let reply = client.post("/v1/decisions", &body).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
    let story = |id: &str| {
        let reply = client.get(&format!("/v1/decisions/{id}")).unwrap().json();
        (reply["explanation"]["models"][0].clone(), reply["explanation"]["text"].as_str().unwrap().to_owned())
    };
    let (model, text) = story("young");
    let words = model["words"].as_str().unwrap();
    assert_eq!(
        (&model["model"], &model["score"], &model["counts"]),
        (&json!("cards/cards"), &json!(null), &json!(true))
    );
    assert!(
        words.starts_with("no score: features.") && words.contains(" missing: Probability of fraud"),
        "{words}"
    );
    assert!(text.contains(&format!("What the models said\n  cards/cards: {words}\n")), "{text}");
    let (model, text) = story("old");
    let score = model["score"].as_u64().unwrap_or_else(|| panic!("no score in {model}"));
    let words =
        format!("  cards/cards: {score} of 1000, which counts towards the score: Probability of fraud");
    assert!(text.contains(&words) && text.contains("and of the models that count") == (score > 0), "{text}");
}
