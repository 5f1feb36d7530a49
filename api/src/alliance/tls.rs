//! Mutual TLS without an authority: who may connect is who has a certificate whose SHA-256 is pinned (members' records in
//! the governance log; the hub's in the invitation). Pins are policy; that a peer holds the key of its certificate is
//! rustls' own check. TLS 1.3 only, no resumption: a pin that is gone ends what it allowed.

use anyhow::{Context, Result, anyhow, bail};
use arc_swap::ArcSwap;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme,
};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// SHA-256 of a certificate's DER.
pub type Pin = [u8; 32];

/// The certificate's file in a folder of keys.
pub const CERTIFICATE: &str = "tls.crt";
/// Its private key's file there.
pub const KEY: &str = "tls.key";

/// The pin of a certificate.
pub fn pin_of(certificate: &CertificateDer<'_>) -> Pin {
    Sha256::digest(certificate).into()
}

/// Makes a self-signed Ed25519 certificate for a name: PEM of the certificate and of its key. It has no end of its own;
/// how long it counts is said by who pins it.
///
/// # Errors
/// A name that a certificate cannot carry.
pub fn make(name: &str) -> Result<(String, zeroize::Zeroizing<String>)> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519)?;
    let mut params = rcgen::CertificateParams::new(vec![name.to_owned()])?;
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), zeroize::Zeroizing::new(key.serialize_pem())))
}

/// A certificate with its key.
pub struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Of PEM, one certificate and one key.
    ///
    /// # Errors
    /// What is no PEM of a certificate, or of a key.
    pub fn of_pem(certificate: &[u8], key: &[u8]) -> Result<Identity> {
        let no = |what: &str| anyhow!("expected PEM of {what}");
        let certificate = CertificateDer::from_pem_slice(certificate).map_err(|_| no("a certificate"))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| no("a private key"))?;
        Ok(Identity { certificate, key })
    }
    /// Of a folder of keys.
    ///
    /// # Errors
    /// Files that are missing, do not read, or whose key others may read.
    pub fn load(keys: &Path) -> Result<Identity> {
        let path = keys.join(CERTIFICATE);
        let certificate = std::fs::read(&path).with_context(|| path.display().to_string())?;
        let key = super::folder::read_secret(&keys.join(KEY))?;
        Identity::of_pem(&certificate, &key).with_context(|| keys.display().to_string())
    }
    /// Its pin.
    pub fn pin(&self) -> Pin {
        pin_of(&self.certificate)
    }
}

/// The certificates that are accepted; shared, and changed while connections come.
#[derive(Debug, Clone, Default)]
pub struct Pins(Arc<ArcSwap<BTreeSet<Pin>>>);

impl Pins {
    /// These.
    pub fn new(pins: impl IntoIterator<Item = Pin>) -> Pins {
        let all = Pins::default();
        all.set(pins);
        all
    }
    /// These from now on, and no others.
    pub fn set(&self, pins: impl IntoIterator<Item = Pin>) {
        self.0.store(Arc::new(pins.into_iter().collect()));
    }
    /// Whether one is among them.
    pub fn has(&self, pin: &Pin) -> bool {
        self.0.load().contains(pin)
    }
}

/// The verifier: a pin, and rustls' check of the signature.
#[derive(Debug)]
struct Pinned {
    pins: Pins,
    provider: Arc<CryptoProvider>,
}

impl Pinned {
    fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        match self.pins.has(&pin_of(certificate)) {
            true => Ok(()),
            false => Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)),
        }
    }
    fn signed12(&self, m: &[u8], c: &CertificateDer<'_>, d: &DigitallySignedStruct) -> Verified {
        verify_tls12_signature(m, c, d, &self.provider.signature_verification_algorithms)
    }
    fn signed13(&self, m: &[u8], c: &CertificateDer<'_>, d: &DigitallySignedStruct) -> Verified {
        verify_tls13_signature(m, c, d, &self.provider.signature_verification_algorithms)
    }
    fn schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

type Verified = Result<HandshakeSignatureValid, Error>;

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(certificate).map(|()| ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        m: &[u8],
        c: &CertificateDer<'_>,
        d: &DigitallySignedStruct,
    ) -> Verified {
        self.signed12(m, c, d)
    }
    fn verify_tls13_signature(
        &self,
        m: &[u8],
        c: &CertificateDer<'_>,
        d: &DigitallySignedStruct,
    ) -> Verified {
        self.signed13(m, c, d)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }
    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(certificate).map(|()| ClientCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        m: &[u8],
        c: &CertificateDer<'_>,
        d: &DigitallySignedStruct,
    ) -> Verified {
        self.signed12(m, c, d)
    }
    fn verify_tls13_signature(
        &self,
        m: &[u8],
        c: &CertificateDer<'_>,
        d: &DigitallySignedStruct,
    ) -> Verified {
        self.signed13(m, c, d)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

fn pinned(pins: Pins) -> (Arc<CryptoProvider>, Arc<Pinned>) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    (provider.clone(), Arc::new(Pinned { pins, provider }))
}

/// The hub's side: who connects must show a certificate whose pin is there.
///
/// # Errors
/// A key that is not that of the certificate.
pub fn server_config(identity: Identity, members: Pins) -> Result<ServerConfig> {
    let (provider, verifier) = pinned(members);
    let builder =
        ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13])?;
    let mut config = builder
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![identity.certificate], identity.key)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// A member's side: the hub must show the certificate that the invitation pins.
///
/// # Errors
/// No pin at all; a key that is not that of the certificate.
pub fn client_config(identity: Identity, hub: Pins) -> Result<ClientConfig> {
    if hub.0.load().is_empty() {
        bail!("no certificate of the hub is pinned, so none would be accepted");
    }
    let (provider, verifier) = pinned(hub);
    let builder =
        ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13])?;
    let mut config = builder
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_auth_cert(vec![identity.certificate], identity.key)?;
    config.resumption = rustls::client::Resumption::disabled();
    config.enable_sni = false;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use rustls::{ClientConnection, ServerConnection};

    fn identity(name: &str) -> Identity {
        let (certificate, key) = make(name).unwrap();
        Identity::of_pem(certificate.as_bytes(), key.as_bytes()).unwrap()
    }

    /// Runs a handshake in memory; on success, the pin that the server saw.
    fn shake(client: Arc<ClientConfig>, server: Arc<ServerConfig>) -> Result<Pin, Error> {
        let mut client = ClientConnection::new(client, ServerName::try_from("hub").unwrap()).unwrap();
        let mut server = ServerConnection::new(server).unwrap();
        for _ in 0..10 {
            let mut wire = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut wire).unwrap();
            }
            let mut rest = wire.as_slice();
            while !rest.is_empty() {
                server.read_tls(&mut rest).unwrap();
                server.process_new_packets()?;
            }
            let mut wire = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut wire).unwrap();
            }
            let mut rest = wire.as_slice();
            while !rest.is_empty() {
                client.read_tls(&mut rest).unwrap();
                client.process_new_packets()?;
            }
        }
        assert!(!client.is_handshaking() && !server.is_handshaking());
        Ok(pin_of(&server.peer_certificates().unwrap()[0]))
    }

    #[test]
    fn exactly_what_is_pinned_connects_and_pins_change_while_running() {
        let (hub, a, b) = (identity("hub.example"), identity("a.example"), identity("b.example"));
        let (hub_pin, a_pin, b_pin) = (hub.pin(), a.pin(), b.pin());
        let members = Pins::new([a_pin]);
        let server = Arc::new(server_config(hub, members.clone()).unwrap());
        let a = Arc::new(client_config(a, Pins::new([hub_pin])).unwrap());
        let b = Arc::new(client_config(b, Pins::new([hub_pin])).unwrap());
        assert_eq!(shake(a.clone(), server.clone()).unwrap(), a_pin);
        assert!(shake(b.clone(), server.clone()).is_err(), "a certificate that nobody pinned");
        members.set([b_pin]);
        assert_eq!(shake(b, server.clone()).unwrap(), b_pin);
        assert!(
            shake(a, server).is_err(),
            "a pin that was taken away, also for one that had connected before"
        );
    }

    #[test]
    fn another_hub_and_a_client_without_a_certificate_are_refused() {
        let (hub, a, other) = (identity("hub.example"), identity("a.example"), identity("hub.example"));
        let a_pin = a.pin();
        let server = Arc::new(server_config(hub, Pins::new([a_pin])).unwrap());
        let wrong = Arc::new(client_config(a, Pins::new([other.pin()])).unwrap());
        let refused = shake(wrong, server.clone()).unwrap_err();
        assert!(matches!(refused, Error::InvalidCertificate(_)), "{refused}");
        let (provider, verifier) = pinned(Pins::new([other.pin()]));
        let builder = ClientConfig::builder_with_provider(provider);
        let nobody = builder.with_safe_default_protocol_versions().unwrap().dangerous();
        let nobody = nobody.with_custom_certificate_verifier(verifier).with_no_client_auth();
        let server = Arc::new(server_config(other, Pins::new([a_pin])).unwrap());
        let refused = shake(Arc::new(nobody), server).unwrap_err();
        assert!(matches!(refused, Error::NoCertificatesPresented), "{refused}");
        assert!(client_config(identity("a.example"), Pins::default()).is_err());
    }

    #[test]
    fn a_certificate_shown_without_its_key_is_refused() {
        let (hub, a, b) = (identity("hub.example"), identity("a.example"), identity("b.example"));
        let hub_pin = hub.pin();
        let stolen = Identity { certificate: a.certificate.clone(), key: b.key };
        // rustls itself refuses to build such a client.
        assert!(client_config(stolen, Pins::new([hub_pin])).is_err());
    }
}
