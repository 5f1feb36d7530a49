//! Requests as bytes on a socket: however they are cut, one after another or at once, and whoever reads them (the usual
//! form is read apart from the rest, `api/src/http/wire.rs`), the answers are the same.

use crate::{Probe, canonical};
use interdict_tests::blackbox::payment;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

struct Socket {
    write: TcpStream,
    read: BufReader<TcpStream>,
}

impl Socket {
    fn open(probe: &Probe) -> Socket {
        let write = TcpStream::connect(probe.node.address()).unwrap();
        write.set_nodelay(true).unwrap();
        Socket { read: BufReader::new(write.try_clone().unwrap()), write }
    }
    fn send(&mut self, bytes: &[u8]) {
        self.write.write_all(bytes).unwrap();
    }
    /// The next answer: status, head, body.
    fn answer(&mut self) -> (u16, String, Value) {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.read.read_line(&mut head).unwrap() > 0, "{head:?}");
        }
        let head = head.to_ascii_lowercase();
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        assert!(header("date:").is_some_and(|date| date.ends_with("gmt")), "{head}");
        let mut body = vec![0; header("content-length:").unwrap().parse().unwrap()];
        self.read.read_exact(&mut body).unwrap();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        (head[9..12].parse().unwrap(), head, body)
    }
}

fn request(body: &Value, more: &str) -> Vec<u8> {
    let body = body.to_string();
    let head =
        format!("POST /v1/decisions HTTP/1.1\r\nhost: x\r\n{more}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body.as_bytes()].concat()
}

#[test]
fn however_requests_are_cut_and_whoever_reads_them_the_answers_are_the_same() {
    let probe = Probe::start();
    let bodies: Vec<Value> = (0..6).map(|n| payment(json!({"id": format!("w-{n}")}))).collect();
    let mut socket = Socket::open(&probe);
    // Two in one piece, and the third cut at places of every kind.
    let mut first: Vec<Value> = Vec::new();
    socket.send(&[request(&bodies[0], ""), request(&bodies[1], "interdict-deadline-ms: 900\r\n")].concat());
    let third = request(&bodies[2], "");
    for piece in [&third[..3], &third[3..40], &third[40..third.len() - 5], &third[third.len() - 5..]] {
        socket.send(piece);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    for _ in 0..3 {
        let (status, head, body) = socket.answer();
        assert_eq!(status, 200, "{body}");
        assert!(head.contains("content-type: application/json"), "{head}");
        first.push(body);
    }
    // The same again by hyper: a header that is not of the usual form, and chunks; the connection goes on.
    let chunked = |body: &Value| {
        let (body, head) = (body.to_string(), "POST /v1/decisions HTTP/1.1\r\nhost: x\r\n");
        format!("{head}transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
    };
    socket.send(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(socket.answer().0, 200);
    for (number, body) in bodies.iter().enumerate().take(3) {
        socket.send(chunked(body).as_bytes());
        let (status, _, again) = socket.answer();
        assert_eq!((status, &again["meta"]["replayed"]), (200, &json!(true)), "{again}");
        assert_eq!(canonical(&again), canonical(&first[number]));
    }
    socket.send(&request(&bodies[3], "connection: close\r\n"));
    assert_eq!(socket.answer().0, 200);
    assert_eq!(socket.read.read(&mut [0]).unwrap(), 0, "it was asked to close");
}

#[test]
fn what_is_wrong_is_told_the_same_by_both_readers() {
    let probe = Probe::start();
    let wrong = json!({"time": "2018-04-01T12:00:00Z", "amount": {"minor": -1, "currency": "EUR"}});
    let told = |more: &str| {
        let mut socket = Socket::open(&probe);
        socket.send(&request(&wrong, more));
        let (status, head, body) = socket.answer();
        assert!(head.contains("content-type: application/problem+json"), "{head}");
        (status, body)
    };
    for more in ["", "interdict-tenant: \r\n", "idempotency-key: \r\n", "interdict-deadline-ms: soon\r\n"] {
        let (usual, other) = (told(more), told(&format!("{more}te: trailers\r\n")));
        assert_eq!(usual, other, "{more:?}");
        assert_eq!(usual.0, 422, "{more:?}: {}", usual.1);
    }
    // Half a request and then an end leaves nothing behind.
    let mut socket = Socket::open(&probe);
    socket.send(&request(&wrong, "")[..60]);
    drop(socket);
    assert_eq!(probe.decide(&payment(json!({}))).status, 200);
}
