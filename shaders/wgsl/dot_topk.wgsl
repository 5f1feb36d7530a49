// The k largest dot products. Twin: src/cpu/dot_topk.rs. A bin is a run of products, the largest in bin 0; how wide
// a run is follows from the query, whose products with this bank cannot lie outside -top..=top.

var<workgroup> bins: array<atomic<u32>, 4096>;  // TILE * BINS

fn bin_of(query: u32, dot: i32) -> u32 {
    return min(u32(batch.items[query].top - dot) >> batch.items[query].shift, BINS - 1u);
}

@compute @workgroup_size(256)
fn dot_histogram(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let first = group.y * TILE;
    let end = min(first + TILE, batch.queries);
    for (var bin = thread; bin < TILE * BINS; bin += THREADS) {
        atomicStore(&bins[bin], 0u);
    }
    workgroupBarrier();
    for (var lane = group.x * THREADS + thread; lane < shard.count; lane += groups.x * THREADS) {
        let vector = load(lane);
        for (var query = first; query < end; query += 1u) {
            atomicAdd(&bins[(query - first) * BINS + bin_of(query, product(query, vector))], 1u);
        }
    }
    workgroupBarrier();
    for (var bin = thread; bin < (end - first) * BINS; bin += THREADS) {
        let count = atomicLoad(&bins[bin]);
        if count > 0u {
            atomicAdd(&histogram[first * BINS + bin], count);
        }
    }
}

@compute @workgroup_size(256)
fn dot_find(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    find_cut(group.y, batch.items[group.y].k, thread);
}

@compute @workgroup_size(256)
fn dot_gather(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let first = group.y * TILE;
    let end = min(first + TILE, batch.queries);
    for (var lane = group.x * THREADS + thread; lane < shard.count; lane += groups.x * THREADS) {
        let vector = load(lane);
        for (var query = first; query < end; query += 1u) {
            let dot = product(query, vector);
            if bin_of(query, dot) <= cuts[query].bin {
                append(query, batch.cap, shard.first + lane, bitcast<u32>(dot));
            }
        }
    }
}
