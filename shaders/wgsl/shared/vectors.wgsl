// Vectors of 64 × i8, `[block][16 words][64 lanes]`, four values a word as dot4I8Packed takes them.

struct Query {
    words: array<vec4<u32>, 4>,
    k: u32,
    at_least: i32,  // least product of a range search
    top: i32,       // no product with this query is larger (top-k search)
    shift: u32,     // (top - product) >> shift is the product's bin
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

struct Vector {
    words: array<vec4<u32>, 4>,
}

fn four(at: u32) -> vec4<u32> {
    return vec4(words[at], words[at + 64u], words[at + 128u], words[at + 192u]);
}

fn load(lane: u32) -> Vector {
    let at = lane / LANES * (16u * LANES) + lane % LANES;
    return Vector(array(four(at), four(at + 256u), four(at + 512u), four(at + 768u)));
}

fn dot_of(left: vec4<u32>, right: vec4<u32>) -> i32 {
    return dot4I8Packed(left.x, right.x) + dot4I8Packed(left.y, right.y)
        + dot4I8Packed(left.z, right.z) + dot4I8Packed(left.w, right.w);
}

fn product(query: u32, vector: Vector) -> i32 {
    return dot_of(vector.words[0], batch.items[query].words[0])
        + dot_of(vector.words[1], batch.items[query].words[1])
        + dot_of(vector.words[2], batch.items[query].words[2])
        + dot_of(vector.words[3], batch.items[query].words[3]);
}
