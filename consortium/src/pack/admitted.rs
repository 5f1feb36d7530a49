//! Which signed packs were taken into use: by this no version falls, an old pack with its good signature does not come
//! back, and one that is in force stays when its manifest expires.

use super::{Manifest, Version, hex, unhex};
use crate::error::{Error, ErrorKind, Result};
use crate::record::{Reader, Writer};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// How a pack comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// It is in the configuration's folder, which is read again at each start and publication.
    Folder,
    /// It was uploaded.
    Upload,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    /// The highest version that was taken into use, by any route.
    version: Version,
    content: [u8; 32],
    /// What the folder had last: an upload that is newer does not make a start with the folder fail.
    folder: Option<[u8; 32]>,
}

/// The highest version of each signed pack that was taken into use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Admitted {
    packs: BTreeMap<String, Row>,
}

impl Admitted {
    /// Takes a pack into use whose manifest was verified; whether that is another than is noted.
    ///
    /// # Errors
    /// `Stale` for a version under the highest, or a manifest that has expired, unless the pack is in use as it is;
    /// `Invalid` for the same version with other files.
    pub fn admit(&mut self, manifest: &Manifest, route: Route, now_ms: u64) -> Result<bool> {
        let (name, content) = (&manifest.name, manifest.content());
        let known = self.packs.get_mut(name);
        if let Some(row) = &known
            && (row.content == content || (route == Route::Folder && row.folder == Some(content)))
        {
            let is_noted = route == Route::Upload || row.folder == Some(content);
            if let Some(row) = known.filter(|_| !is_noted) {
                row.folder = Some(content);
            }
            return Ok(!is_noted);
        }
        let offered = manifest.version.as_str();
        if manifest.is_expired(now_ms) {
            let message = format!("pack {name:?}, version {offered}: its manifest has expired");
            return Err(Error::new(ErrorKind::Stale, message));
        }
        let Some(row) = known else {
            let folder = (route == Route::Folder).then_some(content);
            self.packs.insert(name.clone(), Row { version: manifest.version.clone(), content, folder });
            return Ok(true);
        };
        let held = row.version.as_str();
        match manifest.version.compare(&row.version) {
            Ordering::Less => {
                let message =
                    format!("pack {name:?}: version {offered} is older than {held}, which was in use here");
                return Err(Error::new(ErrorKind::Stale, message));
            }
            Ordering::Equal => {
                let message =
                    format!("pack {name:?}: version {held} was in use here with other files: raise it");
                return Err(Error::new(ErrorKind::Invalid, message));
            }
            Ordering::Greater => {}
        }
        (row.version, row.content) = (manifest.version.clone(), content);
        if route == Route::Folder {
            row.folder = Some(content);
        }
        Ok(true)
    }
    /// The highest version of a pack.
    pub fn version(&self, name: &str) -> Option<&Version> {
        Some(&self.packs.get(name)?.version)
    }
    /// Its text: `interdict/admitted-packs/v1`, and for each pack `pack`, `version`, `content` and, where the folder has
    /// had one, `folder`, the hashes in hex.
    ///
    /// # Errors
    /// As [`Writer::put`].
    pub fn encode(&self) -> Result<String> {
        let mut writer = Writer::new("admitted-packs", 1);
        for (name, row) in &self.packs {
            writer
                .put("pack", name)?
                .put("version", row.version.as_str())?
                .put("content", hex(&row.content))?;
            writer.put_some("folder", row.folder.as_ref().map(hex))?;
        }
        Ok(writer.finish())
    }
    /// Reads it.
    ///
    /// # Errors
    /// `Malformed`, `Version`, with the line.
    pub fn decode(text: &str) -> Result<Admitted> {
        let mut reader = Reader::open(text, "admitted-packs", 1)?;
        let mut packs = BTreeMap::new();
        while let Some(name) = reader.take_some("pack")? {
            let version = Version::parse(reader.take("version")?)?;
            let hash = |reader: &Reader<'_>, text: &str| {
                unhex(text).ok_or_else(|| reader.refuse("expected 64 lower case hex digits"))
            };
            let content = reader.take("content")?;
            let content = hash(&reader, content)?;
            let folder = reader.take_some("folder")?;
            let folder = folder.map(|text| hash(&reader, text)).transpose()?;
            if packs.last_key_value().is_some_and(|(last, _): (&String, _)| last.as_str() >= name) {
                return Err(reader.refuse("packs are named once each, in order"));
            }
            packs.insert(name.to_owned(), Row { version, content, folder });
        }
        reader.end()?;
        Ok(Admitted { packs })
    }
}
