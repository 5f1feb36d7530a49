//! The vectors of RFC 9497, appendix A.1 (ristretto255-SHA512), read in place: mode 1 through what members and hub run,
//! byte for byte, since the randomness is handed in; mode 0 through the crate, whose arithmetic is the same.
#![allow(clippy::unwrap_used)]

use super::*;
use serde_json::Value;
use std::path::{Path, PathBuf};
use voprf::{OprfClient, OprfServer};

/// The vectors: in `INTERDICT_DATA`, or in `shared/data` beside this folder or above it. Without them (and outside CI) a
/// test says so and ends.
fn suites() -> Option<Vec<Value>> {
    let named = std::env::var_os("INTERDICT_DATA").map(PathBuf::from);
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("shared/data"));
    let file = "vectors/rfc9497-voprf.json";
    let found = named.into_iter().chain(above).map(|data| data.join(file)).find(|path| path.exists());
    assert!(found.is_some() || std::env::var_os("CI").is_none(), "no {file}: set INTERDICT_DATA");
    let Some(found) = found else {
        eprintln!("left out: no {file}; set INTERDICT_DATA");
        return None;
    };
    let all: Vec<Value> = serde_json::from_slice(&std::fs::read(found).unwrap()).unwrap();
    Some(all.into_iter().filter(|suite| suite["identifier"] == "ristretto255-SHA512").collect())
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// A field that may have several values, for a batch.
fn all(field: &Value) -> Vec<Vec<u8>> {
    field.as_str().unwrap().split(',').map(unhex).collect()
}

fn one(field: &Value) -> [u8; 32] {
    unhex(field.as_str().unwrap()).try_into().unwrap()
}

/// Randomness from which the crate draws these scalars, one after another: it reduces 64 bytes.
fn scalars(scalars: Vec<Vec<u8>>) -> impl FnMut(&mut [u8]) {
    let mut left = scalars.into_iter();
    move |bytes| {
        assert_eq!(bytes.len(), 64);
        bytes[..32].copy_from_slice(&left.next().expect("no more scalars are drawn than the vector has"));
        bytes[32..].fill(0);
    }
}

#[test]
fn mode_1_is_what_members_and_hub_compute() {
    let Some(suites) = suites() else { return };
    let suite = suites.iter().find(|suite| suite["mode"] == 1).unwrap();
    let service = Service::from_secret(&one(&suite["skSm"])).unwrap();
    assert_eq!(*service.public().bytes(), one(&suite["pkSm"]));
    let derived = VoprfServer::<Ristretto255>::new_from_seed(
        &one(&suite["seed"]),
        &unhex(suite["keyInfo"].as_str().unwrap()),
    );
    assert_eq!(derived.unwrap().get_public_key(), service.public.element);

    let vectors = suite["vectors"].as_array().unwrap();
    for vector in vectors {
        let inputs = all(&vector["Input"]).into_iter().map(Zeroizing::new).collect();
        let mut blinds = scalars(all(&vector["Blind"]));
        let blinded = Blinded::of(inputs, &mut Random::new(&mut blinds)).unwrap();
        assert_eq!(blinded.elements(), all(&vector["BlindedElement"]).concat());
        let mut r = scalars(all(&vector["Proof"]["r"]));
        let answer = service.evaluate(blinded.elements(), &mut Random::new(&mut r)).unwrap();
        let mut expected = all(&vector["EvaluationElement"]).concat();
        expected.extend(all(&vector["Proof"]["proof"]).concat());
        assert_eq!(answer, expected);
        let outputs = blinded.outputs(&answer, service.public()).unwrap();
        assert_eq!(outputs.concat(), all(&vector["Output"]).concat());
        let tags = blinded.finish(&answer, service.public()).unwrap();
        assert!(tags.iter().zip(&outputs).all(|(tag, output)| tag.to_be_bytes() == output[..16]));
    }
    assert_eq!(vectors.len(), 3, "two of one item and a batch of two");
}

#[test]
fn mode_0_is_the_crate_s() {
    let Some(suites) = suites() else { return };
    let suite = suites.iter().find(|suite| suite["mode"] == 0).unwrap();
    let server = OprfServer::<Ristretto255>::new_with_key(&one(&suite["skSm"])).unwrap();
    for vector in suite["vectors"].as_array().unwrap() {
        let input = unhex(vector["Input"].as_str().unwrap());
        let mut blinds = scalars(all(&vector["Blind"]));
        let blinded = OprfClient::<Ristretto255>::blind(&input, &mut Random::new(&mut blinds)).unwrap();
        assert_eq!(blinded.message.serialize()[..], one(&vector["BlindedElement"]));
        let evaluated = server.blind_evaluate(&blinded.message);
        assert_eq!(evaluated.serialize()[..], one(&vector["EvaluationElement"]));
        let output = blinded.state.finalize(&input, &evaluated).unwrap();
        assert_eq!(output[..], all(&vector["Output"]).concat());
    }
}
