//! Delivery against a real receiver: failures, timeouts, kills, repeats, 410, rotation, order, damage, bounds.
#![allow(clippy::unwrap_used)]

use super::receiver::{Receiver, Reply, is_signed_by, wait_until};
use super::worker::{PAGE_MAX, backoff, gone_path};
use super::*;
use parking_lot::Mutex;
use proptest::prelude::*;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::AtomicUsize;
use tempfile::TempDir;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A journal of notices in memory.
#[derive(Default)]
pub(super) struct Queue {
    notices: Mutex<Vec<Notice>>,
    /// Notices that were handed out.
    handed_out: AtomicUsize,
}
impl Queue {
    /// Notices of the sequences given, two for one that is given twice.
    pub fn of(sequences: &[u64]) -> Arc<Queue> {
        let queue = Arc::new(Queue::default());
        queue.add(sequences);
        queue
    }
    fn add(&self, sequences: &[u64]) {
        let mut notices = self.notices.lock();
        for sequence in sequences {
            let nth = notices.iter().filter(|notice| notice.sequence == *sequence).count() + 1;
            notices.push(Notice {
                id: format!("n-{sequence}-{nth}"),
                sequence: *sequence,
                tenant: if sequence % 2 == 0 { "even" } else { "odd" }.into(),
                kind: if sequence % 3 == 0 { NoticeKind::HoldReleased } else { NoticeKind::HoldPlaced },
                time_ms: 1_700_000_000_000 + *sequence as i64,
                body: json!({"hold": format!("h-{sequence}"), "outcome": "hold"}),
            });
        }
    }
}
impl Source for Queue {
    fn after(&self, sequence: u64, max: usize) -> anyhow::Result<Page> {
        let notices = self.notices.lock();
        let behind: Vec<&Notice> = notices.iter().filter(|notice| notice.sequence > sequence).collect();
        let last = behind.get(max.saturating_sub(1)).or(behind.last()).map(|notice| notice.sequence);
        let Some(last) = last else {
            return Ok(Page { notices: vec![], through: sequence.max(self.newest_of(&notices)) });
        };
        let page: Vec<Notice> = behind.into_iter().filter(|n| n.sequence <= last).cloned().collect();
        self.handed_out.fetch_add(page.len(), Ordering::Relaxed);
        Ok(Page { notices: page, through: last })
    }
    fn newest(&self) -> u64 {
        self.newest_of(&self.notices.lock())
    }
}
impl Queue {
    fn newest_of(&self, notices: &[Notice]) -> u64 {
        notices.last().map_or(0, |notice| notice.sequence)
    }
}

/// A data folder with a secret file.
pub(super) struct Bench {
    pub dir: TempDir,
}
impl Bench {
    pub fn new() -> Bench {
        let bench = Bench { dir: tempfile::tempdir().unwrap() };
        bench.secrets(SECRET);
        bench
    }
    fn secrets(&self, text: &str) {
        let path = self.dir.path().join("secret");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    pub fn webhooks(&self, section: &str) -> anyhow::Result<Webhooks> {
        let section: WebhooksSection = toml::from_str(section).unwrap();
        Webhooks::of(self.dir.path(), &section, &|path| self.dir.path().join(path))
    }
    /// One endpoint, `a`, that tries again after 1 to 2 ms.
    fn start(&self, url: &str, more: &str, queue: &Arc<Queue>) -> (Running, Figures) {
        let webhooks = self.webhooks(&one(url, more)).unwrap();
        let figures = webhooks.figures();
        (webhooks.start(queue.clone()), figures)
    }
    fn cursor(&self) -> Cursor {
        Cursor::of(self.dir.path(), "a")
    }
    fn dead(&self) -> Dead {
        Dead::of(self.dir.path(), "a", 10)
    }
}
fn one(url: &str, more: &str) -> String {
    format!(
        "[endpoints.a]\nurl = \"{url}\"\nsecret_file = \"secret\"\nbackoff_ms = 2\nbackoff_max_s = 1\n{more}\n"
    )
}
fn ids(sequences: impl IntoIterator<Item = u64>) -> Vec<String> {
    sequences.into_iter().map(|sequence| format!("n-{sequence}-1")).collect()
}
fn tries(figures: &Figures, name: &str) -> u64 {
    figures.summaries(0)[0].tries.iter().find(|(tried, _)| *tried == name).unwrap().1
}

#[test]
fn what_fails_is_tried_again_under_the_same_id_and_signed_anew() {
    let (bench, queue) = (Bench::new(), Queue::of(&[5]));
    let receiver = Receiver::start(|_, before| Reply::status(if before < 3 { 503 } else { 204 }));
    let (running, figures) = bench.start(&receiver.url(), "", &queue);
    wait_until("delivered", || bench.cursor().read().unwrap() == Some(5));
    running.end();
    let got = receiver.got();
    assert_eq!(got.iter().map(|got| got.status).collect::<Vec<_>>(), [503, 503, 503, 204]);
    for got in &got {
        assert_eq!((&got.id, &got.body), (&"n-5-1".to_owned(), &got.body));
        assert!(is_signed_by(got, SECRET) && !is_signed_by(got, OLD_SECRET), "{got:?}");
        let mut forged = got.clone();
        forged.body = forged.body.replace("h-5", "h-6");
        assert!(!is_signed_by(&forged, SECRET), "a changed body is seen");
        let mut replayed = got.clone();
        replayed.timestamp = "1".into();
        assert!(!is_signed_by(&replayed, SECRET), "a changed time is seen");
    }
    let expected = r#"{"data":{"hold":"h-5","outcome":"hold"},"sequence":5,"tenant":"odd","timestamp":"2023-11-14T22:13:20.005Z","type":"hold.placed"}"#;
    assert_eq!(got[0].body, expected);
    assert_eq!((tries(&figures, "status"), tries(&figures, "delivered")), (3, 1));
}

#[test]
fn a_receiver_that_is_slower_than_the_timeout_has_not_taken_it() {
    let (bench, queue) = (Bench::new(), Queue::of(&[1]));
    let slow = |_: &_, before: usize| Reply {
        delay: Duration::from_millis(if before == 0 { 3000 } else { 0 }),
        ..Reply::status(200)
    };
    let receiver = Receiver::start(slow);
    // The second try has time enough also where the machine is busy: a timeout then only makes a third.
    let (running, figures) = bench.start(&receiver.url(), "timeout_ms = 500", &queue);
    wait_until("delivered", || tries(&figures, "delivered") == 1);
    assert!(tries(&figures, "timeout") >= 1 && receiver.got().len() >= 2);
    running.end();
}

#[test]
fn a_kill_before_the_cursor_was_written_sends_the_same_again() {
    let (bench, queue) = (Bench::new(), Queue::of(&[1, 2, 3]));
    let receiver = Receiver::start(|_, _| Reply::status(200));
    bench.cursor().write(1).unwrap();
    let (running, _) = bench.start(&receiver.url(), "", &queue);
    wait_until("delivered", || bench.cursor().read().unwrap() == Some(3));
    running.end();
    // As a kill leaves it: delivered, and the file still says 1.
    bench.cursor().write(1).unwrap();
    let (running, _) = bench.start(&receiver.url(), "", &queue);
    wait_until("delivered again", || bench.cursor().read().unwrap() == Some(3));
    running.end();
    let got = receiver.got();
    assert_eq!(receiver.taken(), ids([2, 3, 2, 3]));
    assert_eq!((&got[0].body, &got[1].body), (&got[2].body, &got[3].body), "the same bytes");
    // And after a clean end nothing comes twice.
    let (running, figures) = bench.start(&receiver.url(), "", &queue);
    queue.add(&[4]);
    wait_until("the next", || receiver.got().len() == 5);
    running.end();
    assert_eq!((receiver.taken().last().unwrap().as_str(), tries(&figures, "delivered")), ("n-4-1", 1));
}

#[test]
fn gone_disables_until_it_is_enabled() {
    let (bench, queue) = (Bench::new(), Queue::of(&[1, 2]));
    let receiver = Receiver::start(|_, before| Reply::status(if before == 0 { 410 } else { 200 }));
    let (running, figures) = bench.start(&receiver.url(), "", &queue);
    let mark = gone_path(bench.dir.path(), "a");
    wait_until("disabled", || mark.exists() && !figures.summaries(0)[0].up);
    running.end();
    // A restart does not forget it.
    let (running, figures) = bench.start(&receiver.url(), "", &queue);
    wait_until("looked", || bench.cursor().read().unwrap() == Some(0));
    assert_eq!((receiver.got().len(), figures.summaries(0)[0].lag), (1, 2));
    std::fs::remove_file(mark).unwrap();
    wait_until("all", || bench.cursor().read().unwrap() == Some(2));
    assert!(figures.summaries(0)[0].up);
    running.end();
    assert_eq!(receiver.taken(), ids([1, 2]));
}

#[test]
fn while_a_secret_is_replaced_both_sign() {
    let (bench, queue) = (Bench::new(), Queue::of(&[1]));
    bench.secrets(&format!("{SECRET}\n{OLD_SECRET}\n"));
    let receiver = Receiver::start(|_, _| Reply::status(200));
    let (running, _) = bench.start(&receiver.url(), "", &queue);
    wait_until("delivered", || receiver.got().len() == 1);
    running.end();
    let got = &receiver.got()[0];
    assert_eq!(got.signature.split(' ').count(), 2);
    assert!(is_signed_by(got, SECRET) && is_signed_by(got, OLD_SECRET));
}

#[test]
fn notices_come_in_order_whatever_fails() {
    let sequences: Vec<u64> = (1..=150).collect();
    let (bench, queue) = (Bench::new(), Queue::of(&sequences));
    let receiver = Receiver::start(|_, before| Reply::status(if before % 3 == 1 { 500 } else { 200 }));
    let (running, _) = bench.start(&receiver.url(), "", &queue);
    wait_until("all", || bench.cursor().read().unwrap() == Some(150));
    running.end();
    assert_eq!(receiver.taken(), ids(sequences));
}

#[test]
fn several_at_once_lose_nothing_and_a_split_sequence_is_whole() {
    let sequences: Vec<u64> = (1..=60).flat_map(|n| vec![n; 1 + n as usize % 3]).collect();
    let (bench, queue) = (Bench::new(), Queue::of(&sequences));
    let receiver = Receiver::start(|_, before| Reply::status(if before % 4 == 1 { 500 } else { 200 }));
    let (running, _) = bench.start(&receiver.url(), "in_flight = 4", &queue);
    wait_until("some", || receiver.taken().len() > 20);
    running.end();
    // What was dealt with is never more than what was taken.
    let reached = bench.cursor().read().unwrap().unwrap();
    let taken = receiver.taken();
    let queued = queue.notices.lock().clone();
    assert!(queued.iter().filter(|n| n.sequence <= reached).all(|notice| taken.contains(&notice.id)));
    let (running, _) = bench.start(&receiver.url(), "in_flight = 4", &queue);
    wait_until("all", || bench.cursor().read().unwrap() == Some(60));
    running.end();
    let taken = receiver.taken();
    assert!(queued.iter().all(|notice| taken.contains(&notice.id)));
}

#[test]
fn a_damaged_cursor_is_put_aside_and_it_begins_where_the_configuration_says() {
    for (from, expected) in [("oldest", ids([1, 2, 3])), ("newest", ids([3]))] {
        let (bench, queue) = (Bench::new(), Queue::of(&[1, 2]));
        let receiver = Receiver::start(|_, _| Reply::status(200));
        bench.cursor().write(1).unwrap();
        let path = bench.dir.path().join("webhooks/cursor/a");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace(" 1 ", " 2 ")).unwrap();
        let (running, _) = bench.start(&receiver.url(), &format!("from = \"{from}\""), &queue);
        wait_until("begun", || bench.cursor().read().is_ok_and(|at| at == Some(2)));
        queue.add(&[3]);
        wait_until("all", || bench.cursor().read().unwrap() == Some(3));
        running.end();
        assert_eq!(receiver.taken(), expected, "{from}");
        assert!(path.with_extension("damaged").exists());
    }
}

#[test]
fn a_cursor_ahead_of_the_journal_goes_back_to_it() {
    let (bench, queue) = (Bench::new(), Queue::of(&[1, 2]));
    let receiver = Receiver::start(|_, _| Reply::status(200));
    bench.cursor().write(1000).unwrap();
    let (running, _) = bench.start(&receiver.url(), "", &queue);
    wait_until("gone back", || bench.cursor().read().unwrap() == Some(2));
    queue.add(&[3]);
    wait_until("the next", || bench.cursor().read().unwrap() == Some(3));
    running.end();
    assert_eq!(receiver.taken(), ids([3]));
}

#[test]
fn a_dead_receiver_holds_one_page_and_no_other_endpoint() {
    let sequences: Vec<u64> = (1..=5000).collect();
    let (bench, queue, all) = (Bench::new(), Queue::of(&sequences), Queue::of(&sequences));
    // Nobody listens there: the port was given back.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let more = "attempts_max = 100\nbackoff_max_s = 3600\n";
    let section = one(&format!("http://{closed}/hooks"), "").replace("backoff_max_s = 1\n", more);
    let webhooks = bench.webhooks(&section).unwrap();
    let figures = webhooks.figures();
    let running = webhooks.start(queue.clone());
    let receiver = Receiver::start(|_, _| Reply::status(200));
    let second = one(&receiver.url(), "kinds = [\"hold.released\"]\ntenants = [\"even\"]")
        .replace("endpoints.a", "endpoints.b");
    let healthy = bench.webhooks(&second).unwrap();
    let figures_b = healthy.figures();
    let running_b = healthy.start(all.clone());
    let wanted: Vec<u64> = sequences.iter().copied().filter(|n| n % 6 == 0).collect();
    wait_until("the other has all", || figures_b.summaries(0)[0].lag == 0);
    wait_until("tried", || tries(&figures, "failed") > 3);
    assert_eq!(receiver.taken(), ids(wanted), "only its tenants and kinds, and in order");
    let summary = &figures.summaries(1_700_000_060_001)[0];
    assert_eq!((summary.lag, summary.oldest_age_ms), (5000, 60_000));
    assert_eq!(queue.handed_out.load(Ordering::Relaxed), PAGE_MAX);
    running.end();
    running_b.end();
}

#[test]
fn what_is_given_up_is_a_dead_letter_and_the_next_goes_on() {
    let (bench, queue) = (Bench::new(), Queue::of(&[1, 2, 3]));
    let receiver = Receiver::start(|got, _| Reply::status(if got.id == "n-2-1" { 400 } else { 200 }));
    let (running, figures) = bench.start(&receiver.url(), "attempts_max = 3", &queue);
    wait_until("all", || bench.cursor().read().unwrap() == Some(3));
    running.end();
    assert_eq!(receiver.taken(), ids([1, 3]));
    let letters = bench.dead().read().unwrap();
    let (path, letter) = &letters[0];
    assert_eq!(
        (letters.len(), letter.attempts, letter.last.as_str(), letter.id.as_str()),
        (1, 3, "400", "n-2-1")
    );
    assert_eq!(letter.notice().unwrap(), queue.notices.lock()[1]);
    assert_eq!(figures.summaries(0)[0].dead, 1);
    assert!(path.ends_with("webhooks/dead/a/00000000000000000002-n-2-1.json"), "{}", path.display());
    // By hand, to a receiver that has come to its senses.
    let mended = Receiver::start(|_, _| Reply::status(200));
    let webhooks = bench.webhooks(&one(&mended.url(), "")).unwrap();
    assert_eq!(webhooks.figures().summaries(0)[0].dead, 1, "a start counts those that are there");
    let answer = webhooks.send_once("a", &letter.notice().unwrap()).unwrap();
    assert_eq!((answer, mended.taken()), (client::Answer::Delivered, ids([2])));
    assert_eq!(mended.got()[0].body, receiver.got()[1].body, "the same bytes as before");
    assert!(is_signed_by(&mended.got()[0], SECRET));
}

#[test]
fn with_no_room_for_dead_letters_the_endpoint_waits() {
    let (bench, queue) = (Bench::new(), Queue::of(&[1, 2, 3]));
    let mended = Arc::new(AtomicBool::new(false));
    let says = mended.clone();
    let receiver =
        Receiver::start(move |_, _| Reply::status(if says.load(Ordering::Relaxed) { 200 } else { 500 }));
    let section = one(&receiver.url(), "attempts_max = 1").replace("backoff_max_s = 1\n", "");
    let webhooks = bench.webhooks(&format!("dead_max = 1\n{section}")).unwrap();
    let running = webhooks.start(queue.clone());
    wait_until("waits", || receiver.got().len() > 4);
    assert_eq!(bench.dead().count().unwrap(), 1);
    mended.store(true, Ordering::Relaxed);
    wait_until("all", || bench.cursor().read().unwrap() == Some(3));
    running.end();
    assert_eq!(receiver.taken(), ids([2, 3]), "nothing was lost: 1 is a letter");
}

#[test]
fn redirects_are_not_followed() {
    let (bench, queue) = (Bench::new(), Queue::of(&[1]));
    let elsewhere = Receiver::start(|_, _| Reply::status(200));
    let location = format!("location: {}\r\n", elsewhere.url());
    let receiver = Receiver::start(move |_, before| {
        let status = [301, 302, 307, 308].get(before).copied().unwrap_or(200);
        Reply { headers: location.clone(), ..Reply::status(status) }
    });
    let (running, _) = bench.start(&receiver.url(), "", &queue);
    wait_until("delivered", || bench.cursor().read().unwrap() == Some(1));
    running.end();
    assert_eq!((receiver.got().len(), elsewhere.got().len()), (5, 0));
}

#[test]
fn a_receiver_may_ask_to_be_left_alone_for_a_time() {
    let client = |headers: &'static str, status| {
        let receiver =
            Receiver::start(move |_, _| Reply { headers: headers.into(), ..Reply::status(status) });
        let client =
            Client::new(&receiver.url(), Secrets::parse(SECRET).unwrap(), Duration::from_secs(30), 1, None);
        client.post("n-1", b"{}", 1)
    };
    let wait = |s| Some(Duration::from_secs(s));
    assert_eq!(client("retry-after: 7\r\n", 429), client::Answer::Status(429, wait(7)));
    assert_eq!(client("retry-after: 99999999\r\n", 503), client::Answer::Status(503, wait(86_400)));
    assert_eq!(
        client("retry-after: Fri, 31 Dec 1999 23:59:59 GMT\r\n", 503),
        client::Answer::Status(503, None)
    );
}

#[test]
fn a_wrong_secret_file_is_told_at_start_by_its_endpoint() {
    let bench = Bench::new();
    bench.secrets("whsec_short");
    let error = format!("{:#}", bench.webhooks(&one("http://127.0.0.1:1/", "")).err().unwrap());
    assert!(
        error.contains("webhooks.endpoints.a") && error.contains("secret") && !error.contains("short"),
        "{error}"
    );
    let missing = "[endpoints.b]\nurl = \"http://127.0.0.1:1/\"\nsecret_env = \"INTERDICT_TEST_NO_SUCH\"\n";
    let error = format!("{:#}", bench.webhooks(missing).err().unwrap());
    assert!(error.contains("INTERDICT_TEST_NO_SUCH"), "{error}");
}

proptest! {
    /// Never less than half of what it doubled to, never more than that or the bound.
    #[test]
    fn waits_double_up_to_their_bound(first in 1u64..10_000, most in 1u64..100_000, attempts in 1u32..200, random: u32) {
        let wait = backoff(Duration::from_millis(first), Duration::from_millis(most), attempts, random);
        let doubled = (u128::from(first) << attempts.saturating_sub(1).min(30)).min(u128::from(most));
        prop_assert!(wait.as_nanos() >= doubled * 500_000 && wait.as_nanos() <= doubled * 1_000_000);
    }
}
