// The k best without a heap: scores are bounded integers, so a histogram says in which bin the k-th lies, and all
// of that bin and better ones are gathered. Exact and independent of the order of the atomics.

const BINS: u32 = 1024u;
const BINS_A_THREAD: u32 = 4u;
const ALL: u32 = 0xffffffffu;

struct Cut {
    bin: u32,      // the last bin of which any are wanted
    wanted: u32,   // how many of it are
    crowded: u32,  // 1: it and better ones hold more than the cap
    bucket: u32,   // the last bucket of places from which that bin's are taken
}

@group(0) @binding(2) var<storage, read_write> histogram: array<atomic<u32>>;
@group(0) @binding(3) var<storage, read_write> cuts: array<Cut>;

var<workgroup> sums: array<u32, THREADS>;

// One workgroup a query: in sums, the running count through each thread's bins; of its own bins, the count.
fn sum_up(query: u32, thread: u32) -> u32 {
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
    return own;
}

// The first bin where the running count reaches k, or the last bin. Leaves the histogram empty.
fn find_cut(query: u32, k: u32, thread: u32) {
    let own = sum_up(query, thread);
    let first = query * BINS + thread * BINS_A_THREAD;
    let through = sums[thread];
    if thread == THREADS - 1u && through < k {
        cuts[query] = Cut(BINS - 1u, k, 0u, ALL);
    }
    var running = through - own;
    if running < k && through >= k {
        for (var bin = 0u; bin < BINS_A_THREAD; bin += 1u) {
            let wanted = k - running;
            running += atomicLoad(&histogram[first + bin]);
            if running >= k {
                let crowded = select(0u, 1u, running > batch.cap && batch.ordered > 0u);
                cuts[query] = Cut(thread * BINS_A_THREAD + bin, wanted, crowded, ALL);
                break;
            }
        }
    }
    for (var bin = 0u; bin < BINS_A_THREAD; bin += 1u) {
        atomicStore(&histogram[first + bin], 0u);
    }
}

// Places in the bank, in as many buckets as there are bins. Where ids rise with places, the wanted of a bin whose
// scores are equal are those of the first buckets.
fn bucket_of(place: u32) -> u32 {
    return place / ((batch.ordered + BINS - 1u) / BINS);
}

// The first bucket where the running count reaches what is wanted of the cut's bin. The histogram holds nothing for a
// query that is not crowded, and its cut stays as it is.
fn find_bucket(query: u32, thread: u32) {
    let own = sum_up(query, thread);
    let wanted = cuts[query].wanted;
    let through = sums[thread];
    var running = through - own;
    if running < wanted && through >= wanted {
        for (var bin = 0u; bin < BINS_A_THREAD; bin += 1u) {
            running += atomicLoad(&histogram[query * BINS + thread * BINS_A_THREAD + bin]);
            if running >= wanted {
                cuts[query].bucket = thread * BINS_A_THREAD + bin;
                break;
            }
        }
    }
}
