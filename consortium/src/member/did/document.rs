//! The document of a DID (W3C DID Core 1.0), as far as it says which Ed25519 keys its subject makes statements with:
//! what a sponsor compares with an application. Who calls has fetched it, over HTTPS, from where the DID says.

use super::{Did, read_key};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{DID_DOCUMENT_BYTES_MAX, DID_METHODS_MAX};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// The Ed25519 keys that a document lists for assertions (DID Core, 5.3.2), in its order; keys of other kinds are
/// passed over.
///
/// # Errors
/// `TooLarge` past `DID_DOCUMENT_BYTES_MAX` or `DID_METHODS_MAX`; `Malformed` for what is no document, or refers to a
/// method that it does not have; `Invalid` for another subject's.
pub fn assertion_keys(did: &Did, document: &[u8]) -> Result<Vec<[u8; 32]>> {
    if document.len() > DID_DOCUMENT_BYTES_MAX {
        let message = format!("a document of {} bytes, limit {DID_DOCUMENT_BYTES_MAX}", document.len());
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    let document: Map<String, Value> =
        serde_json::from_slice(document).map_err(|_| malformed("not a JSON object"))?;
    if document.get("id").and_then(Value::as_str) != Some(did.as_str()) {
        return Err(Error::new(ErrorKind::Invalid, format!("the document is not that of {did}")));
    }
    let methods = list(&document, "verificationMethod")?;
    let mut keys = Vec::new();
    for item in list(&document, "assertionMethod")? {
        let method = match item {
            Value::Object(method) => method,
            Value::String(id) => find(did, methods, id)?,
            _ => return Err(malformed("assertionMethod holds neither methods nor their ids")),
        };
        keys.extend(key_of(method)?);
    }
    Ok(keys)
}

fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::Malformed, format!("a DID document: {what}"))
}

fn list<'a>(document: &'a Map<String, Value>, name: &str) -> Result<&'a [Value]> {
    match document.get(name) {
        None => Ok(&[]),
        Some(Value::Array(items)) if items.len() <= DID_METHODS_MAX => Ok(items),
        Some(Value::Array(items)) => {
            let message = format!("{name} of {} items, limit {DID_METHODS_MAX}", items.len());
            Err(Error::new(ErrorKind::TooLarge, message))
        }
        Some(_) => Err(malformed(&format!("{name} is no list"))),
    }
}

/// The method of an id, which may leave the DID itself out (`#key-1`; DID Core, 3.2.2).
fn find<'a>(did: &Did, methods: &'a [Value], id: &str) -> Result<&'a Map<String, Value>> {
    let whole = |id: &str| if id.starts_with('#') { format!("{did}{id}") } else { id.to_owned() };
    let is_it = |method: &&Map<String, Value>| {
        method.get("id").and_then(Value::as_str).is_some_and(|own| whole(own) == whole(id))
    };
    let found = methods.iter().filter_map(Value::as_object).find(is_it);
    found.ok_or_else(|| malformed("assertionMethod refers to a method that is not there"))
}

/// The key of a method, where it is an Ed25519 one, in any of the four spellings in use.
fn key_of(method: &Map<String, Value>) -> Result<Option<[u8; 32]>> {
    let text = |object: &Map<String, Value>, name: &str| object.get(name)?.as_str().map(str::to_owned);
    let bytes = match text(method, "type").as_deref() {
        Some("Ed25519VerificationKey2020" | "Multikey") => {
            let key =
                text(method, "publicKeyMultibase").ok_or_else(|| malformed("a method without a key"))?;
            return match read_key(&key) {
                Ok(key) => Ok(Some(key)),
                Err(error) if error.kind == ErrorKind::Version => Ok(None),
                Err(error) => Err(error),
            };
        }
        Some("Ed25519VerificationKey2018") => {
            text(method, "publicKeyBase58").and_then(|key| bs58::decode(key).into_vec().ok())
        }
        Some("JsonWebKey2020" | "JsonWebKey") => {
            let jwk = method.get("publicKeyJwk").and_then(Value::as_object);
            let jwk = jwk.ok_or_else(|| malformed("a method without a key"))?;
            // RFC 8037, 2.
            if text(jwk, "kty").as_deref() != Some("OKP") || text(jwk, "crv").as_deref() != Some("Ed25519") {
                return Ok(None);
            }
            text(jwk, "x").and_then(|x| URL_SAFE_NO_PAD.decode(x).ok())
        }
        _ => return Ok(None),
    };
    let key = bytes.and_then(|bytes| bytes.try_into().ok());
    key.map(Some).ok_or_else(|| malformed("a key that is not 32 bytes"))
}
