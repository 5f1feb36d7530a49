//! The WGSL sources, put together from what they share, and the table of searches and their entry points.

const BATCH: &str = include_str!("../wgsl/shared/batch.wgsl");
const SELECT: &str = include_str!("../wgsl/shared/select.wgsl");
const FINGERPRINTS: &str = include_str!("../wgsl/shared/fingerprints.wgsl");
const VECTORS: &str = include_str!("../wgsl/shared/vectors.wgsl");

/// A search that has a shader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Search {
    /// Names by longest common subsequence.
    NameLcs,
    /// Fingerprints within a distance.
    HammingRange,
    /// The nearest fingerprints.
    HammingTopk,
    /// Vectors of a least dot product.
    DotRange,
    /// Vectors of the largest dot products.
    DotTopk,
}

impl Search {
    /// All searches.
    pub const ALL: [Self; 5] =
        [Self::NameLcs, Self::HammingRange, Self::HammingTopk, Self::DotRange, Self::DotTopk];

    /// The search's name: that of its shader and of its twin.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NameLcs => "name_lcs",
            Self::HammingRange => "hamming_range",
            Self::HammingTopk => "hamming_topk",
            Self::DotRange => "dot_range",
            Self::DotTopk => "dot_topk",
        }
    }

    /// The shader's whole text.
    #[must_use]
    pub fn wgsl(self) -> String {
        match self {
            Self::NameLcs => [BATCH, include_str!("../wgsl/name_lcs.wgsl")].concat(),
            Self::HammingRange => [BATCH, FINGERPRINTS, include_str!("../wgsl/hamming_range.wgsl")].concat(),
            Self::HammingTopk => {
                [BATCH, FINGERPRINTS, SELECT, include_str!("../wgsl/hamming_topk.wgsl")].concat()
            }
            Self::DotRange => [BATCH, VECTORS, include_str!("../wgsl/dot_range.wgsl")].concat(),
            Self::DotTopk => [BATCH, VECTORS, SELECT, include_str!("../wgsl/dot_topk.wgsl")].concat(),
        }
    }

    /// Whether an entry point runs once for each query, over what the one before it found in all shards; the others
    /// run over every shard.
    #[must_use]
    pub fn runs_once(entry: &str) -> bool {
        entry.ends_with("_find")
    }

    /// The entry points in the order in which they run.
    #[must_use]
    pub const fn entries(self) -> &'static [&'static str] {
        match self {
            Self::NameLcs => &["name_lcs"],
            Self::HammingRange => &["hamming_range"],
            Self::HammingTopk => {
                &["hamming_histogram", "hamming_find", "hamming_ties", "hamming_ties_find", "hamming_gather"]
            }
            Self::DotRange => &["dot_range"],
            Self::DotTopk => &["dot_histogram", "dot_find", "dot_gather"],
        }
    }
}
