// Every fingerprint within a query's reach. Twin: src/cpu/hamming_range.rs. One thread a fingerprint.

@compute @workgroup_size(256)
fn hamming_range(
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
            if distance <= batch.items[query].reach {
                append(query, batch.cap, shard.first + lane, distance);
            }
        }
    }
}
