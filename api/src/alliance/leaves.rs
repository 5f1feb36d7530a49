//! Leaves one after the other: a bundle is read once for all its leaves and not once for each.

use interdict_consortium::error::{Error, ErrorKind, Result};
use interdict_consortium::log::Tile;
use interdict_consortium::log::prove::{self, Tiles};
use interdict_consortium::log::tile::{WIDTH, entries};
use parking_lot::Mutex;

/// A bundle and its leaves.
type Bundle = (Tile, Vec<Box<[u8]>>);

/// The bundle that was read last.
#[derive(Debug, Default)]
pub struct Leaves(Mutex<Option<Bundle>>);

impl Leaves {
    /// A leaf of a log of `size` leaves, unverified.
    ///
    /// # Errors
    /// `NotFound`, `Corrupt`, `Storage`.
    pub fn leaf(&self, tiles: &impl Tiles, index: u64, size: u64) -> Result<Vec<u8>> {
        let none = || Error::new(ErrorKind::NotFound, format!("leaf {index} of a log of {size} leaves"));
        let bundle = Tile::of_leaf(index, size).filter(|_| index < size).ok_or_else(none)?;
        let mut held = self.0.lock();
        if held.as_ref().is_none_or(|(tile, _)| *tile != bundle) {
            let bytes = prove::read(tiles, &bundle)?;
            let leaves = entries(&bytes, bundle.width)?.into_iter().map(Box::from).collect();
            *held = Some((bundle, leaves));
        }
        let (_, leaves) = held.as_ref().expect("read above");
        leaves.get((index % u64::from(WIDTH)) as usize).map(|leaf| leaf.to_vec()).ok_or_else(none)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use interdict_consortium::keys::{KeyType, SignerKey};
    use interdict_consortium::log::{Memory, Writer};
    use std::sync::Arc;

    #[test]
    fn leaves_are_the_logs_own_in_whatever_order_and_size() {
        let key = SignerKey::from_seed("alliance.example/governance", KeyType::Ed25519, &[7; 32]).unwrap();
        let folder = Arc::new(Memory::default());
        let mut writer = Writer::open(folder.clone(), key).unwrap();
        let held = Leaves::default();
        for size in [1_u64, 255, 256, 257, 600] {
            while writer.size() < size {
                writer.append(&[format!("leaf {}", writer.size()).into_bytes()]).unwrap();
            }
            writer.checkpoint().unwrap();
            for index in [0, size - 1, size / 2, 0] {
                let leaf = held.leaf(&folder, index, size).unwrap();
                assert_eq!(leaf, format!("leaf {index}").into_bytes(), "of {size}");
            }
            assert_eq!(held.leaf(&folder, size, size).unwrap_err().kind, ErrorKind::NotFound);
        }
    }
}
