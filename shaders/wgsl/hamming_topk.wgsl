// The k nearest fingerprints. Twin: src/cpu/hamming_topk.rs. A bin is a distance.

// 257 distances, and up to a multiple of 4.
const DISTANCES: u32 = 260u;

var<workgroup> bins: array<atomic<u32>, 1040>;  // TILE * DISTANCES

@compute @workgroup_size(256)
fn hamming_histogram(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let first = group.y * TILE;
    let end = min(first + TILE, batch.queries);
    for (var bin = thread; bin < TILE * DISTANCES; bin += THREADS) {
        atomicStore(&bins[bin], 0u);
    }
    workgroupBarrier();
    for (var lane = group.x * THREADS + thread; lane < shard.count; lane += groups.x * THREADS) {
        let print = load(lane);
        for (var query = first; query < end; query += 1u) {
            atomicAdd(&bins[(query - first) * DISTANCES + distance_to(query, print)], 1u);
        }
    }
    workgroupBarrier();
    for (var bin = thread; bin < (end - first) * DISTANCES; bin += THREADS) {
        let count = atomicLoad(&bins[bin]);
        if count > 0u {
            atomicAdd(&histogram[(first + bin / DISTANCES) * BINS + bin % DISTANCES], count);
        }
    }
}

@compute @workgroup_size(256)
fn hamming_find(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    find_cut(group.y, batch.items[group.y].reach, thread);
}

// Where far more are equally near than are wanted, as among payments that share few attributes: where they lie.
@compute @workgroup_size(256)
fn hamming_ties(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let first = group.y * TILE;
    let end = min(first + TILE, batch.queries);
    var crowded = 0u;
    for (var query = first; query < end; query += 1u) {
        crowded |= cuts[query].crowded;
    }
    if crowded == 0u {
        return;
    }
    for (var lane = group.x * THREADS + thread; lane < shard.count; lane += groups.x * THREADS) {
        let print = load(lane);
        for (var query = first; query < end; query += 1u) {
            if cuts[query].crowded == 1u && distance_to(query, print) == cuts[query].bin {
                atomicAdd(&histogram[query * BINS + bucket_of(shard.first + lane)], 1u);
            }
        }
    }
}

@compute @workgroup_size(256)
fn hamming_ties_find(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    find_bucket(group.y, thread);
}

@compute @workgroup_size(256)
fn hamming_gather(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let first = group.y * TILE;
    let end = min(first + TILE, batch.queries);
    for (var lane = group.x * THREADS + thread; lane < shard.count; lane += groups.x * THREADS) {
        let print = load(lane);
        for (var query = first; query < end; query += 1u) {
            let distance = distance_to(query, print);
            let cut = cuts[query];
            if distance > cut.bin {
                continue;
            }
            let place = shard.first + lane;
            if distance < cut.bin || cut.bucket == ALL || bucket_of(place) <= cut.bucket {
                append(query, batch.cap, place, distance);
            }
        }
    }
}
