//! One batch, from queries to hits: write, dispatch over every shard, copy out, wait. One batch is in flight at a
//! time, so the buffers are made once.

use std::sync::mpsc;
use std::time::Duration;

use super::{Fault, FaultKind, Gpu, GpuBank, Pipelines};
use crate::layout::batch::{BINS, BatchHead, HITS_MAX, NameItem, QUERIES_MAX, RawHit, Shard, THREADS, TILE};
use crate::layout::{HAMMING_MAX, LANES};
use crate::shader::Search;

/// Workgroups of one dispatch over a bank: enough to fill any card of today (an H200 has 132 processors of eight
/// such groups), few enough that a histogram is flushed seldom. Each group then walks the bank in strides.
const GROUPS_MAX: u32 = 2048;
const COUNTS_BYTES: u64 = (QUERIES_MAX * size_of::<u32>()) as u64;
const QUERY_HITS_BYTES: u64 = (HITS_MAX * size_of::<RawHit>()) as u64;
/// `Cut` in WGSL.
const CUT_BYTES: u64 = 16;
const QUERY_BINS_BYTES: u64 = (BINS * size_of::<u32>()) as u64;

/// Queries that run together.
pub(crate) struct Batch<'a> {
    pub search: Search,
    pub bank: &'a GpuBank,
    pub head: BatchHead,
    /// The queries' items, one after another.
    pub items: &'a [u8],
}

/// What one query found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Hits counted, those beyond the cap included.
    pub count: u32,
    /// The hits, in no order; more than the cap were found where these are fewer than `count`.
    pub hits: Vec<RawHit>,
}

/// The buffers of the batch in flight.
#[derive(Debug)]
pub(crate) struct Runner {
    batch: wgpu::Buffer,
    hits: wgpu::Buffer,
    histogram: wgpu::Buffer,
    staging: wgpu::Buffer,
    bind_group: wgpu::BindGroup,
}

impl Runner {
    pub(crate) fn new(gpu: &Gpu, pipelines: &Pipelines) -> Result<Self, Fault> {
        use wgpu::BufferUsages as Use;
        let queries = QUERIES_MAX as u64;
        let batch_bytes = (size_of::<BatchHead>() + QUERIES_MAX * size_of::<NameItem>()) as u64;
        let hits_bytes = COUNTS_BYTES + queries * QUERY_HITS_BYTES;
        let batch = gpu.buffer("batch", batch_bytes, Use::STORAGE | Use::COPY_DST)?;
        let hits = gpu.buffer("hits", hits_bytes, Use::STORAGE | Use::COPY_DST | Use::COPY_SRC)?;
        let histogram = gpu.buffer("histogram", queries * QUERY_BINS_BYTES, Use::STORAGE | Use::COPY_DST)?;
        let cuts = gpu.buffer("cuts", queries * CUT_BYTES, Use::STORAGE)?;
        let staging = gpu.buffer("staging", hits_bytes, Use::MAP_READ | Use::COPY_DST)?;
        let bind_group = gpu.guarded(|| {
            let buffers = [&batch, &hits, &histogram, &cuts];
            let entries: Vec<_> = (0u32..)
                .zip(buffers)
                .map(|(binding, buffer)| wgpu::BindGroupEntry {
                    binding,
                    resource: buffer.as_entire_binding(),
                })
                .collect();
            gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some("batch"),
                layout: &pipelines.batch_layout,
                entries: &entries,
            })
        })?;
        Ok(Self { batch, hits, histogram, staging, bind_group })
    }

    /// Runs one batch to its end, at most `timeout` after its submission.
    pub(crate) fn run(
        &self,
        gpu: &Gpu,
        pipelines: &Pipelines,
        batch: &Batch<'_>,
        timeout: Duration,
    ) -> Result<Vec<Found>, Fault> {
        let queries = batch.head.queries as usize;
        let bytes = COUNTS_BYTES + queries as u64 * QUERY_HITS_BYTES;
        gpu.guarded(|| self.submit(gpu, pipelines, batch, bytes)).and_then(|submission| {
            let (mapped, is_mapped) = mpsc::sync_channel(1);
            gpu.guarded(|| {
                self.staging.slice(..bytes).map_async(wgpu::MapMode::Read, move |result| {
                    drop(mapped.send(result));
                });
                let wait =
                    wgpu::PollType::Wait { submission_index: Some(submission), timeout: Some(timeout) };
                gpu.device.poll(wait)
            })?
            .map_err(|e| Fault::waiting("a batch", &e))?;
            // Not try_recv: a thread that uploads polls the same device, may have taken this callback with it, and
            // runs it in a moment.
            match is_mapped.recv_timeout(timeout) {
                Ok(Ok(())) => self.read(bytes, queries),
                Ok(Err(e)) => Err(Fault::new(FaultKind::Lost, format!("results were not mapped: {e}"))),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    Err(Fault::new(FaultKind::Timeout, "results were not mapped though the batch has ended"))
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    Err(Fault::new(FaultKind::Lost, "results will not be mapped"))
                }
            }
        })
    }

    fn submit(
        &self,
        gpu: &Gpu,
        pipelines: &Pipelines,
        batch: &Batch<'_>,
        bytes: u64,
    ) -> wgpu::SubmissionIndex {
        let head = &batch.head;
        gpu.queue.write_buffer(&self.batch, 0, bytemuck::bytes_of(head));
        gpu.queue.write_buffer(&self.batch, size_of::<BatchHead>() as u64, batch.items);
        let mut encoder = gpu.device.create_command_encoder(&Default::default());
        encoder.clear_buffer(&self.hits, 0, Some(COUNTS_BYTES));
        let stages = pipelines.of(batch.search);
        if stages.len() > 1 {
            encoder.clear_buffer(&self.histogram, 0, Some(u64::from(head.queries) * QUERY_BINS_BYTES));
        }
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_bind_group(0, &self.bind_group, &[]);
        for (entry, pipeline) in batch.search.entries().iter().zip(stages) {
            pass.set_pipeline(pipeline);
            if Search::runs_once(entry) {
                // The cut of each query, once for all shards; the pass keeps the order of the dispatches.
                if let Some(shard) = batch.bank.shards.first() {
                    pass.set_bind_group(1, &*shard.bind_group, &[]);
                    pass.dispatch_workgroups(1, head.queries, 1);
                }
                continue;
            }
            for shard in &batch.bank.shards {
                let groups = groups(batch.search, head, &shard.shard).min(GROUPS_MAX);
                if groups > 0 {
                    pass.set_bind_group(1, &*shard.bind_group, &[]);
                    pass.dispatch_workgroups(groups, head.queries.div_ceil(TILE as u32), 1);
                }
            }
        }
        drop(pass);
        encoder.copy_buffer_to_buffer(&self.hits, 0, &self.staging, 0, Some(bytes));
        gpu.queue.submit([encoder.finish()])
    }

    fn read(&self, bytes: u64, queries: usize) -> Result<Vec<Found>, Fault> {
        let found = {
            let view = self
                .staging
                .slice(..bytes)
                .get_mapped_range()
                .map_err(|e| Fault::new(FaultKind::Internal, e.to_string()))?;
            let (counts, hits) = view.split_at(COUNTS_BYTES as usize);
            let counts: &[u32] = bytemuck::cast_slice(counts);
            let hits: &[RawHit] = bytemuck::cast_slice(hits);
            counts
                .iter()
                .zip(hits.chunks_exact(HITS_MAX))
                .take(queries)
                .map(|(&count, hits)| Found { count, hits: hits[..HITS_MAX.min(count as usize)].to_vec() })
                .collect()
        };
        self.staging.unmap();
        Ok(found)
    }
}

/// Workgroups that cover the part of `shard` that the batch reads.
fn groups(search: Search, head: &BatchHead, shard: &Shard) -> u32 {
    if search != Search::NameLcs {
        return shard.count.div_ceil(THREADS as u32);
    }
    let first = shard.first / LANES as u32;
    let low = head.block_low.max(first);
    let high = head.block_high.min(first + shard.blocks);
    high.saturating_sub(low).div_ceil((THREADS / LANES) as u32)
}

// A Hamming distance is its own bin.
const _: () = assert!((HAMMING_MAX as usize) < BINS);
