//! Banks of fixed-width vectors in blocks of 64 lanes, word by word, that grow by one vector at a time: a label
//! event adds its fingerprint without the bank being built again.

use super::{FINGERPRINT_WORDS, LANES, Row, VECTOR_DIMS, VECTOR_WORDS, VECTORS_MAX};

/// Why a vector was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VectorBankError {
    /// The bank is at its bound.
    #[error("bank holds {VECTORS_MAX} vectors, its limit")]
    Full,
}

/// Vectors of `WORDS` words each, a block being `WORDS` rows of 64 lanes. Lanes past the last vector hold zeros and
/// count for nothing.
#[derive(Clone, Default)]
pub struct Columns<const WORDS: usize> {
    rows: Vec<Row>,
    ids: Vec<u64>,
}

/// Fingerprints of 256 bits.
pub type FingerprintBank = Columns<FINGERPRINT_WORDS>;
/// Vectors of 64 × `i8`.
pub type VectorBank = Columns<VECTOR_WORDS>;

impl<const WORDS: usize> Columns<WORDS> {
    /// An empty bank.
    #[must_use]
    pub const fn new() -> Self {
        Self { rows: Vec::new(), ids: Vec::new() }
    }

    /// An empty bank with room for `vectors`.
    #[must_use]
    pub fn with_capacity(vectors: usize) -> Self {
        Self { rows: Vec::with_capacity(vectors.div_ceil(LANES) * WORDS), ids: Vec::with_capacity(vectors) }
    }

    fn push_words(&mut self, id: u64, words: &[u32; WORDS]) -> Result<(), VectorBankError> {
        if self.ids.len() >= VECTORS_MAX {
            return Err(VectorBankError::Full);
        }
        let lane = self.ids.len() % LANES;
        if lane == 0 {
            self.rows.resize(self.rows.len() + WORDS, Row::ZERO);
        }
        let first = self.rows.len() - WORDS;
        for (row, word) in self.rows[first..].iter_mut().zip(words) {
            row.0[lane] = *word;
        }
        self.ids.push(id);
        Ok(())
    }

    /// Vectors in the bank: the live count, whole blocks of 64 and the last, partial one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether the bank holds no vector.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Blocks, the partial one included.
    #[must_use]
    pub fn blocks_len(&self) -> usize {
        self.ids.len().div_ceil(LANES)
    }

    /// Every block's rows one after another: WGSL's `[block][WORDS][64 lanes] u32`.
    #[must_use]
    pub fn words(&self) -> &[u32] {
        bytemuck::cast_slice(&self.rows)
    }

    /// The caller's ids by index, one a live vector.
    #[must_use]
    pub fn ids(&self) -> &[u64] {
        &self.ids
    }

    /// The words of the vector at `index`.
    ///
    /// # Panics
    /// When `index` is not below [`Columns::len`].
    #[must_use]
    pub fn vector_words(&self, index: usize) -> [u32; WORDS] {
        assert!(index < self.ids.len(), "vector {index} of a bank of {}", self.ids.len());
        let rows = self.block_rows(index / LANES);
        std::array::from_fn(|word| rows[word].0[index % LANES])
    }

    /// The rows of block `block`.
    pub(crate) fn block_rows(&self, block: usize) -> &[Row; WORDS] {
        self.rows[block * WORDS..]
            .first_chunk()
            .expect("a block below blocks_len() has all its rows: push_words adds them together")
    }

    /// Bytes held by the bank's arrays.
    #[must_use]
    pub fn bytes_held(&self) -> usize {
        self.rows.len() * size_of::<Row>() + self.ids.len() * size_of::<u64>()
    }
}

impl FingerprintBank {
    /// Adds a fingerprint. Ids may repeat.
    ///
    /// # Errors
    /// [`VectorBankError::Full`] at 2^26 fingerprints.
    pub fn push(&mut self, id: u64, fingerprint: &[u64; 4]) -> Result<(), VectorBankError> {
        self.push_words(id, &pack_fingerprint(fingerprint))
    }

    /// The fingerprint at `index`.
    ///
    /// # Panics
    /// When `index` is not below [`Columns::len`].
    #[must_use]
    pub fn fingerprint(&self, index: usize) -> [u64; 4] {
        let words = self.vector_words(index);
        std::array::from_fn(|half| u64::from(words[2 * half + 1]) << 32 | u64::from(words[2 * half]))
    }
}

impl VectorBank {
    /// Adds a vector. Ids may repeat.
    ///
    /// # Errors
    /// [`VectorBankError::Full`] at 2^26 vectors.
    pub fn push(&mut self, id: u64, vector: &[i8; VECTOR_DIMS]) -> Result<(), VectorBankError> {
        self.push_words(id, &pack_vector(vector))
    }

    /// The vector at `index`.
    ///
    /// # Panics
    /// When `index` is not below [`Columns::len`].
    #[must_use]
    pub fn vector(&self, index: usize) -> [i8; VECTOR_DIMS] {
        let words = self.vector_words(index);
        std::array::from_fn(|dim| (words[dim / 4] >> (8 * (dim % 4))) as i8)
    }
}

/// A fingerprint as eight words, the low half of each `u64` first.
#[must_use]
pub fn pack_fingerprint(fingerprint: &[u64; 4]) -> [u32; FINGERPRINT_WORDS] {
    std::array::from_fn(|word| (fingerprint[word / 2] >> (32 * (word % 2))) as u32)
}

/// A vector as sixteen words of four values each, the first value in the lowest byte.
#[must_use]
pub fn pack_vector(vector: &[i8; VECTOR_DIMS]) -> [u32; VECTOR_WORDS] {
    std::array::from_fn(|word| {
        u32::from_le_bytes(std::array::from_fn(|byte| vector[4 * word + byte].cast_unsigned()))
    })
}

impl<const WORDS: usize> std::fmt::Debug for Columns<WORDS> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Columns")
            .field("words", &WORDS)
            .field("len", &self.ids.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(50))]
        #[test]
        fn a_bank_gives_back_what_was_pushed(
            prints in proptest::collection::vec((any::<u64>(), any::<[u64; 4]>()), 0..200),
            seed in any::<u8>(),
        ) {
            let mut bank = FingerprintBank::new();
            let mut vectors = VectorBank::with_capacity(prints.len());
            let vector = |index: usize| -> [i8; 64] {
                std::array::from_fn(|dim| seed.wrapping_add((index * 31 + dim * 7) as u8) as i8)
            };
            for (index, (id, print)) in prints.iter().enumerate() {
                bank.push(*id, print).unwrap();
                vectors.push(*id, &vector(index)).unwrap();
            }
            prop_assert_eq!(bank.len(), prints.len());
            prop_assert_eq!(bank.words().len(), bank.blocks_len() * 64 * 8);
            prop_assert_eq!(vectors.words().len(), bank.blocks_len() * 64 * 16);
            for (index, (id, print)) in prints.iter().enumerate() {
                prop_assert_eq!((bank.ids()[index], bank.fingerprint(index)), (*id, *print));
                prop_assert_eq!(vectors.vector(index), vector(index));
            }
        }
    }
}
