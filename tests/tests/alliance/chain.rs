//! From founding to receipts: admission by quorum, a contribution, an epoch that two members rebuild, its use by a third, a
//! query and its proof.

use super::world::World;
use serde_json::json;

#[test]
fn from_admission_to_a_receipt() {
    let mut world = World::founded();
    // A fourth bank applies; one sponsor is not a quorum of three, two are.
    world.member("d");
    world.join("d");
    world.apply("d");
    let refused = world.run(&["consortium", "sync", "--json", "--folder", &world.text("d")]).unwrap_err();
    assert!(refused.contains("checkpoint"), "a certificate that is in no record: {refused}");
    let (folder, application) = (world.text("a"), world.text("d.application"));
    let admitted = world.ok(&["consortium", "member", "admit", "--json", "--folder", &folder, &application]);
    assert_eq!(admitted["pending"], json!(true), "{admitted}");
    let list = world.ok(&["consortium", "member", "list", "--json", "--folder", &world.text("b")]);
    assert_eq!(list["pending"][0]["type"], "admission", "{list}");
    let approved = world.approve("b");
    assert!(approved["signed"][0]["answer"]["leaf"].is_u64(), "{approved}");
    world.sync("d");
    // A signal of each privacy level.
    let csv = "kind,value,reason,severity\ncard,4111111111111111,card_stolen,90\nip,203.0.113.9,bot,\nname,Olaf Scholze,money_laundering,80\n";
    let done = world.contribute("a", csv);
    assert_eq!((&done["number"], &done["rows"], &done["asked"]), (&json!(1), &json!(3), &json!(1)), "{done}");
    world.until_epoch(1, &["d", "a", "b", "c"]);
    let mut listed =
        world.confirm("d", "kind,value\ncard,4111111111111111\ncard,4000000000000002\nip,203.0.113.9\n");
    world.until("the card is in an epoch", || {
        ["a", "b", "c", "d"].iter().for_each(|name| drop(world.sync(name)));
        listed = world.confirm("d", "kind,value\ncard,4111111111111111\ncard,4000000000000002\n");
        listed["listed"][0]["reason"] == "card_stolen"
    });
    assert_eq!(listed["listed"][0]["severity"], 90, "{listed}");
    assert!(listed["listed"][1].is_null(), "{listed}");
    // Receipts follow once witnesses have cosigned, and are checked without folder or hub.
    let leaf = listed["leaves"][0].as_u64().unwrap();
    let receipt = world.path(&format!("d/receipts/{leaf}.tlog-proof"));
    world.until("the receipt is there", || {
        ["a", "b", "d"].iter().for_each(|name| drop(world.sync(name)));
        receipt.exists()
    });
    assert!(world.end(), "the hub ends well");
    let policy = world.text("a/alliance.policy");
    let verify =
        ["consortium", "receipt", "verify", "--json", receipt.to_str().unwrap(), "--policy", &policy];
    let checked = world.ok(&verify);
    assert_eq!((&checked["items"], &checked["leaf"]), (&json!(2), &json!(leaf)), "{checked}");
    assert!(checked["witnesses"].as_array().unwrap().len() >= 2, "{checked}");
    let bytes = std::fs::read(&receipt).unwrap();
    let at = String::from_utf8_lossy(&bytes).find("extra ").unwrap() + 12;
    let mut changed = bytes.clone();
    changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
    std::fs::write(&receipt, changed).unwrap();
    assert!(world.run(&verify).is_err(), "a receipt with one changed letter");
    // The identifiers have reached neither the hub's folder nor its log.
    let found = std::process::Command::new("grep")
        .args(["-rl", "4111111111111111", &world.text("hub")])
        .output()
        .unwrap();
    assert!(found.stdout.is_empty(), "{}", String::from_utf8_lossy(&found.stdout));
}
