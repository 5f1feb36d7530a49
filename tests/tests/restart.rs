//! Starts from an image of the state, from outside: after kill −9 the node is what it was, and ready without reading the
//! journal from its beginning; an image that does not fit is refused by name, and an older one or the journal serves.
#![allow(clippy::unwrap_used)]

use interdict_ledger::snapshot::{Image, list};
use interdict_tests::blackbox::{payment, probe, run, text, write};
use interdict_tests::node::{Client, Running, Start};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_interdict-under-test");
/// Longest that anything here may take before the test gives up.
const GIVE_UP: Duration = Duration::from_secs(60);

/// A pack with features, labels' banks and a list, and a data folder.
struct World {
    dir: tempfile::TempDir,
    config: PathBuf,
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let config = probe(dir.path(), "");
        write(
            &dir.path().join("probe/features.yaml"),
            "features:\n  - {name: card, key: card, windows: [1h], aggregates: [count, sum], currency: EUR}\n",
        );
        World { dir, config }
    }
    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }
    fn images(&self) -> PathBuf {
        self.data().join("snapshots")
    }
    fn start(&self, every_events: u64) -> Start {
        Start::new(BINARY, &self.config, self.data())
            .env("INTERDICT_SNAPSHOT__EVERY_EVENTS", &every_events.to_string())
    }
    /// The sequences of the images that are there, newest first.
    fn sequences(&self) -> Vec<u64> {
        list(&self.images()).unwrap().into_iter().map(|(sequence, _)| sequence).collect()
    }
    fn newest(&self) -> Image {
        Image::open(&list(&self.images()).unwrap()[0].1).unwrap()
    }
}

fn metric(client: &Client, series: &str) -> u64 {
    let text = client.get("/metrics").unwrap().text;
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("{series} in\n{text}")).parse().unwrap()
}
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < GIVE_UP, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
fn came_by(client: &Client) -> String {
    let ways = ["image", "none", "refused", "off"];
    let is = |way: &&str| metric(client, &format!("interdict_snapshot_start{{way=\"{way}\"}}")) == 1;
    ways.into_iter().find(is).unwrap().to_owned()
}

/// The payment of a number: a few cards, a minute apart, so that features count and windows are covered.
fn pay(number: u64) -> Value {
    let pans = ["4111111111111111", "5555555555554444", "378282246310005"];
    let (day, hour, minute) = (1 + number / 1440, number / 60 % 24, number % 60);
    let time = format!("2018-04-{day:02}T{hour:02}:{minute:02}:00Z");
    let pan = pans[number as usize % pans.len()];
    payment(json!({"id": format!("p-{number}"), "time": time, "card": {"pan": pan}}))
}
/// Decides payments of these numbers; what came back but for what is of the moment.
fn decide(client: &Client, numbers: std::ops::Range<u64>) -> Vec<Value> {
    let one = |number| {
        let reply = client.post("/v1/decisions", &pay(number)).unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text);
        let mut body = reply.json();
        body.as_object_mut().unwrap().remove("meta");
        body
    };
    numbers.map(one).collect()
}
/// The state of a folder's newest image, as a hash.
fn digest(world: &World) -> [u8; 32] {
    world.newest().digest().unwrap()
}
fn written(node: &Running) -> u64 {
    metric(&node.client(), "interdict_snapshot_writes_total{result=\"ok\"}")
}

#[test]
fn after_kill_9_the_state_is_what_it_was_and_the_images_are_those_of_a_rebuild() {
    let world = World::new();
    let node = world.start(100).start().unwrap();
    assert_eq!(came_by(&node.client()), "none");
    let mut given = decide(&node.client(), 0..150);
    let label = json!([{"id": "p-7", "label": "fraud", "time": "2026-03-15T00:00:00Z"}]);
    assert_eq!(node.client().post("/v1/labels", &label).unwrap().status, 200);
    until("an image", || written(&node) > 0);
    let entry = json!([{"card": {"pan": "4111111111111111"}, "effect": "flag"}]);
    assert_eq!(node.client().put("/v1/lists/watched/entries", &entry).unwrap().status, 200);
    given.extend(decide(&node.client(), 150..190));
    let image = world.newest().about().sequence();
    drop(node); // kill -9

    let mut node = world.start(1_000_000).start().unwrap();
    assert_eq!(came_by(&node.client()), "image");
    assert_eq!(node.logged("from_image=").unwrap(), image.to_string(), "{}", node.log());
    assert_eq!(decide(&node.client(), 0..190), given, "each retry gets the verdict it had");
    assert!(node.terminate().unwrap().success(), "{}", node.log());
    let (sequence, from_image) = (world.newest().about().sequence(), digest(&world));

    // The same journal without an image.
    std::fs::remove_dir_all(world.images()).unwrap();
    let mut node = world.start(1_000_000).start().unwrap();
    assert_eq!(
        (came_by(&node.client()).as_str(), node.logged("from_image=").unwrap().as_str()),
        ("none", "0")
    );
    assert!(node.terminate().unwrap().success(), "{}", node.log());
    assert_eq!(world.newest().about().sequence(), sequence);
    assert!(digest(&world) == from_image, "a start from an image and one from the journal differ");

    // And on: features count what was before.
    let node = world.start(1_000_000).start().unwrap();
    let next = decide(&node.client(), 190..191);
    assert_eq!(next[0]["reasons"][0]["code"], "OFTEN", "{next:?}");
    let verify = run(BINARY, &["verify", "--json", "--data", text(&world.data())]).summary();
    assert_eq!((&verify["different"], &verify["checked"]), (&json!(0), &json!(191)), "{verify}");
}

#[test]
fn while_it_runs_older_images_go_and_a_folder_that_takes_none_costs_no_payment() {
    let world = World::new();
    let mut node = world.start(20).start().unwrap();
    let mut next = 0..0u64;
    while written(&node) < 3 {
        next = next.end..next.end + 10;
        assert!(next.end < 30_000, "{}", node.log());
        decide(&node.client(), next.clone());
    }
    // An image is counted before older ones go.
    until("keep = 2", || world.sequences().len() == 2);
    assert!(node.terminate().unwrap().success(), "{}", node.log());
    std::fs::remove_dir_all(world.images()).unwrap();
    write(&world.images(), "no folder");
    let mut node = world.start(20).start().unwrap();
    decide(&node.client(), next.end..next.end + 60);
    until("a failure", || metric(&node.client(), "interdict_snapshot_writes_total{result=\"io\"}") > 0);
    decide(&node.client(), next.end + 60..next.end + 70);
    assert!(node.terminate().unwrap().success(), "{}", node.log());
    assert!(node.log().contains("no image of the state was written"), "{}", node.log());
}

/// A folder with two images, the newer at the journal's end.
fn two_images() -> (World, Vec<Value>) {
    let world = World::new();
    let mut given = Vec::new();
    for half in 0..2 {
        let mut node = world.start(1_000_000).start().unwrap();
        given.extend(decide(&node.client(), half * 40..half * 40 + 40));
        assert!(node.terminate().unwrap().success(), "{}", node.log());
    }
    assert_eq!(world.sequences().len(), 2);
    (world, given)
}
/// Starts, and looks that the newest image was refused for a reason and the start came otherwise to the same state.
fn refused(world: &World, given: &[Value], reason: &str, way: &str, more: &[(&str, &str)]) {
    let start = more.iter().fold(world.start(1_000_000), |start, (name, value)| start.env(name, value));
    let node = start.start().unwrap();
    let client = node.client();
    let count = metric(&client, &format!("interdict_snapshot_refused_total{{reason=\"{reason}\"}}"));
    assert!(count > 0 && came_by(&client) == way, "{reason} {count}, {}:\n{}", came_by(&client), node.log());
    assert!(node.log().contains("is not used: "), "{}", node.log());
    assert_eq!(decide(&client, 0..given.len() as u64), given);
}

#[test]
fn an_image_ahead_of_a_journal_that_was_cut_back_is_refused() {
    let (world, given) = two_images();
    let journal = world.data().join("journal");
    let segments = std::fs::read_dir(&journal).unwrap().map(|entry| entry.unwrap().path());
    let last = segments.filter(|path| path.extension().is_some_and(|ext| ext == "seg")).max().unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(last).unwrap();
    // The footer, and some of the last payments: a power loss under `os`.
    file.set_len(file.metadata().unwrap().len() - 2500).unwrap();
    let left = {
        let report = interdict::history::Folder::open(&world.data(), None).unwrap().check().unwrap();
        assert_eq!(report.damage, None);
        report.last_sequence
    };
    assert!(left < world.sequences()[0] && left > world.sequences()[1], "{left}");
    // The first event is the publication.
    refused(&world, &given[..left as usize - 1], "journal", "image", &[]);
    // And where no older one is left, the journal serves.
    let oldest = list(&world.images()).unwrap().pop().unwrap().1;
    std::fs::remove_file(oldest).unwrap();
    refused(&world, &given[..left as usize - 1], "journal", "refused", &[]);
}

#[test]
fn an_image_that_is_damaged_or_of_another_format_engine_or_bounds_is_refused() {
    let (world, given) = two_images();
    let newest = list(&world.images()).unwrap()[0].1.clone();
    let whole = std::fs::read(&newest).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 4;
    write(&newest, &damaged);
    refused(&world, &given, "damaged", "image", &[]);
    write(&newest, &whole[..whole.len() - 1]);
    refused(&world, &given, "damaged", "image", &[]);
    let mut format = whole.clone();
    format[8] += 1;
    let sum = crc32c::crc32c(&format[..12]).to_le_bytes();
    format[12..16].copy_from_slice(&sum);
    write(&newest, &format);
    refused(&world, &given, "other", "image", &[]);
    write(&newest, other_engine(&whole));
    refused(&world, &given, "other", "image", &[]);
    // Other bounds: no image fits, and the start is one from the journal.
    write(&newest, &whole);
    refused(&world, &given, "other", "refused", &[("INTERDICT_FEATURES__LATENESS_S", "1800")]);
    let node = world.start(1_000_000).env("INTERDICT_SNAPSHOT__ENABLED", "false").start().unwrap();
    assert_eq!(came_by(&node.client()), "off");
    assert_eq!(decide(&node.client(), 0..given.len() as u64), given);
}

/// An image as an engine of another version would have written it.
fn other_engine(whole: &[u8]) -> Vec<u8> {
    const AT: usize = 16;
    let mut bytes = whole.to_vec();
    let length = u32::from_le_bytes(bytes[AT..AT + 4].try_into().unwrap()) as usize;
    let version = env!("CARGO_PKG_VERSION").as_bytes();
    let content = AT + 8;
    assert_eq!(&bytes[content + 8..content + 8 + version.len()], version);
    bytes[content + 8] = b'9';
    let sum = crc32c::crc32c(&(AT as u64).to_le_bytes());
    let sum = crc32c::crc32c_append(sum, &bytes[AT..AT + 4]);
    let sum = crc32c::crc32c_append(sum, &bytes[content..content + length]);
    bytes[AT + 4..AT + 8].copy_from_slice(&sum.to_le_bytes());
    bytes
}

#[test]
fn a_backup_takes_the_newest_image_along_or_leaves_it_and_doctor_tells_of_it() {
    let (world, given) = two_images();
    for (more, way) in [(&[][..], "image"), (&["--without-snapshot"], "none")] {
        let (out, again) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let data = world.data();
        let args = ["backup", "--data", text(&data), "--out", text(out.path()), "--with-keys"];
        let done = run(BINARY, &[&args[..], more].concat());
        assert_eq!(done.code, 0, "{}", done.stderr);
        let to = again.path().join("data");
        let done = run(BINARY, &["restore", "--from", text(out.path()), "--data", text(&to)]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        let node = Start::new(BINARY, &world.config, &to).start().unwrap();
        assert_eq!(came_by(&node.client()), way, "{}", node.log());
        assert_eq!(decide(&node.client(), 0..80), given);
        drop(node);
        let done = run(BINARY, &["doctor", "--json", "--data", text(&to)]);
        let rows = done.summary()["rows"].clone();
        let row = rows.as_array().unwrap().iter().find(|row| row["what"] == "start").unwrap().clone();
        let says = if way == "image" { "an image of sequence 81" } else { "no image of the state" };
        assert!(row["found"].as_str().unwrap().starts_with(says), "{row}");
    }
}
