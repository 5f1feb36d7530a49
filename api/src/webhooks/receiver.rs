//! A receiver for the tests: HTTP/1.1 on loopback, by the standard library alone. It answers as a test says, keeps what it
//! got, and checks signatures by an HMAC of its own (RFC 2104 by hand), which shares nothing with what signs.
#![allow(clippy::unwrap_used)]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What came.
#[derive(Debug, Clone, Default)]
pub struct Got {
    pub id: String,
    pub timestamp: String,
    pub signature: String,
    pub body: String,
    /// What was answered.
    pub status: u16,
}

/// What is answered, and after how long.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    pub status: u16,
    pub headers: String,
    pub delay: Duration,
}
impl Reply {
    pub fn status(status: u16) -> Reply {
        Reply { status, ..Reply::default() }
    }
}

/// Says what is answered to a request, given how many came before it.
pub type Script = dyn Fn(&Got, usize) -> Reply + Send + Sync;

#[derive(Clone)]
pub struct Receiver {
    pub address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Receiver {
    pub fn start(script: impl Fn(&Got, usize) -> Reply + Send + Sync + 'static) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Receiver { address: listener.local_addr().unwrap(), got: Arc::default() };
        let (got, script) = (receiver.got.clone(), Arc::new(script) as Arc<Script>);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, got, script) = (stream.unwrap(), got.clone(), script.clone());
                std::thread::spawn(move || serve(&mut stream, &got, &*script));
            }
        });
        receiver
    }
    pub fn url(&self) -> String {
        format!("http://{}/hooks", self.address)
    }
    pub fn got(&self) -> Vec<Got> {
        self.got.lock().clone()
    }
    /// Ids of what was taken, in the order in which it was.
    pub fn taken(&self) -> Vec<String> {
        self.got().into_iter().filter(|got| got.status / 100 == 2).map(|got| got.id).collect()
    }
}

/// One request and its answer over any stream.
pub fn serve<S: Read + Write>(stream: &mut S, got: &Mutex<Vec<Got>>, script: &Script) {
    let mut reader = BufReader::new(&mut *stream);
    let mut line = String::new();
    // A connection that is closed before a request, as a refused TLS handshake leaves it.
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    assert!(line.starts_with("POST /hooks"), "{line}");
    let (mut new, mut length) = (Got::default(), 0);
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "webhook-id" => new.id = value.into(),
            "webhook-timestamp" => new.timestamp = value.into(),
            "webhook-signature" => new.signature = value.into(),
            "content-length" => length = value.parse().unwrap(),
            "content-type" => assert_eq!(value, "application/json"),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    new.body = String::from_utf8(body).unwrap();
    let reply = {
        let mut got = got.lock();
        let reply = script(&new, got.len());
        new.status = reply.status;
        got.push(new);
        reply
    };
    std::thread::sleep(reply.delay);
    let Reply { status, headers, .. } = reply;
    // The sender may have given up.
    drop(write!(stream, "HTTP/1.1 {status} x\r\n{headers}content-length: 2\r\nconnection: close\r\n\r\nok"));
    drop(stream.flush());
}

/// Whether one of a request's signatures is of a secret.
pub fn is_signed_by(got: &Got, secret: &str) -> bool {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    assert!(key.len() <= 64, "RFC 2104 hashes longer keys first");
    let pad = |with: u8| -> Vec<u8> { (0..64).map(|n| key.get(n).copied().unwrap_or(0) ^ with).collect() };
    let said = format!("{}.{}.{}", got.id, got.timestamp, got.body);
    let inner = Sha256::digest([pad(0x36), said.into_bytes()].concat());
    let sum = Sha256::digest([pad(0x5c), inner.to_vec()].concat());
    let expected = format!("v1,{}", STANDARD.encode(sum));
    got.signature.split(' ').any(|signature| signature == expected)
}

/// Waits until something holds. Generous: what is tested is that it comes, not when.
pub fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
