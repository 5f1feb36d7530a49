//! Asking the hub for exact tags of identifiers that it does not see: signed, checked against the epoch's key, and the
//! promise kept before the tags are used.

use super::promises;
use super::session::{Session, now_ms};
use anyhow::{Context, Result, bail};
use interdict_consortium::epoch::Manifest;
use interdict_consortium::kind::Kind;
use interdict_consortium::limits::EVALUATE_ITEMS_MAX;
use interdict_consortium::note::Note;
use interdict_consortium::query::{Opening, Promise, Request, Service, hash};
use interdict_consortium::tag::oblivious::{Blinded, ServiceKey, answer_bytes};
use interdict_consortium::tag::random::Random;

/// Most bytes of an answer behind the evaluations: a promise and an opening.
const REST_BYTES_MAX: usize = 16 << 10;

/// Exact tags, in order, of a batch of identifiers in their canonical spelling, and the index of the query's leaf. `epoch` is the one that
/// the member holds; without one (a first contribution) the newest tag key is asked for.
///
/// # Errors
/// No hub, or one that refuses; an answer whose proof or promise does not hold: nothing of it is used.
pub fn exact_tags(
    session: &mut Session,
    epoch: Option<&Manifest>,
    items: &[(Kind, &str)],
) -> Result<(Vec<u128>, u64)> {
    if items.len() > EVALUATE_ITEMS_MAX {
        bail!("{} identifiers in a batch, limit {EVALUATE_ITEMS_MAX}", items.len());
    }
    let (number, key) =
        match epoch.and_then(|manifest| Some((manifest.number, manifest.tag_keys.last()?.voprf))) {
            Some((number, key)) => (u32::try_from(number)?, key),
            None => {
                let newest = session.registry()?.tag_key().context("the alliance has no tag key yet")?;
                (0, newest.key.voprf)
            }
        };
    let mut fill = |bytes: &mut [u8]| getrandom::fill(bytes).expect("the system has randomness");
    let blinded = Blinded::new(items.iter().copied(), &mut Random::new(&mut fill))?;
    let (response, leaf) = evaluate(session, number, items.len(), &blinded.request(number))?;
    let tags = blinded.finish(&response, &ServiceKey::from_bytes(&key)?)?;
    Ok((tags, leaf))
}

/// The tag service's answer to so many blinded identifiers, `asked` as they are sent, and the index of the query's leaf. The
/// request is signed, the promise checked and kept; the answer's proof is for who has blinded to check. `epoch` 0: none is
/// held yet.
///
/// # Errors
/// No hub, or one that refuses; a promise that does not hold.
pub fn evaluate(session: &mut Session, epoch: u32, items: usize, asked: &[u8]) -> Result<(Vec<u8>, u64)> {
    let client = session.client()?;
    let registry = session.registry()?;
    let request = Request {
        log: registry.operator().logs.queries.name().to_owned(),
        member: session.id()?,
        epoch,
        service: Service::Confirm,
        items: u32::try_from(items)?,
        body: hash(asked),
        time_ms: now_ms(),
    };
    let mut note = Note::new(request.encode()?)?;
    note.sign(&session.folder.sign_key()?);
    let encoded = note.encode();
    let mut body = (encoded.len() as u32).to_be_bytes().to_vec();
    body.extend_from_slice(encoded.as_bytes());
    body.extend_from_slice(asked);
    let expected = answer_bytes(items);
    let answer = client.post("evaluate", &body, (expected + REST_BYTES_MAX) as u64)?;
    let cut = "the hub's answer is cut";
    let (response, rest) = answer.split_at_checked(expected).context(cut)?;
    let (length, rest) = rest.split_first_chunk::<4>().context(cut)?;
    let (promised, opening) = rest.split_at_checked(u32::from_be_bytes(*length) as usize).context(cut)?;
    let (promised, opening) = (Note::parse(promised)?, Opening::decode(opening)?);
    let promise = Promise::verify(&promised, std::slice::from_ref(&registry.operator().logs.queries))?;
    promise.check(&note, response, &opening)?;
    if opening.query.items != request.items || opening.query.member != request.member {
        bail!("the hub records another query than the one that was asked");
    }
    promises::keep(&session.promises, &promise, &promised, Some(&opening))?;
    Ok((response.to_vec(), promise.index))
}
