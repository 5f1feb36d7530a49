//! https: a certificate of roots that the configuration names is taken, any other is not, and nothing is sent then. The
//! certificates are made by `openssl`, for each run anew.
#![allow(clippy::unwrap_used)]

use super::client::{Answer, Client, Roots};
use super::receiver::{Got, Reply, serve};
use super::secret::Secrets;
use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// Makes a certificate for 127.0.0.1 that signs itself, and its key. Without `openssl` (and outside CI) the test says so and
/// ends.
fn certificate(dir: &Path, name: &str) -> bool {
    let (key, certificate) = (dir.join(format!("{name}.key")), dir.join(format!("{name}.pem")));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args([
            "-subj",
            "/CN=test",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-addext",
            "basicConstraints=CA:FALSE",
        ])
        .arg("-keyout")
        .arg(key)
        .arg("-out")
        .arg(certificate)
        .output();
    let is_made = made.as_ref().is_ok_and(|made| made.status.success());
    assert!(is_made || std::env::var_os("CI").is_none(), "openssl makes no certificate: {made:?}");
    if !is_made {
        eprintln!("skipped: openssl makes no certificate: {made:?}");
    }
    is_made
}

fn start(dir: &Path, name: &str) -> (SocketAddr, Arc<Mutex<Vec<Got>>>) {
    let chain = vec![CertificateDer::from_pem_file(dir.join(format!("{name}.pem"))).unwrap()];
    let key = PrivateKeyDer::from_pem_file(dir.join(format!("{name}.key"))).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
    let (address, got) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let kept = got.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut connection = rustls::ServerConnection::new(config.clone()).unwrap();
            serve(&mut rustls::Stream::new(&mut connection, &mut stream), &kept, &|_, _| Reply::status(200));
        }
    });
    (address, got)
}

#[test]
fn only_a_certificate_of_the_roots_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    if !certificate(dir.path(), "server") || !certificate(dir.path(), "other") {
        return;
    }
    let (address, got) = start(dir.path(), "server");
    let post = |roots: &str, host: &str| {
        let secrets = Secrets::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let roots = Roots::load(Some(dir.path().join(roots))).unwrap();
        let url = format!("https://{host}:{}/hooks", address.port());
        Client::new(&url, secrets, Duration::from_secs(30), 1, Some(roots)).post("n-1", b"{}", 1)
    };
    assert_eq!(post("other.pem", "127.0.0.1"), Answer::Failed, "signed by nobody we know");
    assert_eq!(post("server.pem", "localhost"), Answer::Failed, "another name than the certificate's");
    assert_eq!(got.lock().len(), 0, "nothing was sent to either");
    assert_eq!(post("server.pem", "127.0.0.1"), Answer::Delivered);
    assert_eq!(got.lock().len(), 1);
    let error = |file: &str| format!("{:#}", Roots::load(Some(dir.path().join(file))).err().unwrap());
    assert!(error("server.key").contains("no certificate"), "{}", error("server.key"));
    assert!(error("none.pem").contains("none.pem"));
}
