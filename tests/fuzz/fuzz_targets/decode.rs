//! Any bytes as a request, a batch, labels, a list delta and a dead letter: no panic, and no dead letter that holds
//! twelve digits in a row.
#![no_main]

use interdict_ingest::decode::entries::decode_entries;
use interdict_ingest::{Decoder, RequestContext, TagKeys, dead_letter};
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};

static DECODER: LazyLock<Decoder> = LazyLock::new(|| Decoder::new(Arc::new(TagKeys::new(&[7; 32]))));

fuzz_target!(|body: &[u8]| {
    let ctx = RequestContext::default();
    let _ = DECODER.decode(body, &ctx);
    let _ = DECODER.decode_batch(body, &ctx);
    let _ = DECODER.decode_labels(body, "default");
    let _ = decode_entries(body, DECODER.keys().shared(), "fuzz");
    let masked = dead_letter::mask(body);
    assert!(!masked.windows(12).any(|window| window.iter().all(u8::is_ascii_digit)));
});
