//! What people and programs read says the same as the records, in the currency's decimals, and which counts are proved.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::bill::confirm::State;
use crate::bill::netting::settle;
use crate::bill::render::{Overview, UsageView, csv, json, markdown};
use crate::bill::report::in_force;

const REPORTED: &str = "self-reported (signed, not proved)";

#[test]
fn a_statement_in_markdown_reads_as_a_bill() {
    let bill = world().bill();
    let text = markdown::statement(&bill.statements[&MemberId(1)]);
    for line in [
        "# Statement 3 for bank-a.example",
        "| Period | 2026-11 (2026-11-01 to 2026-11-30, UTC) |",
        "| Exact tags (confirmations) | query log (proved) | 2 | 287 | 100 | 0.0025 | 0.47 |",
        "| Local hits | self-reported (signed, not proved) | – | 14 | 0 | 0.00 | 0.00 |",
        "| Payments screened | self-reported (signed, not proved) | – | 1,200,000 | 0 | 0.000003 | 3.60 |",
        "| Up to the period's minimum | tariff | | | | | 495.93 |",
        "| **Debits** | | | | | | **500.00** |",
        "**To pay: 500.00 EUR**",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n---\n{text}");
    }
    let text = markdown::statement(&bill.statements[&MemberId(5)]);
    assert!(
        text.contains("| epoch 7 | 4 | 114.43 |") && text.contains("**To receive: 114.43 EUR**"),
        "{text}"
    );
    // Every table's rows have as many columns as its head.
    for text in [text, overview_text(&bill)] {
        let mut columns = 0;
        for line in text.lines() {
            let found = line.matches('|').count();
            assert!(columns == 0 || found == 0 || found == columns, "{line}");
            columns = found;
        }
    }
}

fn overview_text(bill: &Bill) -> String {
    let states = bill.statements.keys().map(|member| (*member, State::Open)).collect();
    let transfers = settle(&bill.nets()).unwrap();
    markdown::overview(&Overview { bill, states: Some(&states), transfers: &transfers })
}

#[test]
fn an_overview_sums_to_zero_and_shows_who_pays_whom() {
    let bill = world().bill();
    let text = overview_text(&bill);
    for line in [
        "# Settlement 3 of alliance.example",
        "| Exact tags (confirmations) | query log (proved) | 7 | 547 | 1.76 |",
        "| bank-c.example | standard | 0.01 | 85.83 | 85.82 | open |",
        "| alliance.example (operator) | | | | 801.03 | |",
        "| **Sum of nets** | | | | **0.00** | |",
        "| bank-a.example | alliance.example | 500.00 |",
        "No self-report for this period came from: bank-b.example, bank-c.example, bank-d.example, bank-e.example.",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n---\n{text}");
    }
}

#[test]
fn csv_and_json_carry_the_same_amounts() {
    let bill = world().bill();
    let statement = &bill.statements[&MemberId(1)];
    let text = csv::statement(statement);
    let expected = "3,2026-11,1,bank-a.example,large,usage,screened,\"self-reported (signed, not proved)\",,,1200000,0,\
        0.000003,-3.60,EUR";
    assert!(text.lines().any(|line| line == expected), "{text}");
    // All rows but the last sum to the last, for everybody.
    let all = csv::statements(bill.statements.values());
    let mut sums: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for row in ::csv::Reader::from_reader(all.as_bytes()).records() {
        let row = row.unwrap();
        let minor: i64 = row[13].replace('.', "").parse().unwrap();
        let (lines, net) = sums.entry(row[3].to_owned()).or_default();
        if &row[5] == "net" { *net = minor } else { *lines += minor }
    }
    assert_eq!(sums.len(), 5);
    assert!(sums.values().all(|(lines, net)| lines == net), "{sums:?}");
    let value = json::statement(statement);
    assert_eq!((value["net"].as_str(), value["net_minor"].as_i64()), (Some("-500.00"), Some(-50_000)));
    assert_eq!(
        (value["lines"][2]["counted_by"].as_str(), value["lines"][2].get("queries")),
        (Some(REPORTED), None)
    );
    let overview = json::overview(&Overview { bill: &bill, states: None, transfers: &[] });
    assert_eq!(overview["statements"].as_array().unwrap().len(), 5);
    assert_eq!(overview["operator"]["net_minor"].as_i64(), Some(80_103));
    let text = csv::overview(&Overview { bill: &bill, states: None, transfers: &[] });
    assert!(text.contains("3,2026-11,0,alliance.example,operator,,,801.03,EUR,\n"), "{text}");
}

#[test]
fn usage_says_of_every_count_whether_it_is_proved() {
    let world = world();
    let (usage, reports) = (world.usage(), in_force(&world.reports, &world.basis.period).unwrap());
    let names = world.parties.iter().map(|party| (party.member, party.name.as_str())).collect();
    let view = UsageView { period: &world.basis.period, usage: &usage, reports: &reports, names: &names };
    let text = markdown::usage(&view);
    assert!(
        text.contains("| bank-a.example | Exact tags (confirmations) | query log (proved) | 2 | 287 |"),
        "{text}"
    );
    assert!(
        text.contains(&format!("| bank-a.example | Payments screened | {REPORTED} | – | 1,200,000 |")),
        "{text}"
    );
    let rows = csv::usage(&view);
    assert!(rows.contains("2026-11,4,bank-d.example,confirm,query log (proved),2,257\n"), "{rows}");
    let value = json::usage(&view);
    let counted: Vec<bool> =
        value["usage"].as_array().unwrap().iter().map(|u| u["is_proved"].as_bool().unwrap()).collect();
    assert_eq!(counted, [true, false, false, true, true, true]);
    // Reported lines are marked in all three, and nowhere is a reported count without its mark.
    for (text, lines) in [(text, 2), (rows, 2)] {
        assert_eq!(
            text.lines()
                .filter(|line| line.contains("screened")
                    || line.contains("hits")
                    || line.contains("Payments"))
                .count(),
            lines,
            "{text}"
        );
        assert_eq!(text.matches(REPORTED).count(), lines);
    }
}
