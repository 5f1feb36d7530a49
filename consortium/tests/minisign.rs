//! Packs signed by the real `minisign` (Debian package, `tools/deps.sh test` installs it). Without it the test fails
//! under `CI=true` and says elsewhere that it is left out.
#![allow(clippy::unwrap_used, missing_docs)]

use interdict_consortium::error::ErrorKind;
use interdict_consortium::pack::{MANIFEST_FILE, Manifest, Signatures, SignedBy, Trust};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const FILES: [(&str, &[u8]); 2] = [("pack.yaml", b"name: p\n"), ("rules/a.yaml", b"rules: []\n")];
const NONE: &[&str] = &[];

/// A folder of the test's own, gone afterwards.
struct Folder(PathBuf);
impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn folder(name: &str) -> Folder {
    let dir = std::env::temp_dir().join(format!("interdict-minisign-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    Folder(dir)
}

fn minisign(dir: &Path, arguments: &[&str]) -> bool {
    let ran = Command::new("minisign").args(arguments).current_dir(dir).stdout(Stdio::null()).status();
    match ran {
        Ok(status) => {
            assert!(status.success(), "minisign {arguments:?}");
            true
        }
        Err(_) => {
            assert!(!std::env::var("CI").is_ok_and(|ci| ci == "true"), "minisign must be there");
            eprintln!("left out: no minisign");
            false
        }
    }
}

/// A key pair without a password, and its public key as the configuration has it.
fn key(dir: &Path, name: &str) -> Option<String> {
    let (public, secret) = (format!("{name}.pub"), format!("{name}.key"));
    let made = minisign(dir, &["-G", "-W", "-p", &public, "-s", &secret]);
    made.then(|| std::fs::read_to_string(dir.join(public)).unwrap().lines().nth(1).unwrap().to_owned())
}

/// Signs the manifest of the files as a risk team does.
fn sign(dir: &Path, key: &str, more: &[&str]) -> Signatures {
    let manifest = Manifest::new("p", "1.0.0", None, FILES).unwrap().encode().unwrap();
    std::fs::write(dir.join(MANIFEST_FILE), &manifest).unwrap();
    let secret = format!("{key}.key");
    minisign(dir, &[&["-S", "-s", &secret, "-m", MANIFEST_FILE, "-t", "release 7"], more].concat());
    let minisig = std::fs::read(dir.join("pack.manifest.minisig")).unwrap();
    Signatures { manifest: Some(manifest.into_bytes()), minisig: Some(minisig), note: None }
}

#[test]
fn what_minisign_signs_is_accepted_and_nothing_else() {
    let dir = folder("packs");
    let Some(ours) = key(&dir.0, "ours") else { return };
    let theirs = key(&dir.0, "theirs").unwrap();
    let trust = Trust::new(&[&theirs, &ours], NONE).unwrap();
    let good = sign(&dir.0, "ours", &[]);
    let (manifest, by) = trust.verify(&good, FILES).unwrap();
    assert_eq!(manifest.version.as_str(), "1.0.0");
    assert_eq!(by, [SignedBy::Minisign { key: ours.clone(), comment: "release 7".into() }]);

    let refused = |signatures: &Signatures, kind: ErrorKind, says: &str| {
        let error = trust.verify(signatures, FILES).unwrap_err();
        assert!(error.kind == kind && error.message.starts_with(says), "{error:?}");
    };
    refused(&Signatures::default(), ErrorKind::Quorum, "pack.manifest.minisig: is missing");
    let lone = Signatures { manifest: None, ..good.clone() };
    refused(&lone, ErrorKind::NotFound, "pack.manifest: is missing");
    let changed =
        Signatures { manifest: Some([good.manifest.as_ref().unwrap(), &b" "[..]].concat()), ..good.clone() };
    refused(&changed, ErrorKind::Corrupt, "pack.manifest.minisig: does not hold");
    let legacy = sign(&dir.0, "ours", &["-l"]);
    refused(&legacy, ErrorKind::Malformed, "pack.manifest.minisig: is of minisign's legacy form");
    // Every byte of the signed parts of the signature, one bit each.
    let text = String::from_utf8(good.minisig.clone().unwrap()).unwrap();
    let signed_from = text.find('\n').unwrap() + 1;
    for at in signed_from..text.len() - 1 {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        let changed = Signatures { minisig: Some(bytes), ..good.clone() };
        assert!(trust.verify(&changed, FILES).is_err(), "byte {at}");
    }
    let error = trust.verify(&good, [FILES[0], ("rules/a.yaml", &b"rules: [x]\n"[..])]).unwrap_err();
    assert_eq!(error.message, "rules/a.yaml: is not the file that was signed");
    let stranger = Trust::new(&[theirs], NONE).unwrap().verify(&good, FILES).unwrap_err();
    assert_eq!(stranger.kind, ErrorKind::UnknownKey);
    assert_eq!(stranger.message, "pack.manifest.minisig: is by a key that is not trusted here");
}
