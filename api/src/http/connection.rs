//! A connection from its beginning: as long as it carries `POST /v1/decisions` in the usual form, requests are read
//! here, wait for their turn, and are answered with one write; a refusal costs no more than its bytes. With the first
//! request of another kind the connection is handed over to hyper, for good.

use super::auth::Role;
use super::decisions::{Asked, Carried, answer, turn_of};
use super::problem::Problem;
use super::wire::{self, Heads, Read, Rendered, Request};
use super::{App, overloaded};
use crate::node::intake::Refusal;
use crate::node::turns::Turn;
use interdict_ingest::RequestContext;
use std::cell::RefCell;
use std::io::Cursor;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

/// What most requests fit into; a connection keeps so much.
const BUFFER_BYTES: usize = 4096;

/// A connection's two ways.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection that hyper serves, what was read of it before included.
pub type Handed = (Box<dyn Duplex>, SocketAddr);

/// What connections share.
pub struct Front {
    app: Arc<App>,
    hand_over: mpsc::Sender<Handed>,
    draining: AtomicBool,
    busy: AtomicUsize,
}

impl Front {
    /// Before a router that serves what is handed over.
    pub fn new(app: Arc<App>, hand_over: mpsc::Sender<Handed>) -> Front {
        Front { app, hand_over, draining: AtomicBool::new(false), busy: AtomicUsize::new(0) }
    }
    /// From now on each connection ends with its next answer.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }
    /// Whether no request is being answered here.
    pub fn is_idle(&self) -> bool {
        self.busy.load(Ordering::Acquire) == 0
    }

    /// Serves a connection to its end, or until it is handed over.
    pub async fn serve(&self, mut stream: impl Duplex + 'static, from: SocketAddr) {
        let mut buffer = Vec::with_capacity(BUFFER_BYTES);
        let mut out = Vec::new();
        let mut carried = None;
        loop {
            let needed = match wire::read(&buffer) {
                Read::Whole(request) => {
                    let len = request.len;
                    let is_last = self.answer(&mut stream, &request, &mut carried, &mut out).await;
                    if is_last {
                        return;
                    }
                    buffer.drain(..len);
                    buffer.shrink_to(BUFFER_BYTES);
                    out.shrink_to(BUFFER_BYTES);
                    if !buffer.is_empty() {
                        continue;
                    }
                    None
                }
                Read::Part(needed) => needed,
                Read::Other => break,
            };
            let room = needed.map_or(BUFFER_BYTES, |needed| needed - buffer.len());
            buffer.reserve(room);
            match stream.read_buf(&mut buffer).await {
                Ok(0) if buffer.is_empty() => return,
                // Half a request and then an end: nobody waits for an answer.
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        let (read, write) = tokio::io::split(stream);
        let whole = tokio::io::join(Cursor::new(buffer).chain(read), write);
        // Nobody takes it only when the node stops.
        drop(self.hand_over.send((Box::new(whole), from)).await);
    }

    /// Answers one request; whether the connection ends with it.
    async fn answer(
        &self,
        stream: &mut (impl AsyncWrite + Unpin),
        request: &Request<'_>,
        carried: &mut Option<Carried>,
        out: &mut Vec<u8>,
    ) -> bool {
        let _busy = Busy::new(&self.busy);
        let answered = self.decide(request, carried).await;
        let is_last = self.draining.load(Ordering::Acquire);
        out.clear();
        let began = self.app.node.clock.now();
        HEADS.with_borrow_mut(|heads| match &answered {
            Ok(body) => heads.json(body, is_last, out),
            Err(Failed::Overloaded) if !is_last => heads.rendered(&OVERLOADED, out),
            Err(Failed::Overloaded) => heads.problem(&overloaded(Refusal::Express), is_last, out),
            Err(Failed::Problem(problem)) => heads.problem(problem, is_last, out),
        });
        let written = stream.write_all(out).await;
        if matches!(answered, Err(Failed::Overloaded)) {
            let took = self.app.node.clock.now().saturating_duration_since(began);
            self.app.entry.refused_in(took);
        }
        self.app.entry.go_on();
        written.is_err() || is_last
    }
    async fn decide(&self, request: &Request<'_>, carried: &mut Option<Carried>) -> Result<Vec<u8>, Failed> {
        let app = &*self.app;
        let arrived = app.node.clock.now();
        let caller = app.keys.caller_with(request.authorization, request.api_key, &[Role::Submit])?;
        let context = RequestContext {
            tenant: request.tenant,
            idempotency_key: request.idempotency_key,
            deadline_ms: request.deadline_ms,
            default_tenant: caller.tenant.as_deref().unwrap_or("default"),
        };
        let lag = app.lag.now(arrived);
        let asked = Asked { caller: &caller, context, body: request.body, arrived, lag };
        let (turn, slot) = turn_of(app, &asked, carried.as_ref()).await;
        if turn == Turn::Refused {
            return Err(Failed::Overloaded);
        }
        Ok(answer(app, &asked, turn, slot, carried).await?)
    }
}

/// Why there is no answer.
enum Failed {
    Overloaded,
    Problem(Box<Problem>),
}
impl From<Problem> for Failed {
    fn from(problem: Problem) -> Failed {
        Failed::Problem(Box::new(problem))
    }
}

static OVERLOADED: LazyLock<Rendered> = LazyLock::new(|| Rendered::of(&overloaded(Refusal::Express)));
thread_local! {
    static HEADS: RefCell<Heads> = RefCell::default();
}

struct Busy<'a>(&'a AtomicUsize);
impl<'a> Busy<'a> {
    fn new(count: &'a AtomicUsize) -> Busy<'a> {
        count.fetch_add(1, Ordering::AcqRel);
        Busy(count)
    }
}
impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
