//! The exact tag: the first 128 bits of a VOPRF (RFC 9497, ristretto255-SHA512, verifiable mode) over kind and
//! identifier. The service evaluates without seeing the identifier, the member gets nothing but the output, and the
//! proof shows that it was made under the key of the epoch's manifest. Batches of up to 256 with one proof.

use super::keyed::check_canonical;
use super::random::Random;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::kind::Kind;
use crate::limits::EVALUATE_ITEMS_MAX;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use voprf::{BlindedElement, EvaluationElement, Group, Proof, Ristretto255, VoprfClient, VoprfServer};
use zeroize::Zeroizing;

/// Bytes of a group element (RFC 9496): of a blinded identifier, of its evaluation, and of a public key.
pub const ELEMENT_BYTES: usize = 32;
/// Bytes of a proof: two scalars, c and s.
pub const PROOF_BYTES: usize = 64;
/// Bytes before a request's elements: the epoch's number (u32) and how many there are (u16), big endian.
pub const REQUEST_HEAD_BYTES: usize = 6;

/// What DeriveKeyPair (RFC 9497, section 3.2.1) makes a key for.
const KEY_INFO: &[u8] = b"interdict/tag-service/v1";

/// The tag service's public key: what an epoch's manifest says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ServiceKey {
    bytes: [u8; ELEMENT_BYTES],
    element: <Ristretto255 as Group>::Elem,
}

impl ServiceKey {
    /// A key from its 32 bytes.
    ///
    /// # Errors
    /// `Malformed` for bytes that are no element in its one encoding, or the identity.
    pub fn from_bytes(bytes: &[u8; ELEMENT_BYTES]) -> Result<ServiceKey> {
        let element = Ristretto255::deserialize_elem(bytes).map_err(|_| {
            Error::new(ErrorKind::Malformed, "the tag service's public key is no element of ristretto255")
        })?;
        Ok(ServiceKey { bytes: *bytes, element })
    }
    /// The 32 bytes.
    pub fn bytes(&self) -> &[u8; ELEMENT_BYTES] {
        &self.bytes
    }
}

impl fmt::Debug for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceKey({})", STANDARD.encode(self.bytes))
    }
}

/// The tag service: its secret key. Shows nothing; wiped when dropped.
#[derive(Clone)]
pub struct Service {
    server: VoprfServer<Ristretto255>,
    public: ServiceKey,
}

impl Service {
    /// A service with a key derived from 32 random bytes (DeriveKeyPair).
    ///
    /// # Errors
    /// `Invalid` for a seed that gives no key, which nobody knows one of.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Service> {
        let refused = |_| Error::new(ErrorKind::Invalid, "the seed gives no key of the tag service");
        Service::of(VoprfServer::new_from_seed(seed, KEY_INFO).map_err(refused)?)
    }
    /// A service with a secret scalar made elsewhere (32 bytes, little endian).
    ///
    /// # Errors
    /// `Malformed` for one that is zero or not reduced; never quotes it.
    pub fn from_secret(secret: &[u8; 32]) -> Result<Service> {
        let refused = |_| {
            Error::new(ErrorKind::Malformed, "the tag service's secret key is no scalar in its one encoding")
        };
        Service::of(VoprfServer::new_with_key(secret).map_err(refused)?)
    }
    fn of(server: VoprfServer<Ristretto255>) -> Result<Service> {
        let bytes = Ristretto255::serialize_elem(server.get_public_key());
        let public = ServiceKey::from_bytes(&bytes.into())?;
        Ok(Service { server, public })
    }
    /// The public key.
    pub fn public(&self) -> &ServiceKey {
        &self.public
    }
    /// Evaluates blinded elements (n × 32 bytes): n × 32 bytes of evaluations and the 64 bytes of one proof for all.
    ///
    /// # Errors
    /// `Malformed` with the row of an element that is the identity or not in its one encoding, or for other than whole
    /// elements; `Invalid` for none; `TooLarge` past `EVALUATE_ITEMS_MAX`.
    pub fn evaluate(&self, elements: &[u8], random: &mut Random<'_>) -> Result<Vec<u8>> {
        let count = count_of(elements)?;
        let blinded = read_elements(elements, BlindedElement::<Ristretto255>::deserialize)?;
        let prepared: Vec<_> = self.server.batch_blind_evaluate_prepare(blinded.iter()).collect();
        let finished = self.server.batch_blind_evaluate_finish(random, blinded.iter(), &prepared);
        let finished = finished.expect("as many evaluations as elements, and fewer than 2^16");
        let mut out = Vec::with_capacity(count * ELEMENT_BYTES + PROOF_BYTES);
        finished.messages.for_each(|message| out.extend_from_slice(&message.serialize()));
        out.extend_from_slice(&finished.proof.serialize());
        Ok(out)
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Service({:?}, …)", self.public)
    }
}

/// One identifier of a batch, with what undoes its blinding. Wiped when dropped.
struct Item {
    /// Kind ‖ canonical: finishing hashes it.
    input: Zeroizing<Vec<u8>>,
    client: VoprfClient<Ristretto255>,
}

/// A batch of identifiers, blinded: what goes to the service, and what is kept until its answer. Wiped when dropped.
pub struct Blinded {
    items: Vec<Item>,
    elements: Vec<u8>,
}

impl Blinded {
    /// Blinds identifiers in their canonical spelling, each under a blind of its own.
    ///
    /// # Errors
    /// `Invalid` for no identifier or an empty one, `TooLarge` past `EVALUATE_ITEMS_MAX` or `CANONICAL_BYTES_MAX`, with
    /// the row.
    pub fn new<'i>(
        identifiers: impl IntoIterator<Item = (Kind, &'i str)>,
        random: &mut Random<'_>,
    ) -> Result<Blinded> {
        let mut inputs = Vec::new();
        for (row, (kind, canonical)) in identifiers.into_iter().enumerate() {
            check_count(row + 1)?;
            check_canonical(kind, canonical).map_err(|e| e.at(Place::Row(row as u64)))?;
            let mut input = Zeroizing::new(Vec::with_capacity(1 + canonical.len()));
            input.push(kind as u8);
            input.extend_from_slice(canonical.as_bytes());
            inputs.push(input);
        }
        Blinded::of(inputs, random)
    }
    fn of(inputs: Vec<Zeroizing<Vec<u8>>>, random: &mut Random<'_>) -> Result<Blinded> {
        check_count(inputs.len())?;
        let mut blinded = Blinded { items: Vec::new(), elements: Vec::new() };
        for (row, input) in (0..).zip(inputs) {
            // Of inputs within the bounds none is known that fails; it would hash to the identity.
            let result = VoprfClient::blind(&input, random).map_err(|_| {
                Error::new(ErrorKind::Invalid, "this identifier has no exact tag").at(Place::Row(row))
            })?;
            blinded.elements.extend_from_slice(&result.message.serialize());
            blinded.items.push(Item { input, client: result.state });
        }
        Ok(blinded)
    }
    /// How many identifiers.
    pub fn count(&self) -> usize {
        self.items.len()
    }
    /// The blinded elements, count × 32 bytes; they tell nothing of the identifiers.
    pub fn elements(&self) -> &[u8] {
        &self.elements
    }
    /// The body of a request to `/alliance/v1/evaluate` behind its signed note: epoch u32, count u16, elements.
    pub fn request(&self, epoch: u32) -> Vec<u8> {
        let count = u16::try_from(self.count()).expect("at most EVALUATE_ITEMS_MAX");
        [&epoch.to_be_bytes()[..], &count.to_be_bytes(), &self.elements].concat()
    }
    /// The exact tags, in order, of the service's answer: count × 32 bytes of evaluations and 64 of proof, nothing
    /// after them. All of them or none: the proof is for the whole batch.
    ///
    /// # Errors
    /// `Malformed` for another length, a scalar that is none, or with the row of an element that is the identity or
    /// not in its one encoding; `Corrupt` where the proof does not prove under this key.
    pub fn finish(&self, answer: &[u8], key: &ServiceKey) -> Result<Vec<u128>> {
        let first = |output: [u8; 64]| u128::from_be_bytes(output[..16].try_into().expect("16 bytes"));
        Ok(self.outputs(answer, key)?.into_iter().map(first).collect())
    }
    /// The outputs of the VOPRF, whole.
    fn outputs(&self, answer: &[u8], key: &ServiceKey) -> Result<Vec<[u8; 64]>> {
        let malformed =
            |what: String| Error::new(ErrorKind::Malformed, format!("the tag service's answer {what}"));
        let expected = answer_bytes(self.count());
        if answer.len() != expected {
            return Err(malformed(format!("has {} bytes: expected {expected}", answer.len())));
        }
        let (elements, proof) = answer.split_at(expected - PROOF_BYTES);
        let messages = read_elements(elements, EvaluationElement::<Ristretto255>::deserialize)?;
        let proof = Proof::<Ristretto255>::deserialize(proof)
            .map_err(|_| malformed("has a proof whose scalars are zero or not reduced".into()))?;
        let inputs: Vec<&[u8]> = self.items.iter().map(|item| item.input.as_slice()).collect();
        let clients: Vec<_> = self.items.iter().map(|item| item.client.clone()).collect();
        let unproven = |_| {
            let message =
                "the tag service's proof does not hold under the epoch's key: another key, or changed";
            Error::new(ErrorKind::Corrupt, message)
        };
        let outputs = VoprfClient::batch_finalize(&inputs, &clients, &messages, &proof, key.element);
        outputs
            .map_err(unproven)?
            .map(|output| Ok(output.map_err(|_| malformed("gives no output".into()))?.into()))
            .collect()
    }
}

impl fmt::Debug for Blinded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blinded({} identifiers)", self.count())
    }
}

/// Bytes of the service's answer to so many elements, the proof included.
pub const fn answer_bytes(count: usize) -> usize {
    count * ELEMENT_BYTES + PROOF_BYTES
}

/// A request's body: the epoch and the blinded elements, of which none has been looked at.
///
/// # Errors
/// `Malformed` for another length than the count says, `Invalid` for none, `TooLarge` past `EVALUATE_ITEMS_MAX`.
pub fn read_request(body: &[u8]) -> Result<(u32, &[u8])> {
    let short =
        || Error::new(ErrorKind::Malformed, "a request is an epoch (4 bytes), a count (2) and elements");
    let (epoch, rest) = body.split_first_chunk::<4>().ok_or_else(short)?;
    let (count, elements) = rest.split_first_chunk::<2>().ok_or_else(short)?;
    let count = usize::from(u16::from_be_bytes(*count));
    check_count(count)?;
    if elements.len() != count * ELEMENT_BYTES {
        let message = format!("{count} elements in {} bytes: expected {ELEMENT_BYTES} each", elements.len());
        return Err(Error::new(ErrorKind::Malformed, message));
    }
    Ok((u32::from_be_bytes(*epoch), elements))
}

fn check_count(count: usize) -> Result<()> {
    match count {
        0 => Err(Error::new(ErrorKind::Invalid, "a batch has at least one item")),
        1..=EVALUATE_ITEMS_MAX => Ok(()),
        _ => {
            let message = format!("more than {EVALUATE_ITEMS_MAX} items in a batch");
            Err(Error::new(ErrorKind::TooLarge, message))
        }
    }
}

fn count_of(elements: &[u8]) -> Result<usize> {
    let (count, rest) = (elements.len() / ELEMENT_BYTES, elements.len() % ELEMENT_BYTES);
    if rest != 0 {
        let message = format!("{} bytes are no whole number of elements", elements.len());
        return Err(Error::new(ErrorKind::Malformed, message));
    }
    check_count(count)?;
    Ok(count)
}

fn read_elements<E>(bytes: &[u8], read: impl Fn(&[u8]) -> voprf::Result<E>) -> Result<Vec<E>> {
    let refused = |row: usize| {
        let message = "not an element of ristretto255 in its one encoding, or the identity";
        Error::new(ErrorKind::Malformed, message).at(Place::Row(row as u64))
    };
    let chunks = bytes.chunks_exact(ELEMENT_BYTES).enumerate();
    chunks.map(|(row, chunk)| read(chunk).map_err(|_| refused(row))).collect()
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
