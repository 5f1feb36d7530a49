//! Blinding, evaluation and finishing against one another, and everything that must be refused. The RFC's vectors and an
//! implementation by others: `consortium/tests/`.
#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;

fn with_random<T>(act: impl FnOnce(&mut Random<'_>) -> T) -> T {
    let mut fill = |bytes: &mut [u8]| getrandom::fill(bytes).unwrap();
    act(&mut Random::new(&mut fill))
}

fn service(byte: u8) -> Service {
    Service::from_seed(&[byte; 32]).unwrap()
}

fn blind(identifiers: &[(Kind, &str)]) -> Blinded {
    with_random(|random| Blinded::new(identifiers.iter().copied(), random)).unwrap()
}

fn evaluate(service: &Service, blinded: &Blinded) -> Vec<u8> {
    with_random(|random| service.evaluate(blinded.elements(), random)).unwrap()
}

/// What the holder of the key computes of an identifier in the clear, by the crate's own direct evaluation.
fn direct(seed: u8, kind: Kind, canonical: &str) -> u128 {
    let server = VoprfServer::<Ristretto255>::new_from_seed(&[seed; 32], KEY_INFO).unwrap();
    let output = server.evaluate(&[&[kind as u8], canonical.as_bytes()].concat()).unwrap();
    u128::from_be_bytes(output[..16].try_into().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn the_tags_of_a_batch_are_those_of_direct_evaluation(
        identifiers in prop::collection::vec((prop::sample::select(&Kind::ALL), "[0-9a-z@.]{1,30}"), 1..12),
    ) {
        let asked: Vec<(Kind, &str)> = identifiers.iter().map(|(kind, text)| (*kind, text.as_str())).collect();
        let (service, blinded) = (service(1), blind(&asked));
        let tags = blinded.finish(&evaluate(&service, &blinded), service.public()).unwrap();
        let slow: Vec<u128> = asked.iter().map(|(kind, text)| direct(1, *kind, text)).collect();
        prop_assert_eq!(tags, slow);
    }

    #[test]
    fn any_bytes_are_a_request_or_refused(body in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok((epoch, elements)) = read_request(&body) {
            prop_assert_eq!(&epoch.to_be_bytes()[..], &body[..4]);
            prop_assert_eq!(elements, &body[REQUEST_HEAD_BYTES..]);
        }
    }
}

#[test]
fn blinding_hides_and_the_whole_batch_fits() {
    let identifiers: Vec<String> = (0..EVALUATE_ITEMS_MAX).map(|n| format!("{n:016}")).collect();
    let asked: Vec<(Kind, &str)> = identifiers.iter().map(|text| (Kind::Card, text.as_str())).collect();
    let (service, blinded) = (service(1), blind(&asked));
    assert_ne!(blinded.elements(), blind(&asked).elements(), "another blind each time");
    let body = blinded.request(7);
    assert_eq!(read_request(&body).unwrap(), (7, blinded.elements()));
    let answer = evaluate(&service, &blinded);
    assert_eq!(answer.len(), answer_bytes(EVALUATE_ITEMS_MAX));
    let tags = blinded.finish(&answer, service.public()).unwrap();
    assert_eq!(
        (tags[0], tags[255]),
        (direct(1, Kind::Card, asked[0].1), direct(1, Kind::Card, asked[255].1))
    );

    let more = [asked.as_slice(), &asked[..1]].concat();
    let refused = with_random(|random| Blinded::new(more, random)).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::TooLarge);
    let none = with_random(|random| Blinded::new([], random)).unwrap_err();
    assert_eq!(none.kind, ErrorKind::Invalid);
    let empty =
        with_random(|random| Blinded::new([(Kind::Card, "1"), (Kind::Card, "")], random)).unwrap_err();
    assert_eq!((empty.kind, empty.place), (ErrorKind::Invalid, Place::Row(1)));
}

/// p, which encodes zero a second time; an odd (negative) element; no square; the identity.
fn malformed_elements() -> [[u8; 32]; 4] {
    let mut p = [0xff; 32];
    (p[0], p[31]) = (0xed, 0x7f);
    let mut negative = [0; 32];
    negative[0] = 1;
    let mut no_square = [0; 32];
    no_square[0] = 2;
    [p, negative, [0xff; 32], no_square]
}

#[test]
fn malformed_elements_are_refused_with_their_row() {
    let (service, blinded) = (service(1), blind(&[(Kind::Card, "1"), (Kind::Card, "2"), (Kind::Card, "3")]));
    let answer = evaluate(&service, &blinded);
    for bad in malformed_elements().into_iter().chain([[0; 32]]) {
        let mut elements = blinded.elements().to_vec();
        elements[32..64].copy_from_slice(&bad);
        let refused = with_random(|random| service.evaluate(&elements, random)).unwrap_err();
        assert_eq!((refused.kind, refused.place), (ErrorKind::Malformed, Place::Row(1)), "{bad:02x?}");
        let mut answer = answer.clone();
        answer[64..96].copy_from_slice(&bad);
        let refused = blinded.finish(&answer, service.public()).unwrap_err();
        assert_eq!((refused.kind, refused.place), (ErrorKind::Malformed, Place::Row(2)), "{bad:02x?}");
        assert_eq!(ServiceKey::from_bytes(&bad).unwrap_err().kind, ErrorKind::Malformed, "{bad:02x?}");
    }
    for length in [0, 1, 31, 33, 95] {
        let kind = if length == 0 { ErrorKind::Invalid } else { ErrorKind::Malformed };
        let refused =
            with_random(|random| service.evaluate(&blinded.elements()[..length], random)).unwrap_err();
        assert_eq!(refused.kind, kind, "{length}");
    }
    let many = vec![0; (EVALUATE_ITEMS_MAX + 1) * ELEMENT_BYTES];
    let refused = with_random(|random| service.evaluate(&many, random)).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::TooLarge, "before any element is looked at");
}

#[test]
fn a_proof_under_another_key_or_of_another_batch_is_refused() {
    let (ours, other) = (service(1), service(2));
    let asked = [(Kind::Card, "1"), (Kind::Card, "2")];
    let blinded = blind(&asked);
    let answer = evaluate(&ours, &blinded);
    let corrupt = |answer: &[u8], key: &ServiceKey| {
        assert_eq!(blinded.finish(answer, key).unwrap_err().kind, ErrorKind::Corrupt);
    };
    corrupt(&answer, other.public());
    corrupt(&evaluate(&other, &blinded), ours.public());
    corrupt(&evaluate(&ours, &blind(&asked)), ours.public());
    // One element under another key, the proof of the honest batch; and two in each other's place.
    let mut mixed = answer.clone();
    mixed[..32].copy_from_slice(&evaluate(&other, &blinded)[..32]);
    corrupt(&mixed, ours.public());
    let mut swapped = answer.clone();
    swapped[..32].copy_from_slice(&answer[32..64]);
    swapped[32..64].copy_from_slice(&answer[..32]);
    corrupt(&swapped, ours.public());
    for length in [0, answer.len() - 1] {
        let refused = blinded.finish(&answer[..length], ours.public()).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Malformed);
    }
    let mut no_scalar = answer.clone();
    no_scalar[64..96].fill(0xff);
    assert_eq!(blinded.finish(&no_scalar, ours.public()).unwrap_err().kind, ErrorKind::Malformed);
}

#[test]
fn every_flipped_bit_of_an_answer_is_refused() {
    let (service, blinded) = (service(1), blind(&[(Kind::Email, "a@b.example")]));
    let answer = evaluate(&service, &blinded);
    for bit in 0..answer.len() * 8 {
        let mut changed = answer.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(blinded.finish(&changed, service.public()).is_err(), "bit {bit}");
    }
}

#[test]
fn keys_and_batches_show_nothing() {
    let (service, blinded) = (service(1), blind(&[(Kind::Card, "4111111111111111")]));
    let public = STANDARD.encode(service.public().bytes());
    assert_eq!(format!("{service:?}"), format!("Service(ServiceKey({public}), …)"));
    assert_eq!(format!("{blinded:?}"), "Blinded(1 identifiers)");
    assert_eq!(Service::from_secret(&[0; 32]).unwrap_err().kind, ErrorKind::Malformed);
    assert_eq!(Service::from_secret(&[0xff; 32]).unwrap_err().kind, ErrorKind::Malformed);
}
