// Names whose LCS with a query reaches what their length asks. Twin: src/cpu/name_lcs.rs. One thread a name, four
// queries at a time in the components of a vector; Hyyrö's bit-parallel step, 64 bits in two u32. Low and high
// halves of the masks lie in arrays of their own: 32 entries, one for each bank of workgroup memory.

struct Query {
    low: array<u32, 32>,   // for each symbol the places 0 to 31 of the query that have it
    high: array<u32, 32>,  // and the places 32 to 63
    need: array<u32, 65>,  // least LCS for each length; above 64 is never
}

struct Batch {
    queries: u32,
    cap: u32,         // hits kept for each query
    wide: u32,        // not 0: some query is longer than 32 symbols
    block_low: u32,   // first block of the bank whose lengths any query wants
    block_high: u32,  // and the first behind the last
    ordered: u32,     // of no use to names
    reserved: array<u32, 2>,
    items: array<Query>,
}

@group(0) @binding(0) var<storage, read> batch: Batch;
@group(1) @binding(2) var<storage, read> blocks: array<vec2<u32>>;  // first word, rows
@group(1) @binding(3) var<storage, read> lengths: array<u32>;       // four a word

const NEVER: u32 = 255u;
const NEEDS: u32 = 65u;

var<workgroup> low: array<u32, 128>;   // TILE * 32
var<workgroup> high: array<u32, 128>;
var<workgroup> need: array<u32, 260>;  // TILE * NEEDS

fn low_masks(symbol: u32) -> vec4<u32> {
    return vec4(low[symbol], low[32u + symbol], low[64u + symbol], low[96u + symbol]);
}

fn high_masks(symbol: u32) -> vec4<u32> {
    return vec4(high[symbol], high[32u + symbol], high[64u + symbol], high[96u + symbol]);
}

// The LCS with queries of at most 32 symbols. The pad's mask is 0, which changes nothing.
fn lcs_narrow(first_word: u32, rows: u32) -> vec4<u32> {
    var places = vec4(0xffffffffu);
    for (var row = 0u; row < rows; row += 1u) {
        var word = words[first_word + row * LANES];
        for (var symbol = 0u; symbol < 4u; symbol += 1u) {
            let masks = low_masks(word & 31u);
            word = word >> 8u;
            places = (places + (places & masks)) | (places & ~masks);
        }
    }
    return countOneBits(~places);
}

// The LCS with queries of at most 64 symbols: the sum of the low halves carries into the high ones.
fn lcs_wide(first_word: u32, rows: u32) -> vec4<u32> {
    var places = vec4(0xffffffffu);
    var above = vec4(0xffffffffu);
    for (var row = 0u; row < rows; row += 1u) {
        var word = words[first_word + row * LANES];
        for (var symbol = 0u; symbol < 4u; symbol += 1u) {
            let masks = low_masks(word & 31u);
            let masks_above = high_masks(word & 31u);
            word = word >> 8u;
            let sum = places + (places & masks);
            let carry = select(vec4(0u), vec4(1u), sum < places);
            places = sum | (places & ~masks);
            above = (above + (above & masks_above) + carry) | (above & ~masks_above);
        }
    }
    return countOneBits(~places) + countOneBits(~above);
}

@compute @workgroup_size(256)
fn name_lcs(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let first = group.y * TILE;
    let tile = min(TILE, batch.queries - first);
    for (var entry = thread; entry < TILE * 32u; entry += THREADS) {
        let query = entry / 32u;
        low[entry] = 0u;
        high[entry] = 0u;
        if query < tile {
            low[entry] = batch.items[first + query].low[entry % 32u];
            high[entry] = batch.items[first + query].high[entry % 32u];
        }
    }
    for (var entry = thread; entry < TILE * NEEDS; entry += THREADS) {
        let query = entry / NEEDS;
        need[entry] = NEVER;
        if query < tile {
            need[entry] = batch.items[first + query].need[entry % NEEDS];
        }
    }
    workgroupBarrier();

    let shard_low = shard.first / LANES;
    let block_low = max(batch.block_low, shard_low) - shard_low;
    let block_high = max(min(batch.block_high, shard_low + shard.blocks), shard_low) - shard_low;
    let lane = thread % LANES;
    let step = groups.x * (THREADS / LANES);
    for (var block = block_low + group.x * (THREADS / LANES) + thread / LANES; block < block_high; block += step) {
        let at = block * LANES + lane;
        let len = min((lengths[at / 4u] >> (8u * (at % 4u))) & 255u, 64u);
        let rows = blocks[block].y;
        let first_word = blocks[block].x - shard.first_word + lane;
        var lcs: vec4<u32>;
        if batch.wide == 0u {
            lcs = lcs_narrow(first_word, rows);
        } else {
            lcs = lcs_wide(first_word, rows);
        }
        for (var query = 0u; query < tile; query += 1u) {
            if lcs[query] >= need[query * NEEDS + len] {
                append(first + query, batch.cap, shard.first + at, lcs[query]);
            }
        }
    }
}
