//! Any text as a contribution's or an epoch's manifest: refused, or written again as the same text.
#![no_main]

use interdict_consortium::{epoch, signal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(manifest) = signal::Manifest::parse(text) {
        assert_eq!(manifest.text().expect("a manifest that was read"), text);
    }
    if let Ok(manifest) = epoch::Manifest::parse(text) {
        assert_eq!(manifest.text().expect("a manifest that was read"), text);
    }
});
