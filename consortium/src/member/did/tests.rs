#![allow(clippy::unwrap_used)]

use super::*;
use crate::keys::{KeyType, SignerKey};
use crate::limits::DID_DOCUMENT_BYTES_MAX;

/// The vectors of W3C CCG did:key (`test-vectors/ed25519-x25519.json`).
const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/vectors/did-key-ed25519.json");

#[test]
fn the_vectors_of_the_method_come_out_as_they_are() {
    let text = std::fs::read_to_string(VECTORS).expect("shared/data is beside the repository");
    let vectors: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert!(vectors.len() >= 3);
    for (did, vector) in &vectors {
        let seed = vector["seed"].as_str().unwrap();
        let seed: Vec<u8> =
            (0..32).map(|i| u8::from_str_radix(&seed[2 * i..2 * i + 2], 16).unwrap()).collect();
        let signer = SignerKey::from_seed("x", KeyType::Ed25519, seed[..].try_into().unwrap()).unwrap();
        assert_eq!(Did::of_key(signer.verifier().public()).as_str(), did);
        assert_eq!(Did::parse(did).unwrap().key(), Some(*signer.verifier().public()));
    }
}

#[test]
fn other_keys_and_other_methods_are_refused() {
    // X25519 (0xec) of the same vectors, and secp256k1 (0xe7) of the method's examples.
    for other in [
        "did:key:z6LShs9GGnqk85isEBzzshkuVWrVKsRp24GnDuHk8QWkARMW",
        "did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme",
        "did:ion:abc",
        "key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp",
    ] {
        assert_eq!(Did::parse(other).unwrap_err().kind, ErrorKind::Version, "{other}");
    }
    for wrong in [
        "did:key:6MkiTBz1ymuep",
        "did:key:z0OIl",
        "did:key:",
        "did:web:",
        "did:web:a..b",
        "did:web:A.example",
    ] {
        assert_eq!(Did::parse(wrong).unwrap_err().kind, ErrorKind::Malformed, "{wrong}");
    }
    let long = format!("did:web:{}", "a".repeat(DID_BYTES_MAX));
    assert_eq!(Did::parse(&long).unwrap_err().kind, ErrorKind::TooLarge);
}

#[test]
fn a_did_web_says_where_its_document_is() {
    // The examples of the method's specification.
    for (did, url) in [
        ("did:web:w3c-ccg.github.io", "https://w3c-ccg.github.io/.well-known/did.json"),
        ("did:web:w3c-ccg.github.io:user:alice", "https://w3c-ccg.github.io/user/alice/did.json"),
        ("did:web:example.com%3A3000:user:alice", "https://example.com:3000/user/alice/did.json"),
    ] {
        assert_eq!(Did::parse(did).unwrap().web_url().unwrap(), url);
    }
    for wrong in
        ["did:web:a.example:..:x", "did:web:a.example:", "did:web:a.example%3A0x1", "did:web:a.example/x"]
    {
        assert!(Did::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_document_says_which_keys_make_statements() {
    let text = std::fs::read_to_string(VECTORS).expect("shared/data is beside the repository");
    let vectors: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
    let mut types = std::collections::BTreeSet::new();
    for (did, vector) in &vectors {
        let did = Did::parse(did).unwrap();
        let document = &vector["didDocument"];
        types.insert(document["verificationMethod"][0]["type"].as_str().unwrap());
        let keys = assertion_keys(&did, document.to_string().as_bytes()).unwrap();
        assert_eq!(keys, [did.key().unwrap()]);
    }
    assert!(types.len() >= 2, "{types:?}");
    let did = Did::parse("did:web:bank-a.example").unwrap();
    let key = vectors.keys().next().unwrap();
    let multibase = key.strip_prefix("did:key:").unwrap();
    let document = |id: &str, refer: &str| {
        format!(
            r##"{{"id":"{id}","verificationMethod":[{{"id":"#sign","type":"Multikey","publicKeyMultibase":"{multibase}"}},
            {{"id":"#other","type":"Multikey","publicKeyMultibase":"z6LShs9GGnqk85isEBzzshkuVWrVKsRp24GnDuHk8QWkARMW"}}],
            "assertionMethod":["{refer}","#other"]}}"##
        )
    };
    for refer in ["#sign", "did:web:bank-a.example#sign"] {
        let keys = assertion_keys(&did, document(did.as_str(), refer).as_bytes()).unwrap();
        assert_eq!(keys, [Did::parse(key).unwrap().key().unwrap()]);
    }
    let other = assertion_keys(&did, document("did:web:bank-b.example", "#sign").as_bytes());
    assert_eq!(other.unwrap_err().kind, ErrorKind::Invalid);
    let dangling = assertion_keys(&did, document(did.as_str(), "#gone").as_bytes());
    assert_eq!(dangling.unwrap_err().kind, ErrorKind::Malformed);
    let long = vec![b' '; DID_DOCUMENT_BYTES_MAX + 1];
    assert_eq!(assertion_keys(&did, &long).unwrap_err().kind, ErrorKind::TooLarge);
    assert!(assertion_keys(&did, b"[]").is_err());
}
