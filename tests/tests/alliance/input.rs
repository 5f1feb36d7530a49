//! Every endpoint with what it must refuse: too long, malformed, by the wrong role, by nobody. The hub answers each with a
//! problem and goes on.

use super::world::World;
use interdict::alliance::client::{Client, refused};
use interdict::alliance::keyring::Keyring;
use interdict::alliance::member::MemberFolder;
use interdict::alliance::tls::Pins;

/// A path, a body, and the statuses that may answer it.
type Wrong = (&'static str, Vec<u8>, &'static [u16]);

fn wrong_posts() -> Vec<Wrong> {
    let long = |bytes: usize| vec![b'x'; bytes];
    let length = |length: u32, rest: &[u8]| [&length.to_be_bytes()[..], rest].concat();
    let unsigned = b"interdict/suspension/v1\n\n".to_vec();
    let mut all: Vec<Wrong> = vec![
        ("evaluate", length(u32::MAX, b""), &[413]),
        ("evaluate", length(10, b"short"), &[400]),
        ("evaluate", long(1 << 20), &[413]),
        ("contribute", length(9, b"short"), &[400]),
        ("contribute", length(5, b"short"), &[400]),
        ("propose", long(1 << 20), &[413]),
        ("propose", unsigned, &[400]),
        ("usage", long(1 << 20), &[413]),
        ("epoch/1/cosign", long(1 << 20), &[413]),
        ("epoch/99/cosign", b"a\n\n\xe2\x80\x94 b AAAAAAAA\n".to_vec(), &[409]),
        ("add-checkpoint", long(1 << 20), &[413]),
        ("add-checkpoint", b"other.example/log\n1\nAAAA\n\n\xe2\x80\x94 b AAAAAAAA\n".to_vec(), &[404]),
        ("statement/..%2fx", b"x".to_vec(), &[400]),
        ("statement/2026-11", b"x".to_vec(), &[400]),
        ("nothing", b"x".to_vec(), &[404]),
        ("pending", b"x".to_vec(), &[405]),
    ];
    for path in ["evaluate", "contribute", "propose", "usage", "epoch/1/cosign", "add-checkpoint"] {
        for body in [&b""[..], b"\0", b"\xff\xff\xff\xff", b"\n\n", b"x\n\n\xe2\x80\x94 y zz\n"] {
            all.push((path, body.to_vec(), &[400, 413]));
        }
    }
    all
}

#[test]
fn every_endpoint_refuses_what_is_wrong_and_goes_on() {
    let world = World::founded();
    let folder = MemberFolder::open(&world.path("a")).unwrap();
    let client = folder.client(None).unwrap();
    let status = |answer: Result<Vec<u8>, _>| refused(&answer.unwrap_err()).map(|refused| refused.status);
    for (path, body, expected) in wrong_posts() {
        let got = status(client.post(path, &body, 1 << 20));
        // Past the bound the connection is closed behind the answer, which may overtake it.
        let is_cut = got.is_none() && body.len() > 64 << 10 && expected.contains(&413);
        let is_told = got.is_some_and(|got| expected.contains(&got));
        assert!(is_told || is_cut, "{path} with {} bytes: {got:?}", body.len());
    }
    for (path, expected) in [
        ("governance/tile/0/x", 400),
        ("governance/tile/0/..%2f..%2fkeys", 400),
        ("governance/tile/9/000", 404),
        ("queries/tile/0/999", 404),
        ("body/..%2f..%2fkeys%2fsign.key", 400),
        ("body/0000000000000000000000000000000000000000000000000000000000000000", 404),
        ("epoch/7/snapshot", 404),
        ("epoch/1/state", 404),
        ("openings/5-5", 404),
        ("openings/0-999999999", 413),
        ("openings/x", 400),
        ("statement/2026-11", 404),
    ] {
        assert_eq!(status(client.get(path, 1 << 20)), Some(expected), "{path}");
    }
    // A stranger gets no further than the handshake.
    let keys = Keyring::open(&world.path("stranger")).unwrap();
    keys.make_certificate("stranger.example").unwrap();
    let hub = Keyring::open(&world.path("hub/keys")).unwrap().identity().unwrap().pin();
    let url = format!("https://127.0.0.1:{}", world.port);
    let stranger = Client::new(&url, keys.identity().unwrap(), Pins::new([hub])).unwrap();
    assert_eq!(status(stranger.get("governance/checkpoint", 1 << 20)), None);
    // And a member does not talk to a hub with another certificate.
    let other = Keyring::open(&world.path("a/keys")).unwrap().identity().unwrap();
    let wrong = Client::new(&url, other, Pins::new([[7; 32]])).unwrap();
    assert_eq!(status(wrong.get("governance/checkpoint", 1 << 20)), None);
    drop(folder);
    let synced = world.sync("a");
    assert!(synced["warnings"].as_array().unwrap().is_empty(), "{synced}");
    let metrics = world.get("/metrics").unwrap();
    assert!(
        metrics.contains("interdict_hub_requests_total{call=\"evaluate\",result=\"refused\"} "),
        "{metrics}"
    );
}
