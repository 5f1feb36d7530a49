//! Any bytes as a request to the tag service, as its answer, and as a sealed key: refused, or read as they were written.
#![no_main]

use interdict_consortium::kind::Kind;
use interdict_consortium::tag::oblivious::{Blinded, Service, read_request};
use interdict_consortium::tag::random::Random;
use interdict_consortium::tag::sealing::{Addressed, OpeningKey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut fill = |bytes: &mut [u8]| bytes.fill(7);
    let mut random = Random::new(&mut fill);
    let service = Service::from_seed(&[3; 32]).expect("a key");
    if let Ok((epoch, elements)) = read_request(bytes) {
        let count = (elements.len() / 32) as u16;
        assert_eq!([&epoch.to_be_bytes()[..], &count.to_be_bytes(), elements].concat(), bytes);
        if let Ok(answer) = service.evaluate(elements, &mut random) {
            assert_eq!(answer.len(), elements.len() + 64);
        }
    }
    let blinded = Blinded::new([(Kind::Card, "4111111111111111")], &mut random).expect("an identifier");
    assert!(blinded.finish(bytes, service.public()).is_err(), "a forged proof");
    let to = Addressed { alliance: "alliance.example", member: "bank-a.example", version: 1 };
    assert!(OpeningKey::from_bytes(&[9; 32]).open(bytes, &to, &[0; 32]).is_err(), "a forged key");
});
