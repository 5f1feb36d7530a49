// The k best without a heap: scores are bounded integers, so a histogram says in which bin the k-th lies, and all
// of that bin and better ones are gathered. Exact and independent of the order of the atomics.

const BINS: u32 = 1024u;
const BINS_A_THREAD: u32 = 4u;

@group(0) @binding(2) var<storage, read_write> histogram: array<atomic<u32>>;
@group(0) @binding(3) var<storage, read_write> cuts: array<u32>;

var<workgroup> sums: array<u32, THREADS>;

// One workgroup a query: the first bin where the running count reaches k, or the last bin.
fn find_cut(query: u32, k: u32, thread: u32) {
    let first = query * BINS + thread * BINS_A_THREAD;
    var own = 0u;
    for (var bin = 0u; bin < BINS_A_THREAD; bin += 1u) {
        own += atomicLoad(&histogram[first + bin]);
    }
    sums[thread] = own;
    workgroupBarrier();
    for (var reach = 1u; reach < THREADS; reach = reach * 2u) {
        var before = 0u;
        if thread >= reach {
            before = sums[thread - reach];
        }
        workgroupBarrier();
        sums[thread] += before;
        workgroupBarrier();
    }
    let through = sums[thread];
    if thread == THREADS - 1u && through < k {
        cuts[query] = BINS - 1u;
    }
    var running = through - own;
    if running < k && through >= k {
        for (var bin = 0u; bin < BINS_A_THREAD; bin += 1u) {
            running += atomicLoad(&histogram[first + bin]);
            if running >= k {
                cuts[query] = thread * BINS_A_THREAD + bin;
                break;
            }
        }
    }
}
