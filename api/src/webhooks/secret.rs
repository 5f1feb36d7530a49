//! Secrets of an endpoint and what they sign, as the Standard Webhooks specification has it (1.0.0, *Signature scheme*):
//! HMAC-SHA256 over `id.timestamp.body`. While a secret is being replaced, each of several signs.

use crate::config::outward::EndpointSection;
use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use zeroize::Zeroizing;

/// Marks a symmetric secret.
const PREFIX: &str = "whsec_";
/// Most secrets at once: the one in force and those being replaced.
const SECRETS_MAX: usize = 4;
/// Bytes of a secret.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The secrets of an endpoint, the newest first.
pub struct Secrets(Vec<Zeroizing<Vec<u8>>>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

impl Secrets {
    /// Reads them from where the configuration says: a file of its owner's alone, or a variable of the environment.
    /// `resolve` makes a path of the configuration one of the system.
    ///
    /// # Errors
    /// A file that others may read; a variable that is not set; a text that is no secret. No secret is quoted.
    pub fn load(
        endpoint: &EndpointSection,
        resolve: impl Fn(&Path) -> std::path::PathBuf,
    ) -> Result<Secrets> {
        if let Some(file) = &endpoint.secret_file {
            let file = resolve(file);
            let place = || format!("secret file {}", file.display());
            let mode = std::fs::metadata(&file).with_context(place)?.permissions().mode() & 0o7777;
            if mode != 0o600 {
                bail!("{}: mode {mode:04o}, must be 0600: only its owner may read it", place());
            }
            let text = Zeroizing::new(std::fs::read_to_string(&file).with_context(place)?);
            return Secrets::parse(&text).with_context(place);
        }
        let name = endpoint.secret_env.as_deref().context("no secret is configured")?;
        let place = || format!("secret in {name}");
        let text = Zeroizing::new(std::env::var(name).with_context(place)?);
        Secrets::parse(&text).with_context(place)
    }

    /// Secrets of a text, separated by white space: `whsec_` and the base64 of 24 to 64 bytes.
    ///
    /// # Errors
    /// None or too many, or one that is not of that form, by its place.
    pub fn parse(text: &str) -> Result<Secrets> {
        let mut secrets = Vec::new();
        for (number, word) in (1..).zip(text.split_whitespace()) {
            let decoded = word.strip_prefix(PREFIX).and_then(|coded| STANDARD.decode(coded).ok());
            match decoded.map(Zeroizing::new).filter(|bytes| BYTES.contains(&bytes.len())) {
                Some(bytes) => secrets.push(bytes),
                None => bail!("secret {number}: expected {PREFIX} and the base64 of 24 to 64 bytes"),
            }
        }
        if !(1..=SECRETS_MAX).contains(&secrets.len()) {
            bail!("{} secrets, expected 1 to {SECRETS_MAX}", secrets.len());
        }
        Ok(Secrets(secrets))
    }

    /// The value of `webhook-signature`: a signature of each secret, separated by spaces.
    pub fn sign(&self, id: &str, timestamp_s: i64, body: &[u8]) -> String {
        let signatures = self.0.iter().map(|secret| {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
            mac.update(format!("{id}.{timestamp_s}.").as_bytes());
            mac.update(body);
            format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
        });
        signatures.collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The example of the specification's reference libraries (standard-webhooks, `libraries/*/test`).
    #[test]
    fn a_signature_is_that_of_the_specification() {
        let secrets = Secrets::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = secrets.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_text_that_is_no_secret_is_not_quoted() {
        for bad in ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAAA", "whsec_not base64", "whsec_****"] {
            let error = format!("{:#}", Secrets::parse(bad).unwrap_err());
            assert!(
                error.contains("secret") && !error.contains("MfKQ") && !error.contains("AAAA"),
                "{error}"
            );
        }
        let five = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw ".repeat(5);
        assert!(Secrets::parse(&five).is_err());
        assert!(!format!("{:?}", Secrets::parse(&five[..78]).unwrap()).contains("MfKQ"));
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        std::fs::write(&path, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let endpoint: EndpointSection = toml::from_str("url = \"\"\nsecret_file = \"s\"").unwrap();
        let load = || Secrets::load(&endpoint, |file| dir.path().join(file));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(load().unwrap_err().to_string().contains("0600"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(load().unwrap().0.len(), 1);
    }
}
