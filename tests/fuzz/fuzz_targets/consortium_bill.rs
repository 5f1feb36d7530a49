//! Any text as a record of the bill: refused, or written again as the same text, and rendered without a panic.
#![no_main]

use interdict_consortium::bill::deposit::Deposit;
use interdict_consortium::bill::dispute::Dispute;
use interdict_consortium::bill::render::{csv, json, markdown};
use interdict_consortium::bill::report::Report;
use interdict_consortium::bill::settlement::Settlement;
use interdict_consortium::bill::statement::Statement;
use interdict_consortium::bill::tariff::Tariff;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let written = [
        Tariff::decode(text).map(|record| record.encode()),
        Report::decode(text).map(|record| record.encode()),
        Statement::decode(text).map(|record| record.encode()),
        Settlement::decode(text).map(|record| record.encode()),
        Dispute::decode(text).map(|record| record.encode()),
        Deposit::decode(text).map(|record| record.encode()),
    ];
    for written in written.into_iter().flatten() {
        assert_eq!(written.expect("a record that was read"), text);
    }
    if let Ok(statement) = Statement::decode(text) {
        let _ = (markdown::statement(&statement), csv::statement(&statement), json::statement(&statement));
    }
});
