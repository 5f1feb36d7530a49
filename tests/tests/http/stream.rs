//! What happens to holds, as it happens: each beginning, act and end once and in order, and after a break from there on.

use super::Probe;
use super::holds::hold_of;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A server-sent event.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    id: String,
    event: String,
    data: Value,
}

impl Told {
    /// What happened to which hold.
    fn what(&self) -> (String, String) {
        (self.event.clone(), self.data["data"]["hold"].as_str().unwrap().to_owned())
    }
}

/// A stream that is being read.
struct Stream(BufReader<TcpStream>);

impl Stream {
    fn open(probe: &Probe, query: &str, last: Option<&str>) -> Stream {
        let mut socket = TcpStream::connect(probe.node.address()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let last = last.map_or(String::new(), |last| format!("last-event-id: {last}\r\n"));
        write!(socket, "GET /v1/holds/stream?{query} HTTP/1.1\r\nhost: node\r\n{last}\r\n").unwrap();
        let mut stream = Stream(BufReader::new(socket));
        let status = stream.line();
        assert!(status.contains(" 200 "), "{status}");
        while !stream.line().is_empty() {}
        stream
    }
    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream ended");
        line.trim_end().to_owned()
    }
    fn next(&mut self) -> Told {
        let (mut id, mut event, began) = (None, None, Instant::now());
        loop {
            // Lengths of chunks are between the lines, and what says that both are there.
            let line = self.line();
            assert!(began.elapsed().as_secs() < 60, "nothing was told");
            match line.split_once(": ") {
                Some(("id", value)) => id = Some(value.to_owned()),
                Some(("event", value)) => event = Some(value.to_owned()),
                Some(("data", value)) => {
                    let data: Value = serde_json::from_str(value).unwrap();
                    let (id, event) = (id.take().unwrap(), event.take().unwrap());
                    assert_eq!(data["type"], json!(event));
                    return Told { id, event, data };
                }
                _ => {}
            }
        }
    }
    fn next_ones(&mut self, count: usize) -> Vec<Told> {
        (0..count).map(|_| self.next()).collect()
    }
}

fn whats(told: &[Told]) -> Vec<(String, String)> {
    told.iter().map(Told::what).collect()
}
fn happened(what: &str, hold: &str) -> (String, String) {
    (what.to_owned(), hold.to_owned())
}

#[test]
fn each_thing_that_happens_is_told_once_in_order_and_a_broken_stream_goes_on() {
    let mut probe = Probe::holding(
        "\n[settlement.holds.detain_goods]\nhold_for = \"1s\"\n[tenants.default.levers]\nqr_merchant = \"detain_goods\"\n",
    );
    let mut live = Stream::open(&probe, "", None);
    let first = hold_of(&probe.pay("a", 96_000, json!({"settles_at": "2100-01-01T00:00:00Z"})));
    let begun = live.next();
    assert_eq!(begun.what(), happened("hold.placed", &first));
    let data = &begun.data["data"];
    assert_eq!((&data["payment"]["id"], &data["lever"]), (&json!("a"), &json!("cancel_capture")));
    assert_eq!((&data["cut_off"], &data["at_expiry"]), (&json!("2100-01-01T00:00:00Z"), &json!("confirm")));
    probe.done(&first, "comment", json!({"comment": "the customer is away", "who": "anna"}));
    probe.done(&first, "release", json!({"who": "anna"}));
    let acts = live.next_ones(2);
    assert_eq!(whats(&acts), [happened("hold.commented", &first), happened("hold.released", &first)]);
    assert_eq!(acts[1].data["data"]["by"], "loopback/anna");
    assert_eq!(acts[1].data["data"]["state"], "released");
    drop(live);
    // Nobody listens meanwhile.
    let listed = hold_of(&probe.pay("s", 77_700, json!({})));
    for who in ["anna", "ben"] {
        probe.done(&listed, "false-match", json!({"comment": "no match", "who": who}));
    }
    let late = hold_of(&probe.pay("l", 90_000, json!({"channel": "chip"})));
    let back = hold_of(&probe.pay("r", 90_000, json!({})));
    probe.pay("r-1", 90_000, json!({"kind": "reversal", "refs": {"original": "r"}}));
    probe.pay("e-1", 90_000, json!({"kind": "reversal", "refs": {"original": "e"}}));
    let early = hold_of(&probe.pay("e", 90_000, json!({})));
    let expires = hold_of(&probe.pay("x", 90_000, json!({"channel": "qr_merchant"})));
    let mut expected = vec![happened("hold.placed", &listed)];
    expected.push(happened("hold.false_match_proposed", &listed));
    expected.push(happened("hold.released", &listed));
    expected.push(happened("case.too_late", &late));
    expected.push(happened("hold.placed", &back));
    expected.push(happened("hold.reversed", &back));
    expected.extend(["hold.placed", "hold.reversed"].map(|what| happened(what, &early)));
    expected.extend(["hold.placed", "hold.expired"].map(|what| happened(what, &expires)));
    let rest = Stream::open(&probe, "", Some(&acts[0].id)).next_ones(1 + expected.len());
    assert_eq!(rest[0], acts[1], "the same again");
    assert_eq!(whats(&rest[1..]), expected);
    // Cut between two that have one place.
    let at = rest.iter().position(|told| told.what() == happened("hold.placed", &early)).unwrap();
    let from_there = Stream::open(&probe, "", Some(&rest[at].id)).next_ones(3);
    assert_eq!(from_there, rest[at + 1..]);
    probe.restart();
    // From the journal, and the same: of the tenant, and of another nothing.
    let all = Stream::open(&probe, "from=oldest&tenant=default", None).next_ones(3 + expected.len());
    let heard: Vec<Told> = [begun].into_iter().chain(acts).chain(rest.into_iter().skip(1)).collect();
    assert_eq!(all, heard);
    let ids: BTreeSet<&str> = all.iter().map(|told| told.id.as_str()).collect();
    assert_eq!(ids.len(), all.len());
    let mut other = Stream::open(&probe, "from=oldest&tenant=other", None);
    let of_other = hold_of(&probe.pay("a", 90_000, json!({"tenant": "other"})));
    assert_eq!(other.next().what(), happened("hold.placed", &of_other));
    assert!(!all.iter().any(|told| told.data.to_string().contains("away")), "comments are not told");
}

#[test]
fn as_many_streams_as_there_may_be_and_an_end_that_does_not_wait_for_them() {
    let mut probe = Probe::holding("");
    let streams: Vec<Stream> = (0..64).map(|_| Stream::open(&probe, "", None)).collect();
    super::problem(&probe.client.get("/v1/holds/stream").unwrap(), 503);
    super::problem(&probe.client.get("/v1/holds/stream?from=yesterday").unwrap(), 422);
    let reply = probe.client.send("GET", "/v1/holds/stream", &[("last-event-id", "17")], "").unwrap();
    super::problem(&reply, 422);
    let began = Instant::now();
    assert!(probe.node.terminate().unwrap().success());
    assert!(began.elapsed() < Duration::from_secs(10), "it drained for as long as it may");
    drop(streams);
}
