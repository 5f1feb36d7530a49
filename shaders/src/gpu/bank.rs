//! A bank in device memory, in shards of whole blocks that fit one binding. Written once; dropped with its last
//! reference.

use std::time::Duration;

use super::{Fault, FaultKind, Gpu, Opaque, Pipelines};
use crate::layout::batch::Shard;
use crate::layout::{Columns, LANES, NameBank};

/// Bytes handed to the driver between two waits: bounds the staging memory of an upload.
const CHUNK_BYTES: usize = 32 << 20;
/// An upload of one chunk that takes longer has failed (PCIe moves it in 2 ms).
const CHUNK_WAIT: Duration = Duration::from_secs(10);

/// A bank on one device.
#[derive(Debug)]
pub(crate) struct GpuBank {
    pub shards: Vec<ShardOnGpu>,
    /// Vectors, if their ids rise with their places, so that of equal scores the first are wanted; else 0.
    pub ordered: u32,
}

/// One shard and its bindings.
#[derive(Debug)]
pub(crate) struct ShardOnGpu {
    pub shard: Shard,
    pub bind_group: Opaque<wgpu::BindGroup>,
}

impl GpuBank {
    /// Uploads a bank of names.
    pub(crate) fn names(gpu: &Gpu, pipelines: &Pipelines, bank: &NameBank) -> Result<Self, Fault> {
        let limit = limit_words(gpu)?;
        let mut shards = Vec::new();
        let mut first = 0;
        while first < bank.blocks().len() {
            let start = bank.blocks()[first].word_offset as usize;
            let end_of = |block: usize| {
                let block = bank.blocks()[block];
                block.word_offset as usize + block.chunks as usize * LANES
            };
            let mut end = first + 1;
            while end < bank.blocks().len() && end_of(end) - start <= limit {
                end += 1;
            }
            let shard = shard_of(first, end, bank.len(), start);
            let words = upload(gpu, "names", bytemuck::cast_slice(&bank.words()[start..end_of(end - 1)]))?;
            let blocks = upload(gpu, "blocks", bytemuck::cast_slice(&bank.blocks()[first..end]))?;
            let lengths = upload(gpu, "lengths", &bank.lengths()[first * LANES..end * LANES])?;
            let bind_group = bind(gpu, &pipelines.names_layout, shard, &[&words, &blocks, &lengths])?;
            shards.push(ShardOnGpu { shard, bind_group: Opaque::new(bind_group) });
            first = end;
        }
        Ok(Self { shards, ordered: 0 })
    }

    /// Uploads a bank of fingerprints or vectors.
    pub(crate) fn vectors<const WORDS: usize>(
        gpu: &Gpu,
        pipelines: &Pipelines,
        bank: &Columns<WORDS>,
    ) -> Result<Self, Fault> {
        let block_words = WORDS * LANES;
        let step = limit_words(gpu)? / block_words;
        let mut shards = Vec::new();
        for first in (0..bank.blocks_len()).step_by(step) {
            let end = (first + step).min(bank.blocks_len());
            let shard = shard_of(first, end, bank.len(), first * block_words);
            let words = &bank.words()[first * block_words..end * block_words];
            let words = upload(gpu, "vectors", bytemuck::cast_slice(words))?;
            let bind_group = bind(gpu, &pipelines.vectors_layout, shard, &[&words])?;
            shards.push(ShardOnGpu { shard, bind_group: Opaque::new(bind_group) });
        }
        let ordered = if bank.ids().is_sorted() { bank.len() as u32 } else { 0 };
        Ok(Self { shards, ordered })
    }
}

fn shard_of(first: usize, end: usize, bank_len: usize, first_word: usize) -> Shard {
    Shard {
        first: (first * LANES) as u32,
        count: ((end * LANES).min(bank_len) - first * LANES) as u32,
        blocks: (end - first) as u32,
        first_word: first_word as u32,
    }
}

/// Words that one binding may show: at least one block of either kind, which is 4 KiB at the longest.
fn limit_words(gpu: &Gpu) -> Result<usize, Fault> {
    let words = (gpu.facts.binding_bytes_max / 4) as usize;
    if words < 16 * LANES {
        let detail = format!("bindings of {} bytes, a block needs 4096", gpu.facts.binding_bytes_max);
        return Err(Fault::new(FaultKind::Validation, detail));
    }
    Ok(words)
}

fn upload(gpu: &Gpu, label: &'static str, bytes: &[u8]) -> Result<wgpu::Buffer, Fault> {
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
    let buffer = gpu.buffer(label, bytes.len() as u64, usage)?;
    for (index, chunk) in bytes.chunks(CHUNK_BYTES).enumerate() {
        gpu.guarded(|| {
            gpu.queue.write_buffer(&buffer, (index * CHUNK_BYTES) as u64, chunk);
            let submission = gpu.queue.submit([]);
            gpu.device
                .poll(wgpu::PollType::Wait { submission_index: Some(submission), timeout: Some(CHUNK_WAIT) })
        })?
        .map_err(|e| Fault::waiting(label, &e))?;
    }
    Ok(buffer)
}

fn bind(
    gpu: &Gpu,
    layout: &wgpu::BindGroupLayout,
    shard: Shard,
    buffers: &[&wgpu::Buffer],
) -> Result<wgpu::BindGroup, Fault> {
    let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
    let uniform = gpu.buffer("shard", size_of::<Shard>() as u64, usage)?;
    gpu.guarded(|| {
        gpu.queue.write_buffer(&uniform, 0, bytemuck::bytes_of(&shard));
        let buffers = std::iter::once(&uniform).chain(buffers.iter().copied());
        let entries: Vec<_> = (0u32..)
            .zip(buffers)
            .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
            .collect();
        gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("shard"),
            layout,
            entries: &entries,
        })
    })
}
