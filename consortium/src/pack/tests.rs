//! Manifests, what is admitted, and signed notes over packs; `minisign` itself signs in `consortium/tests/minisign.rs`.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::keys::{KeyType, SignerKey};
use crate::note::Note;
use proptest::prelude::*;

const FILES: [(&str, &[u8]); 2] = [("pack.yaml", b"name: p\n"), ("rules/a.yaml", b"rules: []\n")];

fn manifest(version: &str, expires_ms: Option<u64>) -> Manifest {
    Manifest::new("p", version, expires_ms, FILES).unwrap()
}

proptest! {
    #[test]
    fn a_manifest_reads_as_it_was_written(
        version in "(0|[1-9][0-9]{0,3})(\\.(0|[1-9][0-9]{0,3})){0,3}",
        expires_ms in any::<Option<u64>>(),
        files in prop::collection::btree_map("[a-z]{1,8}(/[a-z]{1,8}\\.yaml)?", any::<Vec<u8>>(), 0..8),
    ) {
        let files = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()));
        let manifest = Manifest::new("cards", &version, expires_ms, files.clone()).unwrap();
        let text = manifest.encode().unwrap();
        prop_assert_eq!(&Manifest::decode(&text).unwrap(), &manifest);
        prop_assert!(manifest.check(files).is_ok());
    }

    #[test]
    fn one_changed_byte_is_another_manifest_or_none(at in 0usize..200, byte in any::<u8>()) {
        let right = manifest("1.2.3", Some(5)).encode().unwrap();
        let mut text = right.clone().into_bytes();
        let at = at % text.len();
        text[at] = byte;
        if let Ok(text) = String::from_utf8(text)
            && let Ok(read) = Manifest::decode(&text)
        {
            prop_assert_eq!(read.encode().unwrap(), text);
        }
    }

    #[test]
    fn versions_have_the_order_of_their_numbers(a in prop::collection::vec(0u64..12, 1..5), b in prop::collection::vec(0u64..12, 1..5)) {
        let text = |numbers: &[u64]| numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(".");
        let (left, right) = (Version::parse(&text(&a)).unwrap(), Version::parse(&text(&b)).unwrap());
        let padded = |numbers: &[u64]| [numbers, &[0; 5]].concat()[..5].to_vec();
        prop_assert_eq!(left.compare(&right), padded(&a).cmp(&padded(&b)));
    }
}

#[test]
fn versions_without_an_order_are_refused() {
    for bad in ["", "1.", "v1", "1.0-rc1", "01", "+1", "1..2", "1.2.3.4.5.6.7.8.9"] {
        assert_eq!(Version::parse(bad).unwrap_err().kind, ErrorKind::Invalid, "{bad:?}");
    }
    assert_eq!(Version::parse("2026.11.30").unwrap().as_str(), "2026.11.30");
}

#[test]
fn every_file_is_the_one_that_was_signed() {
    let manifest = manifest("1", None);
    let refused = |files: &[(&'static str, &'static [u8])], message: &str| {
        let error = manifest.check(files.iter().copied()).unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Corrupt, message));
    };
    refused(&[FILES[0], ("rules/a.yaml", b"rules: [] \n")], "rules/a.yaml: is not the file that was signed");
    refused(&FILES[..1], "rules/a.yaml: was signed and is missing");
    let more = [FILES[0], FILES[1], ("rules/b.yaml", b"")];
    refused(&more, "rules/b.yaml: is not in the manifest that was signed");
}

#[test]
fn no_version_falls_and_what_is_in_force_stays() {
    let mut admitted = Admitted::default();
    let other = |version: &str| Manifest::new("p", version, None, [("pack.yaml", &b"other"[..])]).unwrap();
    assert!(admitted.admit(&manifest("1.2", Some(100)), Route::Folder, 99).unwrap());
    assert!(!admitted.admit(&manifest("1.2", Some(100)), Route::Folder, 100).unwrap(), "in force already");
    let error = admitted.admit(&manifest("1.3", Some(100)), Route::Folder, 100).unwrap_err();
    assert_eq!((error.kind, error.message.contains("expired")), (ErrorKind::Stale, true));
    assert_eq!(admitted.admit(&other("1.2.0"), Route::Upload, 0).unwrap_err().kind, ErrorKind::Invalid);
    assert_eq!(admitted.admit(&other("1.1.9"), Route::Upload, 0).unwrap_err().kind, ErrorKind::Stale);

    // An upload is newer than the folder, which a start reads as it was, and which may catch up but not go back.
    assert!(admitted.admit(&other("2"), Route::Upload, 0).unwrap());
    assert!(!admitted.admit(&manifest("1.2", None), Route::Folder, 0).unwrap());
    assert_eq!(admitted.admit(&other("1.9"), Route::Folder, 0).unwrap_err().kind, ErrorKind::Stale);
    assert_eq!(admitted.admit(&manifest("1.2", None), Route::Upload, 0).unwrap_err().kind, ErrorKind::Stale);
    let held = Admitted::decode(&admitted.encode().unwrap()).unwrap();
    assert_eq!(held, admitted);
    assert!(admitted.admit(&other("2"), Route::Folder, 0).unwrap());
    assert_eq!(admitted.admit(&manifest("1.2", None), Route::Folder, 0).unwrap_err().kind, ErrorKind::Stale);
    assert_eq!(admitted.version("p").unwrap().as_str(), "2");
    assert_ne!(held, admitted);
}

fn signer(name: &str, byte: u8) -> SignerKey {
    SignerKey::from_seed(name, KeyType::Ed25519, &[byte; 32]).unwrap()
}

fn signed(manifest: &Manifest, keys: &[&SignerKey]) -> Signatures {
    let mut note = Note::new(manifest.encode().unwrap()).unwrap();
    keys.iter().for_each(|key| note.sign(key));
    Signatures { note: Some(note.encode().into_bytes()), ..Signatures::default() }
}

#[test]
fn a_signed_note_over_a_pack_counts_by_trusted_keys_only() {
    let (ours, other) = (signer("risk.bank-a.example", 1), signer("risk.bank-b.example", 2));
    let none: &[&str] = &[];
    let trust = Trust::new(none, &[ours.verifier().to_string()]).unwrap();
    let manifest = manifest("1.0.0", None);
    let (read, by) = trust.verify(&signed(&manifest, &[&ours]), FILES).unwrap();
    assert_eq!((read, by), (manifest.clone(), vec![SignedBy::Note(vec!["risk.bank-a.example".into()])]));

    let refused = |signatures: &Signatures, kind: ErrorKind, says: &str| {
        let error = trust.verify(signatures, FILES).unwrap_err();
        assert!(error.kind == kind && error.message.contains(says), "{error:?}");
    };
    refused(&Signatures::default(), ErrorKind::Quorum, "pack.note: is missing");
    refused(&signed(&manifest, &[&other]), ErrorKind::UnknownKey, "pack.note: ");
    refused(&signed(&manifest, &[&signer("risk.bank-a.example", 3)]), ErrorKind::UnknownKey, "pack.note: ");
    refused(
        &Signatures { note: Some(b"x".to_vec()), ..Signatures::default() },
        ErrorKind::Malformed,
        "pack.note: ",
    );
    let good = String::from_utf8(signed(&manifest, &[&ours]).note.unwrap()).unwrap();
    let changed =
        Signatures { note: Some(good.replace("1.0.0", "1.0.1").into_bytes()), ..Signatures::default() };
    refused(&changed, ErrorKind::Corrupt, "pack.note: ");
    let short = Manifest { files: BTreeMap::new(), ..manifest };
    refused(&signed(&short, &[&ours]), ErrorKind::Corrupt, "pack.yaml: is not in the manifest");

    let witness = signer("w", 1).verifier().as_type(KeyType::Cosignature).to_string();
    assert_eq!(Trust::new(none, &[witness]).unwrap_err().kind, ErrorKind::Malformed);
    assert_eq!(Trust::new(&["RWQ"], none).unwrap_err().kind, ErrorKind::Malformed);
    assert!(Trust::default().is_empty() && !trust.is_empty());
}

proptest! {
    /// Texts that look like signatures and records, and any bytes: refused, never a panic, whatever the crates do inside.
    #[test]
    fn any_bytes_as_signatures_are_refused(
        noise in prop::collection::vec(any::<u8>(), 0..300),
        lines in prop::collection::vec(prop::sample::select(&LINES), 0..8),
    ) {
        let trust = Trust::new(&[MINISIGN], &[NOTE]).unwrap();
        for bytes in [noise, lines.concat().into_bytes()] {
            let all = Signatures { manifest: Some(bytes.clone()), minisig: Some(bytes.clone()), note: None };
            prop_assert!(trust.verify(&all, []).is_err());
            let note = Signatures { note: Some(bytes.clone()), ..Signatures::default() };
            prop_assert!(trust.verify(&note, []).is_err());
            if let Ok(text) = String::from_utf8(bytes)
                && let Ok(admitted) = Admitted::decode(&text)
            {
                prop_assert_eq!(admitted.encode().unwrap(), text);
            }
        }
    }
}
const MINISIGN: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
const NOTE: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const LINES: [&str; 10] = [
    "untrusted comment: x\n",
    "RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\n",
    "trusted comment: \n",
    "wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==\n",
    "interdict/admitted-packs/v1\n",
    "pack a\nversion 1\ncontent 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881\n",
    "folder 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881\n",
    "interdict/pack/v1\nname a\nversion 1\n",
    "\n",
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n",
];
