// Fingerprints of 256 bits, `[block][8 words][64 lanes]`.

struct Query {
    words: array<vec4<u32>, 2>,
    reach: u32,  // greatest distance of a range search, k of a top-k search
    reserved: array<u32, 3>,
}

struct Batch {
    queries: u32,
    cap: u32,  // hits kept for each query
    wide: u32,
    block_low: u32,
    block_high: u32,
    ordered: u32,  // lanes of the bank, if their ids rise; else 0
    reserved: array<u32, 2>,
    items: array<Query>,
}

@group(0) @binding(0) var<storage, read> batch: Batch;

struct Fingerprint {
    low: vec4<u32>,
    high: vec4<u32>,
}

fn load(lane: u32) -> Fingerprint {
    let at = lane / LANES * (8u * LANES) + lane % LANES;
    return Fingerprint(
        vec4(words[at], words[at + 64u], words[at + 128u], words[at + 192u]),
        vec4(words[at + 256u], words[at + 320u], words[at + 384u], words[at + 448u]),
    );
}

fn distance_to(query: u32, print: Fingerprint) -> u32 {
    let bits = countOneBits(print.low ^ batch.items[query].words[0])
        + countOneBits(print.high ^ batch.items[query].words[1]);
    return bits.x + bits.y + bits.z + bits.w;
}
