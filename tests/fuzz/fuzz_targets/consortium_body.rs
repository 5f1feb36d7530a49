//! Any bytes as a contribution's body: refused, or rows that are written again as the same bytes.
#![no_main]

use interdict_consortium::signal::Body;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(body) = Body::read(bytes) {
        let mut rows: Vec<_> = body.rows().collect();
        assert_eq!(Body::write(&mut rows).expect("rows that were read"), bytes);
    }
});
