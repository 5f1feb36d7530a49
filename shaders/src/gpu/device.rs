//! Finds an adapter and opens its device. The handlers of lost devices and uncaptured errors are installed before
//! the first call: wgpu's own would end the process.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::{Fault, FaultKind, Health, NoGpu};

/// What the driver says of the adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterFacts {
    /// Its name, such as `NVIDIA H200`.
    pub name: String,
    /// `discrete`, `integrated`, `virtual`, `software` or `other`.
    pub device_type: &'static str,
    /// The driver and its version.
    pub driver: String,
    /// The adapter is a program on this CPU.
    pub is_software: bool,
    /// Largest part of a buffer that one binding may show, in bytes: the size of a bank's shard.
    pub binding_bytes_max: u64,
    /// Largest buffer, in bytes.
    pub buffer_bytes_max: u64,
    /// Workgroup memory, in bytes.
    pub workgroup_bytes_max: u32,
    /// Invocations of one workgroup.
    pub workgroup_threads_max: u32,
    /// Workgroups in one dimension of a dispatch.
    pub workgroups_max: u32,
}

/// Which adapter is wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// Take a software adapter where there is no other.
    pub allow_software: bool,
    /// Bindings of at most this many bytes, however many the adapter allows.
    pub binding_bytes_max: Option<u64>,
    /// The share of device memory, in percent, past which buffers are refused.
    pub memory_percent_max: u8,
}

/// An open device.
#[derive(Debug)]
pub(crate) struct Gpu {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub facts: AdapterFacts,
    pub health: Arc<Health>,
}

/// wgpu answers these futures at once on native platforms; the bound is for a driver that does not.
const ANSWER_MAX: Duration = Duration::from_secs(10);

fn wait<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let started = Instant::now();
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Some(value);
        }
        if started.elapsed() > ANSWER_MAX {
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

impl Gpu {
    /// Opens the best adapter of this machine.
    pub(crate) fn open(wanted: Wanted) -> Result<Self, NoGpu> {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        descriptor.backends = wgpu::Backends::VULKAN;
        descriptor.flags = wgpu::InstanceFlags::empty();
        descriptor.memory_budget_thresholds.for_resource_creation = Some(wanted.memory_percent_max);
        let instance = wgpu::Instance::new(descriptor);
        let adapters = wait(instance.enumerate_adapters(wgpu::Backends::VULKAN))
            .ok_or_else(|| NoGpu::absent("the Vulkan loader did not answer in 10 s"))?;
        let Some(adapter) = adapters.into_iter().min_by_key(|adapter| rank(adapter.get_info().device_type))
        else {
            return Err(NoGpu::absent("no Vulkan loader, driver or adapter on this machine"));
        };
        let info = adapter.get_info();
        if info.device_type == wgpu::DeviceType::Cpu && !wanted.allow_software {
            let why =
                format!("the only adapter, {}, is software, slower than this CPU's own path", info.name);
            return Err(NoGpu::absent(why));
        }
        let limits = adapter.limits();
        let (device, queue) = wait(adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("interdict"),
            required_features: wgpu::Features::empty(),
            required_limits: limits.clone(),
            ..Default::default()
        }))
        .ok_or_else(|| Fault::new(FaultKind::Timeout, "the device did not open in 10 s"))
        .and_then(|opened| {
            opened.map_err(|e| Fault::new(FaultKind::Internal, format!("the device did not open: {e}")))
        })
        .map_err(|fault| NoGpu::failed(&info.name, fault))?;

        let health = Arc::new(Health::default());
        let on_error = Arc::clone(&health);
        device.on_uncaptured_error(Arc::new(move |error| on_error.retire(&Fault::from(error))));
        let on_lost = Arc::clone(&health);
        device.set_device_lost_callback(move |_, message| {
            on_lost.retire(&Fault::new(FaultKind::Lost, message));
        });
        let buffer_bytes_max = limits.max_buffer_size;
        let binding = limits.max_storage_buffer_binding_size.min(buffer_bytes_max);
        let facts = AdapterFacts {
            name: info.name,
            device_type: type_name(info.device_type),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            is_software: info.device_type == wgpu::DeviceType::Cpu,
            binding_bytes_max: wanted.binding_bytes_max.map_or(binding, |wanted| wanted.min(binding)),
            buffer_bytes_max,
            workgroup_bytes_max: limits.max_compute_workgroup_storage_size,
            workgroup_threads_max: limits.max_compute_invocations_per_workgroup,
            workgroups_max: limits.max_compute_workgroups_per_dimension,
        };
        Ok(Self { device, queue, facts, health })
    }

    /// Runs `work` and catches what wgpu has to say of it on this thread.
    pub(crate) fn guarded<T>(&self, work: impl FnOnce() -> T) -> Result<T, Fault> {
        let internal = self.device.push_error_scope(wgpu::ErrorFilter::Internal);
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let done = work();
        // Every scope is popped, in the order that wgpu demands, before the first error is looked at.
        let errors = [wait(memory.pop()), wait(validation.pop()), wait(internal.pop())];
        if let Some(error) = errors.into_iter().flatten().flatten().next() {
            return Err(Fault::from(error));
        }
        match self.health.why() {
            Some(fault) => Err(fault),
            None => Ok(done),
        }
    }

    /// A buffer of `bytes`, or why there is none.
    pub(crate) fn buffer(
        &self,
        label: &'static str,
        bytes: u64,
        usage: wgpu::BufferUsages,
    ) -> Result<wgpu::Buffer, Fault> {
        self.guarded(|| {
            self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size: bytes.next_multiple_of(4).max(16),
                usage,
                mapped_at_creation: false,
            })
        })
    }
}

/// Real hardware first, the faster kind before the slower.
fn rank(device_type: wgpu::DeviceType) -> u8 {
    match device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::VirtualGpu => 1,
        wgpu::DeviceType::IntegratedGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    }
}

const fn type_name(device_type: wgpu::DeviceType) -> &'static str {
    match device_type {
        wgpu::DeviceType::DiscreteGpu => "discrete",
        wgpu::DeviceType::VirtualGpu => "virtual",
        wgpu::DeviceType::IntegratedGpu => "integrated",
        wgpu::DeviceType::Other => "other",
        wgpu::DeviceType::Cpu => "software",
    }
}
