// What every kernel has: a shard of a bank, and the hits, appended in any order (the CPU sorts them). A count above
// the cap means that hits were left out, and the CPU answers that query itself.

struct Shard {
    first: u32,       // index in the bank of the shard's first lane: a multiple of 64
    count: u32,       // live lanes
    blocks: u32,      // blocks of 64 lanes, the last may be partial
    first_word: u32,  // index in the bank's words of the shard's first word
}

struct Hit {
    index: u32,  // index in the bank
    score: u32,  // lcs, distance, or the bits of an i32 dot product
}

struct Hits {
    counts: array<atomic<u32>, 64>,
    hits: array<Hit>,
}

@group(0) @binding(1) var<storage, read_write> found: Hits;
@group(1) @binding(0) var<uniform> shard: Shard;
@group(1) @binding(1) var<storage, read> words: array<u32>;

const THREADS: u32 = 256u;
const LANES: u32 = 64u;
// Queries that one thread scores against the words it has loaded.
const TILE: u32 = 4u;

fn append(query: u32, cap: u32, index: u32, score: u32) {
    let slot = atomicAdd(&found.counts[query], 1u);
    if slot < cap {
        found.hits[query * cap + slot] = Hit(index, score);
    }
}
