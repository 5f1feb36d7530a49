//! The pipelines of every search, compiled once. Two bind groups: what a batch needs (queries, hits, histogram,
//! cuts), made once a device, and a bank's shard, made once an upload; a dispatch binds and allocates nothing new.

use super::{Fault, Gpu};
use crate::shader::Search;

/// The compiled shaders of one device.
#[derive(Debug)]
pub(crate) struct Pipelines {
    pub batch_layout: wgpu::BindGroupLayout,
    pub names_layout: wgpu::BindGroupLayout,
    pub vectors_layout: wgpu::BindGroupLayout,
    stages: Vec<Vec<wgpu::ComputePipeline>>,
}

impl Pipelines {
    pub(crate) fn new(gpu: &Gpu) -> Result<Self, Fault> {
        gpu.guarded(|| {
            let batch_layout = layout(gpu, "batch", &[READ, WRITE, WRITE, WRITE]);
            let names_layout = layout(gpu, "names", &[UNIFORM, READ, READ, READ]);
            let vectors_layout = layout(gpu, "vectors", &[UNIFORM, READ]);
            let stages = Search::ALL
                .iter()
                .map(|&search| {
                    let bank = if search == Search::NameLcs { &names_layout } else { &vectors_layout };
                    compile(gpu, search, &batch_layout, bank)
                })
                .collect();
            Self { batch_layout, names_layout, vectors_layout, stages }
        })
    }

    /// The pipelines of `search` in the order in which they run.
    pub(crate) fn of(&self, search: Search) -> &[wgpu::ComputePipeline] {
        &self.stages[search as usize]
    }
}

const READ: wgpu::BufferBindingType = wgpu::BufferBindingType::Storage { read_only: true };
const WRITE: wgpu::BufferBindingType = wgpu::BufferBindingType::Storage { read_only: false };
const UNIFORM: wgpu::BufferBindingType = wgpu::BufferBindingType::Uniform;

fn layout(gpu: &Gpu, label: &str, bindings: &[wgpu::BufferBindingType]) -> wgpu::BindGroupLayout {
    let entries: Vec<_> = (0u32..)
        .zip(bindings)
        .map(|(binding, ty)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty: *ty, has_dynamic_offset: false, min_binding_size: None },
            count: None,
        })
        .collect();
    gpu.device
        .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(label), entries: &entries })
}

fn compile(
    gpu: &Gpu,
    search: Search,
    batch: &wgpu::BindGroupLayout,
    bank: &wgpu::BindGroupLayout,
) -> Vec<wgpu::ComputePipeline> {
    let module = gpu.device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(search.name()),
        source: wgpu::ShaderSource::Wgsl(search.wgsl().into()),
    });
    let layout = gpu.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(search.name()),
        bind_group_layouts: &[Some(batch), Some(bank)],
        immediate_size: 0,
    });
    search
        .entries()
        .iter()
        .map(|entry| {
            gpu.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(entry),
                layout: Some(&layout),
                module: &module,
                entry_point: Some(entry),
                compilation_options: Default::default(),
                cache: None,
            })
        })
        .collect()
}
