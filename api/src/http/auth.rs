//! Who calls, and what they may: API keys with roles, compared in constant time. On loopback without a key file
//! every caller is admin; anywhere else a key file is needed (`serve` refuses to start without).

use super::problem::Problem;
use anyhow::{Context, Result, bail};
use axum::http::{HeaderMap, StatusCode, header};
use interdict_engine::domain::Audience;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use subtle::ConstantTimeEq;

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Ask for decisions, send labels.
    Submit,
    /// Read decisions.
    Read,
    /// Change lists, packs and generations; read decisions.
    Risk,
    /// Read metrics and status.
    Ops,
    /// Everything.
    Admin,
}

impl Role {
    /// The audience whose reasons the role may see.
    pub const fn audience(self) -> Audience {
        match self {
            Role::Submit | Role::Read | Role::Ops => Audience::Processor,
            Role::Risk | Role::Admin => Audience::Internal,
        }
    }
    /// Whether the role may act as another.
    pub fn may(self, needed: Role) -> bool {
        self == Role::Admin || self == needed || (self == Role::Risk && needed == Role::Read)
    }
    /// The role's name.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Submit => "submit",
            Role::Read => "read",
            Role::Risk => "risk",
            Role::Ops => "ops",
            Role::Admin => "admin",
        }
    }
}

/// A caller.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The key's name; `loopback` without keys. Goes into list entries as contributor, and into the log.
    pub name: String,
    /// What it may.
    pub role: Role,
    /// The only tenant it may act for; `None`: any.
    pub tenant: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyRow {
    name: String,
    role: Role,
    /// SHA-256 of the key, hex. Keys are 256 random bits, so a plain hash gives nothing away.
    sha256: String,
    tenant: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    key: Vec<KeyRow>,
}

/// The API keys of a node.
#[derive(Debug, Clone, Default)]
pub struct ApiKeys(Option<Vec<(KeyRow, [u8; 32])>>);

impl ApiKeys {
    /// No keys: every caller is admin. Only for loopback.
    pub fn none() -> ApiKeys {
        ApiKeys(None)
    }
    /// Whether there is a key file.
    pub fn is_some(&self) -> bool {
        self.0.is_some()
    }
    /// Reads a key file: TOML with `[[key]]` tables of `name`, `role`, `sha256` and optionally `tenant`.
    ///
    /// # Errors
    /// A file that others may read, or that does not read.
    pub fn load(path: &Path) -> Result<ApiKeys> {
        let place = || format!("API keys {}", path.display());
        let mode = std::fs::metadata(path).with_context(place)?.permissions().mode() & 0o7777;
        if mode != 0o600 {
            bail!("{}: mode {mode:04o}, must be 0600: only its owner may read it", place());
        }
        let file: KeyFile = toml::from_str(&std::fs::read_to_string(path).with_context(place)?)
            .map_err(|e| anyhow::anyhow!("{}: {}", place(), e.message()))?;
        let hashed = file.key.into_iter().map(|row| {
            let hash = unhex(&row.sha256)
                .with_context(|| format!("{}: key {:?}: sha256 must be 64 hex digits", place(), row.name))?;
            Ok((row, hash))
        });
        Ok(ApiKeys(Some(hashed.collect::<Result<_>>()?)))
    }

    /// The caller of a request, if it may act as `needed` for the tenant.
    ///
    /// # Errors
    /// 401 without a known key, 403 for a role or tenant that may not.
    pub fn caller(&self, headers: &HeaderMap, needed: Role) -> Result<Caller, Problem> {
        self.caller_of(headers, &[needed])
    }
    /// As [`ApiKeys::caller`], where any of some roles will do.
    ///
    /// # Errors
    /// As there.
    pub fn caller_of(&self, headers: &HeaderMap, needed: &[Role]) -> Result<Caller, Problem> {
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let key = headers.get("x-api-key").and_then(|value| value.to_str().ok());
        self.caller_with(bearer, key, needed)
    }
    /// As [`ApiKeys::caller_of`], with what `Authorization` and `X-Api-Key` say.
    ///
    /// # Errors
    /// As there.
    pub fn caller_with(
        &self,
        authorization: Option<&str>,
        key: Option<&str>,
        needed: &[Role],
    ) -> Result<Caller, Problem> {
        let Some(rows) = &self.0 else {
            return Ok(Caller { name: "loopback".into(), role: Role::Admin, tenant: None });
        };
        let given = authorization.and_then(|value| value.strip_prefix("Bearer ")).or(key);
        let hash: [u8; 32] = Sha256::digest(given.unwrap_or_default().trim()).into();
        // Every row is compared, whichever matches, so that time says nothing about which one did.
        let mut found: Option<&KeyRow> = None;
        for (row, known) in rows {
            if bool::from(known.ct_eq(&hash)) {
                found = Some(row);
            }
        }
        let Some(row) = found.filter(|_| given.is_some()) else {
            return Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "expected Authorization: Bearer with a known API key",
            ));
        };
        if !needed.iter().any(|needed| row.role.may(*needed)) {
            let needed: Vec<&str> = needed.iter().map(|needed| needed.name()).collect();
            let detail = format!("role {} may not do what needs {}", row.role.name(), needed.join(" or "));
            return Err(Problem::new(StatusCode::FORBIDDEN, detail));
        }
        Ok(Caller { name: row.name.clone(), role: row.role, tenant: row.tenant.clone() })
    }
}

impl Caller {
    /// Whether the caller may act for a tenant.
    ///
    /// # Errors
    /// 403 where its key is bound to another.
    pub fn for_tenant(&self, tenant: &str) -> Result<(), Problem> {
        match &self.tenant {
            Some(own) if own != tenant => {
                Err(Problem::new(StatusCode::FORBIDDEN, format!("this key acts for tenant {own:?} only")))
            }
            _ => Ok(()),
        }
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use interdict_engine::generation::hex;

    #[test]
    fn a_key_gives_its_role_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api-keys.toml");
        let hash = hex(&Sha256::digest("secret-1"));
        let text = format!(
            "[[key]]\nname = \"switch\"\nrole = \"submit\"\nsha256 = \"{hash}\"\ntenant = \"acme\"\n"
        );
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(ApiKeys::load(&path).unwrap_err().to_string().contains("0640"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let keys = ApiKeys::load(&path).unwrap();
        let headers = |key: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, format!("Bearer {key}").parse().unwrap());
            headers
        };
        let caller = keys.caller(&headers("secret-1"), Role::Submit).unwrap();
        assert!(caller.for_tenant("acme").is_ok());
        assert_eq!(caller.for_tenant("other").unwrap_err().status, 403);
        assert_eq!(keys.caller(&headers("secret-1"), Role::Risk).unwrap_err().status, 403);
        assert_eq!(keys.caller(&headers("secret-2"), Role::Submit).unwrap_err().status, 401);
        assert_eq!(keys.caller(&HeaderMap::new(), Role::Submit).unwrap_err().status, 401);
    }
}
