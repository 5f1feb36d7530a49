//! Notices of holds to others' servers, as the Standard Webhooks specification has them: signed, at least once, in order,
//! tried again, given up in the end. A thread an endpoint, beside the path; what is not delivered waits in the journal,
//! so a dead receiver costs neither payments nor memory. Formats: `docs/formats/webhooks.md`.

pub mod notice;
pub mod url;
pub mod secret;
pub mod client;
pub mod cursor;
pub mod dead;
pub mod figures;
mod permits;
pub mod worker;
#[cfg(test)]
mod receiver;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;

pub use figures::{Figures, Summary};
pub use notice::{Notice, NoticeKind, Page, Source};
pub use url::check_url;

use crate::config::Loaded;
use crate::config::outward::{EndpointSection, WebhooksSection};
use anyhow::{Context, Result};
use client::{Client, Roots};
use cursor::Cursor;
use dead::Dead;
use permits::Permits;
use secret::Secrets;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use worker::{Endpoint, Worker};

/// How long an end waits for requests under way; what is then not answered is sent again after the next start.
const END_WAIT: Duration = Duration::from_secs(2);

/// The endpoints of a configuration, ready and not yet at work.
pub struct Webhooks {
    endpoints: Vec<Endpoint>,
    figures: Figures,
    in_flight_max: usize,
}

impl Webhooks {
    /// Reads secrets and roots, so that a wrong one is an error at start.
    ///
    /// # Errors
    /// A secret or root file that does not read, by endpoint.
    pub fn open(data: &Path, loaded: &Loaded) -> Result<Webhooks> {
        Webhooks::of(data, &loaded.config.webhooks, &|path| loaded.resolve(path))
    }

    /// As `open`, with the section itself.
    fn of(data: &Path, section: &WebhooksSection, resolve: &dyn Fn(&Path) -> PathBuf) -> Result<Webhooks> {
        let needs_roots = section.endpoints.values().any(|endpoint| url::is_https(&endpoint.url));
        let roots =
            needs_roots.then(|| Roots::load(section.tls_roots.as_deref().map(resolve))).transpose()?;
        let endpoints = section.endpoints.iter().map(|(name, settings)| {
            endpoint(data, name, settings, section.dead_max, roots.clone(), resolve)
                .with_context(|| format!("webhooks.endpoints.{name}"))
        });
        let endpoints = endpoints.collect::<Result<Vec<Endpoint>>>()?;
        let figures = Figures::new(endpoints.iter().map(|endpoint| endpoint.name.clone()));
        for (endpoint, (_, own)) in endpoints.iter().zip(figures.endpoints.iter()) {
            own.dead.store(endpoint.dead.count()? as u64, Ordering::Relaxed);
        }
        Ok(Webhooks { endpoints, figures, in_flight_max: section.in_flight_max })
    }

    /// Whether no endpoint is configured.
    pub fn is_empty(&self) -> bool {
        self.endpoints.is_empty()
    }
    /// For the metrics.
    pub fn figures(&self) -> Figures {
        self.figures.clone()
    }
    /// Sends one dead letter's notice, once.
    ///
    /// # Errors
    /// No such endpoint.
    pub fn send_once(&self, name: &str, notice: &Notice) -> Result<client::Answer> {
        let endpoint = self.endpoints.iter().find(|endpoint| endpoint.name == name);
        let endpoint = endpoint.with_context(|| format!("no endpoint {name:?} is configured"))?;
        let now_s = crate::node::now_ms().div_euclid(1000);
        Ok(endpoint.client.post(&notice.id, &notice.bytes(), now_s))
    }

    /// Begins to deliver, a thread an endpoint.
    pub fn start(self, source: Arc<dyn Source>) -> Running {
        let stop = Arc::new(AtomicBool::new(false));
        let permits = Arc::new(Permits::new(self.in_flight_max));
        self.figures.follow(source.clone());
        let threads = self.endpoints.into_iter().enumerate().map(|(place, endpoint)| {
            let (figures, permits, stop) = (self.figures.clone(), permits.clone(), stop.clone());
            let (worker, source) = (Worker { endpoint, place, figures, permits, stop }, source.clone());
            std::thread::Builder::new()
                .name("webhook".into())
                .spawn(move || worker.run(&*source))
                .expect("the system gives a thread at start")
        });
        Running { threads: threads.collect(), stop }
    }
}

fn endpoint(
    data: &Path,
    name: &str,
    settings: &EndpointSection,
    dead_max: usize,
    roots: Option<Roots>,
    resolve: &dyn Fn(&Path) -> PathBuf,
) -> Result<Endpoint> {
    let secrets = Secrets::load(settings, resolve)?;
    let timeout = Duration::from_millis(settings.timeout_ms);
    let known = |kind: &String| NoticeKind::by_name(kind).with_context(|| format!("unknown kind {kind:?}"));
    Ok(Endpoint {
        name: name.to_owned(),
        kinds: settings.kinds.iter().map(known).collect::<Result<_>>()?,
        client: Client::new(&settings.url, secrets, timeout, settings.in_flight, roots),
        cursor: Cursor::of(data, name),
        dead: Dead::of(data, name, dead_max),
        gone: worker::gone_path(data, name),
        settings: settings.clone(),
    })
}

/// Endpoints at work; asked to end when dropped.
pub struct Running {
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl Running {
    /// Ends them: each writes its cursor. One that waits for an answer is waited for two seconds at most; what it was
    /// sending is sent again after the next start.
    pub fn end(mut self) {
        self.stop.store(true, Ordering::Release);
        let until = Instant::now() + END_WAIT;
        for thread in self.threads.drain(..) {
            while !thread.is_finished() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(5));
            }
            if thread.is_finished() {
                // A panic has been reported by its own hook.
                drop(thread.join());
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}
