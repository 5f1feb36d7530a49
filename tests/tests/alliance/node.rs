//! A member's node: what one bank tells stops the payment that comes at another, and the one that has not settled there; a
//! candidate that is another card is let go; what became of it goes back to the alliance.

use super::world::World;
use serde_json::{Value, json};
use std::fs;
use std::process::{Child, Command, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_interdict-under-test");
const BURNED: &str = "4111111111111111";

/// A node of a member of a world.
struct Node {
    child: Child,
    port: u16,
    dir: std::path::PathBuf,
}

impl Node {
    fn start(world: &World, member: &str) -> Node {
        let port = super::world::free_port();
        let dir = world.path(&format!("node-{member}"));
        fs::create_dir_all(&dir).unwrap();
        let config = format!(
            "[consortium]\nfolder = \"../{member}\"\nsync_every_s = 1\nunconfirmed = \"hold\"\n[decision]\ndeadline_ms = 60000\n\
             [decision.levers]\necommerce = \"cancel_capture\"\n"
        );
        fs::write(dir.join("node.toml"), config).unwrap();
        Node::serve(dir, port)
    }
    fn serve(dir: std::path::PathBuf, port: u16) -> Node {
        let log = fs::OpenOptions::new().create(true).append(true).open(dir.join("log")).unwrap();
        let child = Command::new(BINARY)
            .args(["serve", "--config", dir.join("node.toml").to_str().unwrap()])
            .args(["--data", dir.join("data").to_str().unwrap(), "--http", &format!("127.0.0.1:{port}")])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Node { child, port, dir }
    }
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
    /// Killed, and served again.
    fn restart(&mut self) {
        self.kill();
        let port = super::world::free_port();
        let again = Node::serve(self.dir.clone(), port);
        drop(std::mem::replace(self, again));
    }
    fn get(&self, path: &str) -> Option<String> {
        let mut answer = ureq::get(format!("http://127.0.0.1:{}{path}", self.port)).call().ok()?;
        answer.body_mut().read_to_string().ok()
    }
    fn json(&self, path: &str) -> Value {
        self.get(path).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }
    fn post(&self, path: &str, body: &Value) -> Value {
        let request = ureq::post(format!("http://127.0.0.1:{}{path}", self.port));
        let mut answer = request.header("Interdict-Tenant", "acme").send_json(body).unwrap();
        answer.body_mut().read_json().unwrap()
    }
    fn pay(&self, id: &str, pan: &str) -> Value {
        let now = jiff::Timestamp::now();
        let settles = now + jiff::SignedDuration::from_hours(8);
        self.post(
            "/v1/decisions",
            &json!({
                "id": id, "tenant": "acme", "time": now.to_string(), "settles_at": settles.to_string(),
                "amount": {"minor": 4200, "currency": "EUR"}, "channel": "ecommerce",
                "card": {"pan": pan}, "merchant": {"id": "M-1"},
            }),
        )
    }
    fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").unwrap_or_default();
        let line =
            text.lines().find(|line| line.starts_with(name) && line[name.len()..].starts_with([' ', '{']));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(-1.0)
    }
    fn held(&self, payment: &str) -> bool {
        let holds = self.json("/v1/holds?tenant=acme");
        holds["holds"].as_array().is_some_and(|all| {
            all.iter().any(|hold| hold["payment"]["id"] == payment && hold["state"] == "held")
        })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn what_one_bank_tells_stops_payments_at_another() {
    let world = World::founded();
    let mut node = Node::start(&world, "c");
    world.until("the node is ready", || node.get("/readyz").is_some());
    assert_eq!(node.pay("morning", BURNED)["outcome"], "approve");
    world.contribute("a", &format!("kind,value,reason,severity\ncard,{BURNED},card_stolen,90\n"));
    world.until("the epoch is in force at c", || {
        ["a", "b"].iter().for_each(|name| drop(world.sync(name)));
        node.metric("interdict_consortium_rows") == 1.0
    });
    // Inline a candidate, as declared; confirmed beside the path, by a query that a and b can see and cannot read.
    let answer = node.pay("noon", BURNED);
    assert_eq!(answer["outcome"], "hold", "{answer}");
    let found =
        answer["reasons"].as_array().unwrap().iter().find(|reason| reason["stage"] == "lists").unwrap();
    assert_eq!(found["detail"]["reason"], "card_stolen", "{answer}");
    assert_eq!(found["detail"]["class"], "trusted", "{answer}");
    let path = node.dir.join("log");
    let log = || fs::read_to_string(&path).unwrap_or_default();
    let listed = "interdict_consortium_confirmations_total{answer=\"listed\"}";
    world.until("noon's payment is confirmed and held", || {
        ["a", "b"].iter().for_each(|name| drop(world.sync(name)));
        assert!(!log().contains("ERROR"), "{}", log());
        node.metric(listed) == 1.0 && node.held("noon")
    });
    world.until("what it came to is recorded", || node.metric("interdict_finish_queue_depth") == 0.0);
    // Its number is known to nobody any more, so it cannot be confirmed: the declared default holds it.
    world.until("the morning's payment is held too", || node.held("morning"));
    // Killed and without a hub it still knows.
    node.restart();
    world.until("the node is ready again", || node.get("/readyz").is_some());
    assert_eq!(node.pay("evening", BURNED)["outcome"], "hold");
    // The cardholder says that it was fraud: the alliance hears of it.
    let label = json!([{"id": "noon", "label": "fraud", "time": jiff::Timestamp::now().to_string()}]);
    let labelled = node.post("/v1/labels", &label);
    assert!(labelled[0]["label_sequence"].is_u64(), "{labelled}");
    world.until("the outcome is told", || {
        ["a", "b"].iter().for_each(|name| drop(world.sync(name)));
        node.metric("interdict_consortium_outcomes_total{outcome=\"confirmed\"}") == 1.0
    });
    // One bit of what a quorum signed, changed on the disk: the node does not start on it.
    node.kill();
    let held = world.path("c/epochs/2/snapshot");
    let mut bytes = fs::read(&held).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&held, bytes).unwrap();
    let mut again = Node::serve(node.dir.clone(), super::world::free_port());
    assert!(!again.child.wait().unwrap().success());
    assert!(log().contains("epoch 2 in the folder is not the one that was signed"), "{}", log());
}
