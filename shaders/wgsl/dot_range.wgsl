// Every vector of a least dot product. Twin: src/cpu/dot_range.rs. One thread a vector.

@compute @workgroup_size(256)
fn dot_range(
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
            if dot >= batch.items[query].at_least {
                append(query, batch.cap, shard.first + lane, bitcast<u32>(dot));
            }
        }
    }
}
