//! Confirmation against a real tag service, over lost, late, repeated and forged answers: every ask ends exactly once,
//! in time, with the tag that direct evaluation gives or a default that says why; and nothing of identifiers stays.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::tag::keyed::TagKey;
use crate::tag::oblivious::{Service, read_request};
use proptest::prelude::*;

fn settings() -> Settings {
    Settings {
        answers_max: 64,
        portfolio_max: 8,
        waiting_max: 16,
        batch_max: 4,
        in_flight_max: 2,
        gather_ms: 5,
        late_ms: 100,
        answer_ms: 40,
        retries_max: 1,
        retry_ms: 10,
    }
}

fn service(byte: u8) -> Service {
    Service::from_seed(&[byte; 32]).unwrap()
}

fn epoch(epoch: u32, tag_version: u32, service: &Service) -> EpochKeys {
    EpochKeys { epoch, tag_version, service: *service.public() }
}

fn with_random<T>(act: impl FnOnce(&mut Random<'_>) -> T) -> T {
    let mut fill = |bytes: &mut [u8]| getrandom::fill(bytes).unwrap();
    act(&mut Random::new(&mut fill))
}

fn confirmer(service: &Service) -> Confirmer {
    let mut confirmer = Confirmer::new(settings()).unwrap();
    assert_eq!(confirmer.set_epoch(epoch(10, 1, service)), []);
    confirmer
}

/// Asks about a card under version 1 or another of the tag key.
fn ask_under(confirmer: &mut Confirmer, version: u32, ask: u64, card: &str, now_ms: u64) -> Asked {
    let tag = TagKey::new(version, &[3; 32]).tag(Kind::Card, card) ^ u128::from(version);
    confirmer.ask(ask, Kind::Card, card, (version, tag), now_ms)
}

fn ask(confirmer: &mut Confirmer, ask: u64, card: &str, now_ms: u64) -> Asked {
    ask_under(confirmer, 1, ask, card, now_ms)
}

fn batch(confirmer: &mut Confirmer, now_ms: u64) -> Option<Batch> {
    with_random(|random| confirmer.next_batch(now_ms, random))
}

fn evaluate(service: &Service, batch: &Batch) -> Vec<u8> {
    let (_, elements) = read_request(&batch.body).unwrap();
    with_random(|random| service.evaluate(elements, random)).unwrap()
}

/// The exact tag by a batch of one, outside of any confirmer.
fn exact(service: &Service, card: &str) -> u128 {
    let blinded = with_random(|random| Blinded::new([(Kind::Card, card)], random)).unwrap();
    let answer = with_random(|random| service.evaluate(blinded.elements(), random)).unwrap();
    blinded.finish(&answer, service.public()).unwrap()[0]
}

fn is_exact(service: &Service, card: &str) -> Confirmed {
    Confirmed::Exact { tag: exact(service, card), service: *service.public().bytes() }
}

fn default(ask: u64, why: Why) -> Outcome {
    Outcome { ask, confirmed: Confirmed::Default(why) }
}

/// No identifier, nor anybody who waits, is left.
fn assert_forgotten(confirmer: &Confirmer) {
    assert!(confirmer.open.is_empty() && confirmer.late.is_empty() && confirmer.flights.is_empty());
    assert!(confirmer.versions.values().all(|version| version.queue.is_empty()));
}

#[test]
fn a_batch_gathers_is_answered_and_is_known_from_then_on() {
    let service = service(1);
    let mut confirmer = confirmer(&service);
    assert_eq!(ask(&mut confirmer, 1, "4111", 1000), Asked::Waits);
    assert_eq!(ask(&mut confirmer, 2, "4222", 1002), Asked::Waits);
    assert_eq!(ask(&mut confirmer, 3, "4111", 1003), Asked::Waits, "shares the place of the first");
    assert_eq!(confirmer.next_due_ms(), Some(1005));
    assert_eq!(batch(&mut confirmer, 1004), None, "still gathering");
    let sent = batch(&mut confirmer, 1005).unwrap();
    assert_eq!((sent.items, read_request(&sent.body).unwrap().0), (2, 10));
    assert_eq!(ask(&mut confirmer, 4, "4222", 1006), Asked::Waits, "on its way already");
    assert_eq!(batch(&mut confirmer, 1050), None);

    let (mut outcomes, wrong) = confirmer.answered(sent.number, &evaluate(&service, &sent), 1020).unwrap();
    outcomes.sort_by_key(|outcome| outcome.ask);
    let expected = [(1, "4111"), (2, "4222"), (3, "4111"), (4, "4222")];
    let expected = expected.map(|(ask, card)| Outcome { ask, confirmed: is_exact(&service, card) });
    assert_eq!((outcomes.as_slice(), wrong), (&expected[..], None));
    assert_forgotten(&confirmer);
    assert_eq!(ask(&mut confirmer, 5, "4111", 1030), Asked::Known(is_exact(&service, "4111")));
    assert_eq!((confirmer.cached(), confirmer.next_due_ms(), confirmer.tick(9999)), (2, None, vec![]));
    let counts = Counts { asked: 5, cached: 1, evaluated: 2, sent: 1, ..Counts::default() };
    assert_eq!(confirmer.counts(), counts);
    assert_eq!(confirmer.answered(sent.number, &[], 1).unwrap_err().kind, ErrorKind::NotFound);
}

#[test]
fn a_full_batch_goes_at_once_and_what_finds_no_room_gets_the_default() {
    let service = service(1);
    let mut confirmer = confirmer(&service);
    for n in 0..16 {
        assert_eq!(ask(&mut confirmer, n, &format!("{n:016}"), 0), Asked::Waits);
    }
    assert_eq!(ask(&mut confirmer, 16, "4111", 0), Asked::Known(Confirmed::Default(Why::Full)));
    let first = batch(&mut confirmer, 0).unwrap();
    assert!(first.items == 4 && batch(&mut confirmer, 0).is_some());
    assert_eq!(batch(&mut confirmer, 0), None, "two in flight are the limit");
    confirmer.answered(first.number, &evaluate(&service, &first), 1).unwrap();
    assert!(batch(&mut confirmer, 1).is_some());
    assert_eq!(ask(&mut confirmer, 17, "", 1), Asked::Known(Confirmed::Default(Why::Identifier)));
    let none = ask_under(&mut confirmer, 2, 18, "4111", 1);
    assert_eq!(none, Asked::Known(Confirmed::Default(Why::Version)));
}

#[test]
fn a_batch_without_an_answer_is_sent_again_with_the_same_bytes_and_then_given_up() {
    let service = service(1);
    let mut confirmer = confirmer(&service);
    ask(&mut confirmer, 1, "4111", 0);
    let first = batch(&mut confirmer, 5).unwrap();
    assert_eq!(confirmer.tick(44), []);
    assert_eq!(confirmer.tick(45), [], "has failed, and waits to be sent again");
    assert_eq!((batch(&mut confirmer, 54), confirmer.next_due_ms()), (None, Some(55)));
    let again = batch(&mut confirmer, 55).unwrap();
    assert_eq!(again, first);
    assert_eq!(confirmer.failed(again.number, 60).unwrap(), [default(1, Why::Failed)]);
    assert_forgotten(&confirmer);
    let counts = confirmer.counts();
    assert_eq!((counts.sent, counts.sent_again, counts.failed), (2, 1, 1));
}

#[test]
fn what_is_late_gets_the_default_and_its_answer_is_of_use_still() {
    let service = service(1);
    let mut confirmer = confirmer(&service);
    ask(&mut confirmer, 1, "4111", 0);
    let sent = batch(&mut confirmer, 90).unwrap();
    ask(&mut confirmer, 2, "4222", 95);
    assert_eq!(confirmer.tick(99), []);
    assert_eq!(confirmer.tick(100), [default(1, Why::Late)]);
    assert_eq!(confirmer.tick(200), [default(2, Why::Late)], "and its identifier is dropped, unsent");
    assert_eq!(batch(&mut confirmer, 200), None);
    // The first one's batch failed by then: nobody waits for it, so it is not sent again.
    assert_forgotten(&confirmer);
    assert_eq!(confirmer.answered(sent.number, &[], 200).unwrap_err().kind, ErrorKind::NotFound);

    ask(&mut confirmer, 3, "4333", 300);
    let sent = batch(&mut confirmer, 390).unwrap();
    assert_eq!(confirmer.tick(400), [default(3, Why::Late)]);
    assert_eq!(confirmer.answered(sent.number, &evaluate(&service, &sent), 410).unwrap(), (vec![], None));
    assert_eq!(ask(&mut confirmer, 4, "4333", 411), Asked::Known(is_exact(&service, "4333")));
    assert_forgotten(&confirmer);
}

#[test]
fn an_answer_that_does_not_hold_is_told_and_trusted_in_nothing() {
    let (ours, other) = (service(1), service(2));
    let mut confirmer = confirmer(&ours);
    for (answer, kind) in [(Some(&other), ErrorKind::Corrupt), (None, ErrorKind::Malformed)] {
        ask(&mut confirmer, 1, "4111", 0);
        let sent = batch(&mut confirmer, 5).unwrap();
        let answer = answer.map_or(vec![0; 7], |service| evaluate(service, &sent));
        let (outcomes, wrong) = confirmer.answered(sent.number, &answer, 6).unwrap();
        assert_eq!((outcomes, wrong.unwrap().kind), (vec![default(1, Why::Refused)], kind));
        assert_forgotten(&confirmer);
        assert_eq!(confirmer.cached(), 0);
        confirmer.now_ms = 0;
    }
}

#[test]
fn two_versions_of_the_tag_key_are_alive() {
    let (old, new) = (service(1), service(2));
    let mut confirmer = confirmer(&old);
    confirmer.set_epoch(epoch(11, 2, &old));
    for (ask, version) in [(1, 1), (2, 2)] {
        assert_eq!(ask_under(&mut confirmer, version, ask, "4111", 0), Asked::Waits);
    }
    let sent = [batch(&mut confirmer, 5).unwrap(), batch(&mut confirmer, 5).unwrap()];
    let epochs = sent.each_ref().map(|batch| read_request(&batch.body).unwrap().0);
    assert_eq!(epochs, [10, 11], "each asks under its own epoch");
    for batch in &sent {
        let (outcomes, _) = confirmer.answered(batch.number, &evaluate(&old, batch), 6).unwrap();
        assert_eq!(outcomes[0].confirmed, is_exact(&old, "4111"));
    }
    // The portfolio's exact tags outlive a rotation of the tag key: they are carried over.
    let tag = |version: u32| TagKey::new(version, &[3; 32]).tag(Kind::Card, "4111") ^ u128::from(version);
    let known = confirmer.known(2, tag(2)).unwrap();
    ask_under(&mut confirmer, 1, 3, "4999", 7);
    let gone = confirmer.set_epoch(epoch(12, 3, &old));
    assert_eq!(gone, [default(3, Why::Version)], "version 1 is no longer alive");
    assert_eq!(confirmer.versions().collect::<Vec<_>>(), [2, 3]);
    confirmer.prime(3, tag(3), known).unwrap();
    assert_eq!(ask_under(&mut confirmer, 3, 4, "4111", 8), Asked::Known(is_exact(&old, "4111")));
    assert_eq!(confirmer.prime(1, 1, 1).unwrap_err().kind, ErrorKind::NotFound);

    // Another key of the service makes other exact tags: what is known is dropped, what is on its way says whose it is.
    ask_under(&mut confirmer, 3, 5, "4222", 9);
    let sent = batch(&mut confirmer, 20).unwrap();
    confirmer.set_epoch(epoch(13, 3, &new));
    assert_eq!(confirmer.known(3, tag(3)), None);
    let (outcomes, _) = confirmer.answered(sent.number, &evaluate(&old, &sent), 21).unwrap();
    assert_eq!(outcomes, [Outcome { ask: 5, confirmed: is_exact(&old, "4222") }]);
    assert_eq!(ask_under(&mut confirmer, 3, 6, "4222", 22), Asked::Waits, "and is not kept for the new one");
}

/// What happens next to the confirmer.
#[derive(Debug, Clone)]
enum Step {
    Ask(u8),
    Pass(u64),
    /// The batch in flight at this place: answered, lost, answered with another's proof.
    Answer(usize),
    Fail(usize),
    Forge(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u8..40).prop_map(Step::Ask),
        4 => (0u64..40).prop_map(Step::Pass),
        2 => (0usize..4).prop_map(Step::Answer),
        1 => (0usize..4).prop_map(Step::Fail),
        1 => (0usize..4).prop_map(Step::Forge),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn every_ask_ends_once_in_time_and_rightly(steps in prop::collection::vec(step(), 1..80)) {
        let (ours, other) = (service(1), service(2));
        let right: Vec<Confirmed> = (0..40).map(|card| is_exact(&ours, &format!("{card:016}"))).collect();
        let mut confirmer = confirmer(&ours);
        // By ask: its card and when it was asked; and what came of it.
        let (mut asked, mut ended) = (Vec::<(u8, u64)>::new(), BTreeMap::<u64, Confirmed>::new());
        let (mut in_flight, mut now_ms) = (Vec::<Batch>::new(), 0u64);
        let drain = [Step::Pass(1000), Step::Pass(1000), Step::Pass(1000), Step::Pass(1000)];
        for step in steps.into_iter().chain(drain) {
            let mut outcomes = Vec::new();
            match step {
                Step::Ask(card) => {
                    let number = asked.len() as u64;
                    asked.push((card, now_ms));
                    if let Asked::Known(confirmed) = ask(&mut confirmer, number, &format!("{card:016}"), now_ms) {
                        outcomes.push(Outcome { ask: number, confirmed });
                    }
                }
                Step::Pass(ms) => now_ms += ms,
                Step::Answer(n) | Step::Fail(n) | Step::Forge(n) if n >= in_flight.len() => {}
                Step::Answer(n) => {
                    let batch = in_flight.remove(n);
                    if let Ok((got, wrong)) = confirmer.answered(batch.number, &evaluate(&ours, &batch), now_ms) {
                        prop_assert_eq!(wrong, None);
                        outcomes.extend(got);
                    }
                }
                Step::Forge(n) => {
                    let batch = in_flight.remove(n);
                    if let Ok((got, wrong)) = confirmer.answered(batch.number, &evaluate(&other, &batch), now_ms) {
                        prop_assert!(wrong.is_some());
                        outcomes.extend(got);
                    }
                }
                Step::Fail(n) => outcomes.extend(confirmer.failed(in_flight.remove(n).number, now_ms).unwrap_or_default()),
            }
            outcomes.extend(confirmer.tick(now_ms));
            while let Some(batch) = batch(&mut confirmer, now_ms) {
                prop_assert!(batch.items <= 4);
                in_flight.retain(|old| old.number != batch.number);
                in_flight.push(batch);
            }
            for Outcome { ask, confirmed } in outcomes {
                let (card, at_ms) = asked[ask as usize];
                prop_assert!(ended.insert(ask, confirmed).is_none(), "ask {} ended twice", ask);
                match confirmed {
                    Confirmed::Exact { .. } => prop_assert_eq!(confirmed, right[usize::from(card)]),
                    Confirmed::Default(Why::Late) => prop_assert!(now_ms - at_ms >= 100),
                    Confirmed::Default(_) => {}
                }
            }
            for (ask, (_, at_ms)) in (0u64..).zip(&asked) {
                prop_assert!(ended.contains_key(&ask) || now_ms < at_ms + 100, "ask {} is overdue", ask);
            }
            prop_assert!(confirmer.waiting() <= 16 && confirmer.flights.len() <= 2 && confirmer.cached() <= 64);
            prop_assert_eq!(confirmer.waiting() + ended.len(), asked.len());
        }
        assert_forgotten(&confirmer);
    }
}

#[test]
fn settings_that_could_never_send_are_refused() {
    for (batch_max, in_flight_max) in [(0, 1), (EVALUATE_ITEMS_MAX + 1, 1), (1, 0)] {
        let refused = Confirmer::new(Settings { batch_max, in_flight_max, ..settings() });
        assert_eq!(refused.unwrap_err().kind, ErrorKind::Invalid);
    }
    assert!(Confirmer::new(Settings::default()).is_ok());
}
