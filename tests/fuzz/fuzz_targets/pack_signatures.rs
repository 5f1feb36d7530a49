//! Any bytes as a signed pack's manifest, signature or note, and as what is noted of admitted packs: refused, or written
//! again as the same text.
#![no_main]

use interdict_consortium::pack::{Admitted, Manifest, Signatures, Trust};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(manifest) = Manifest::decode(text) {
            assert_eq!(manifest.encode().expect("a manifest that was read"), text);
        }
        if let Ok(admitted) = Admitted::decode(text) {
            assert_eq!(admitted.encode().expect("what was read"), text);
        }
    }
    let minisign = ["RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"];
    let note = ["PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"];
    let trust = Trust::new(&minisign, &note).expect("keys");
    let bytes = Some(bytes.to_vec());
    let both = Signatures { manifest: bytes.clone(), minisig: bytes.clone(), note: None };
    assert!(trust.verify(&both, []).is_err(), "a forged signature");
    assert!(trust.verify(&Signatures { note: bytes, ..Signatures::default() }, []).is_err(), "a forged note");
});
