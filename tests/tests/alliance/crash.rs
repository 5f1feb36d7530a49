//! A hub that is killed, copied, or dishonest: nothing that was promised is lost, no second history begins, and what is
//! dropped is noticed by whom it was promised to.

use super::world::{World, copy};
use interdict::alliance::member::promises::encode;
use interdict_consortium::keys::SignerKey;
use interdict_consortium::kind::MemberId;
use interdict_consortium::note::Note;
use interdict_consortium::query::{Opening, Promise, Query, Service};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const CARDS: &str = "kind,value\ncard,4111111111111111\n";

#[test]
fn a_killed_hub_forks_nothing_and_keeps_what_it_promised() {
    let mut world = World::founded();
    world.contribute("a", "kind,value,reason\nip,203.0.113.9,bot\n");
    world.until_epoch(1, &["a", "b", "c"]);
    for _ in 0..2 {
        let (is_over, answered) = (AtomicBool::new(false), AtomicU64::new(0));
        std::fs::write(world.path("load.csv"), CARDS).unwrap();
        let (folders, file) = ([world.text("a"), world.text("b")], world.text("load.csv"));
        std::thread::scope(|scope| {
            for folder in &folders {
                let (world, file, is_over, answered) = (&world, &file, &is_over, &answered);
                scope.spawn(move || {
                    while !is_over.load(Ordering::Relaxed) {
                        if world.run(&["consortium", "confirm", "--json", "--folder", folder, file]).is_ok() {
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
            world.until("queries were answered", || answered.load(Ordering::Relaxed) > 5);
            // SIGKILL under load.
            let pid = world.pid().to_string();
            assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
            is_over.store(true, Ordering::Relaxed);
        });
        world.kill();
        world.serve();
        world.until("all promises are kept", || {
            // Both, each time: a receipt waits for two witnesses.
            let waiting = ["a", "b"].map(|name| {
                let synced = world.sync(name);
                assert_eq!(synced["promises_broken"], serde_json::json!([]), "{synced}");
                synced["promises_waiting"].as_u64()
            });
            waiting == [Some(0), Some(0)]
        });
        let count = |name: &str| std::fs::read_dir(world.path(name).join("receipts")).unwrap().count() as u64;
        assert!(count("a") + count("b") >= answered.load(Ordering::Relaxed), "a receipt for each answer");
    }
}

#[test]
fn a_copy_goes_on_only_where_it_has_all_that_members_have_seen() {
    let mut world = World::founded();
    world.confirm_first();
    let (hub, old, new) = (world.path("hub"), world.path("old"), world.path("new"));
    world.copy_hub(&old);
    world.contribute("b", "kind,value,reason\nip,203.0.113.10,bot\n");
    world.sync("a");
    world.copy_hub(&new);
    world.kill();
    // The older copy in the hub's place: a start is refused, and so is resuming with what a member has seen.
    std::fs::remove_dir_all(&hub).unwrap();
    copy(&old, &hub);
    let config = world.text("hub.toml");
    let refused = world.run(&["hub", "serve", "--config", &config]).unwrap_err();
    assert!(refused.contains("copied or restored"), "{refused}");
    let seen = [world.text("a/governance/checkpoint"), world.text("a/queries/checkpoint")];
    let resume = ["hub", "resume", "--json", "--config", &config, "--seen", &seen[0], "--seen", &seen[1]];
    let refused = world.run(&resume).unwrap_err();
    assert!(refused.contains("older than what a member has seen"), "{refused}");
    // The newer one has all of it, and goes on.
    std::fs::remove_dir_all(&hub).unwrap();
    copy(&new, &hub);
    world.ok(&resume);
    world.serve();
    world.contribute("c", "kind,value,reason\nip,203.0.113.11,bot\n");
    for name in ["a", "b", "c"] {
        let synced = world.sync(name);
        assert_eq!(synced["promises_broken"], serde_json::json!([]), "{synced}");
    }
    // Had somebody vouched for the older copy all the same, the first member to sync would stop it.
    world.kill();
    std::fs::remove_dir_all(&hub).unwrap();
    copy(&old, &hub);
    std::fs::remove_file(hub.join("place")).unwrap();
    let own = [world.text("hub/governance/checkpoint"), world.text("hub/queries/checkpoint")];
    world.ok(&["hub", "resume", "--json", "--config", &config, "--seen", &own[0], "--seen", &own[1]]);
    world.serve();
    let refused = world.run(&["consortium", "sync", "--json", "--folder", &world.text("a")]).unwrap_err();
    assert!(refused.contains("held is"), "{refused}");
    world.until("the hub has stopped", || world.get("/readyz").is_none());
}

#[test]
fn a_query_that_the_hub_drops_is_noticed() {
    let world = World::founded();
    // What a dishonest hub would do: sign a promise, and write no leaf.
    let key = std::fs::read_to_string(world.path("hub/keys/queries.key")).unwrap();
    let key = SignerKey::parse(&key).unwrap();
    let query = Query {
        member: MemberId(1),
        epoch: 0,
        service: Service::Confirm,
        items: 1,
        request: [1; 32],
        response: [2; 32],
        time_ms: 1,
    };
    let opening = Opening { salt: [3; 16], query };
    let promise = Promise::new(key.verifier().name(), 500, &opening, 1_000);
    let mut note = Note::new(promise.encode().unwrap()).unwrap();
    note.sign(&key);
    std::fs::create_dir_all(world.path("a/promises")).unwrap();
    std::fs::write(world.path("a/promises/queries-500"), encode(&note, Some(&opening))).unwrap();
    let told = world.run(&["consortium", "sync", "--json", "--folder", &world.text("a")]).unwrap_err();
    assert!(told.contains("leaf 500") && told.contains("is not there"), "{told}");
    assert!(world.path("a/promises/broken/queries-500").exists());
}
