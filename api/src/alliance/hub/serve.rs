//! Running the hub: opened whole, then served until SIGTERM; at the end requests are answered, queries written, and a last
//! checkpoint signed. A kill at any point costs nothing that was answered.

use super::config::HubConfig;
use super::entry::Entry;
use super::epoch::Epochs;
use super::evaluate::Asking;
use super::metrics::Metrics;
use super::ops;
use super::place;
use super::routes::{App, router};
use super::server::{self, Bounds};
use super::state::{Hub, now_ms};
use crate::alliance::folder::Held;
use crate::alliance::tls::server_config;
use crate::http::server::signalled;
use anyhow::{Context, Result, bail};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// How long the log may be without a checkpoint over what was promised before the hub is not ready.
const BEHIND: Duration = Duration::from_secs(5);

/// Serves until it is asked to end.
///
/// # Errors
/// A folder that is not whole, that another process serves, or that was copied; an address that cannot be bound.
pub fn run(config: HubConfig) -> Result<()> {
    let held = Held::take(&config.folder)?;
    if !place::is_here(&held)? {
        bail!(
            "{}: this folder was copied or restored. Members may have seen more than is in it, and going on would make a \
             second history. Show it what they have seen: interdict hub resume --config … --seen FILE",
            held.path().display()
        );
    }
    place::settle(&held)?;
    // Bound first: a port in use must not cost a replay.
    let listener =
        std::net::TcpListener::bind(config.listen).with_context(|| format!("binding {}", config.listen))?;
    listener.set_nonblocking(true)?;
    let metrics = Arc::new(Metrics::new());
    let hub = Arc::new(Hub::open(config, held, metrics)?);
    let epochs = Arc::new(Epochs::open(&hub)?);
    let asking = Arc::new(Asking::start(&hub)?);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(cores.min(4)).enable_all().build()?;
    let served = runtime.block_on(serve(listener, &hub, &epochs, &asking, cores));
    runtime.shutdown_timeout(Duration::from_secs(1));
    asking.end();
    if !hub.is_halted() {
        hub.queries.checkpoint(now_ms())?;
    }
    tracing::info!("drained");
    served
}

async fn serve(
    listener: std::net::TcpListener,
    hub: &Arc<Hub>,
    epochs: &Arc<Epochs>,
    asking: &Arc<Asking>,
    cores: usize,
) -> Result<()> {
    let section = &hub.config.hub;
    let (stop, stopped) = watch::channel(false);
    if let Some(address) = hub.config.ops {
        let address = ops::start(address, hub.metrics.clone(), ready(hub.clone()), stopped.clone()).await?;
        tracing::info!(%address, "operations");
    }
    let tls = Arc::new(server_config(hub.keys.ring.identity()?, hub.callers.pins().clone())?);
    let time_max = Duration::from_millis(section.request_ms_max);
    let entry =
        Entry::new(hub.callers.clone(), hub.metrics.clone(), section.requests_per_member_max, time_max);
    let working = Semaphore::new((2 * cores).max(4));
    let app = App {
        hub: hub.clone(),
        epochs: epochs.clone(),
        asking: asking.clone(),
        working,
        filing: Default::default(),
    };
    let routes = router(Arc::new(app), Arc::new(entry));
    let building = tokio::spawn(build(hub.clone(), epochs.clone(), stopped.clone()));
    let bounds = Bounds {
        connections_max: section.connections_max,
        per_member_max: section.connections_per_member_max,
    };
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let address = listener.local_addr()?;
    tracing::info!(%address, alliance = hub.alliance(), leaves = hub.governance.size(), "listening");
    tokio::spawn(async move {
        signalled().await;
        let _ = stop.send(true);
    });
    let drain = Duration::from_millis(section.drain_ms);
    server::serve(listener, tls, routes, bounds, stopped, drain).await?;
    building.await.context("building epochs")
}

/// Looks for something new, again and again.
async fn build(hub: Arc<Hub>, epochs: Arc<Epochs>, mut stop: watch::Receiver<bool>) {
    let every = Duration::from_millis(hub.config.hub.epochs.every_ms);
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(every) => {}
        }
        let (hub, epochs) = (hub.clone(), epochs.clone());
        let built = tokio::task::spawn_blocking(move || {
            epochs.build_due(&hub).inspect_err(|error| {
                hub.metrics.failed("epoch");
                tracing::error!("no epoch was built: {error:#}");
            })
        });
        if built.await.is_err() {
            tracing::error!("building an epoch ended with a fault");
        }
    }
}

fn ready(hub: Arc<Hub>) -> ops::Ready {
    let behind = parking_lot::Mutex::new(None::<std::time::Instant>);
    Arc::new(move || {
        if hub.is_halted() {
            return Err("the hub has stopped writing; its log says why".to_owned());
        }
        let mut since = behind.lock();
        if hub.queries.size() == hub.queries.published_size() {
            *since = None;
            return Ok(());
        }
        match since.get_or_insert_with(std::time::Instant::now).elapsed() > BEHIND {
            true => Err("queries wait for a checkpoint".to_owned()),
            false => Ok(()),
        }
    })
}
