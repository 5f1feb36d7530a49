//! The real binary as a child process: started on a free port and a data folder, spoken to over HTTP, killed or asked
//! to end. A test names the binary with `env!("CARGO_BIN_EXE_interdict-under-test")`, which a library cannot.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Longest a start may take, recovery included.
const START_MAX: Duration = Duration::from_secs(120);
/// Longest a request may take.
const REQUEST_MAX: Duration = Duration::from_secs(30);

/// The configuration that travels with the repository.
pub fn default_config() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/default.toml")
}

/// How to start a node.
#[derive(Debug, Clone)]
pub struct Start {
    binary: PathBuf,
    config: PathBuf,
    data: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
}

impl Start {
    /// `binary serve --config CONFIG --data DATA --http 127.0.0.1:0`.
    pub fn new(binary: impl Into<PathBuf>, config: impl Into<PathBuf>, data: impl Into<PathBuf>) -> Start {
        Start {
            binary: binary.into(),
            config: config.into(),
            data: data.into(),
            args: Vec::new(),
            env: Vec::new(),
        }
    }
    /// With further arguments of `serve`.
    #[must_use]
    pub fn args(mut self, args: &[&str]) -> Start {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }
    /// With a variable of the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Start {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts and waits until `/readyz` says yes.
    ///
    /// # Errors
    /// When the process ends before that, or takes longer than 120 s; with what it logged.
    pub fn start(&self) -> Result<Running, String> {
        self.start_until("/readyz")
    }
    /// As [`Start::start`], but waits only until the node lives: for one that will not be ready.
    ///
    /// # Errors
    /// As there.
    pub fn start_unready(&self) -> Result<Running, String> {
        self.start_until("/healthz")
    }
    /// As [`Start::start`], but waits only until it listens: for one that is not spoken to in plain HTTP.
    ///
    /// # Errors
    /// As there.
    pub fn start_listening(&self) -> Result<Running, String> {
        self.start_until("")
    }
    fn start_until(&self, path: &str) -> Result<Running, String> {
        let mut child = Command::new(&self.binary)
            .args(["serve", "--http", "127.0.0.1:0", "--config"])
            .arg(&self.config)
            .arg("--data")
            .arg(&self.data)
            .args(&self.args)
            .env_remove("INTERDICT_LOG")
            .env_remove("INTERDICT_FAILPOINT")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| format!("{}: {e}", self.binary.display()))?;
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let (stderr, lines) = (child.stderr.take().expect("it was piped"), log.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                lines.lock().expect("nobody panics while holding it").push(line);
            }
        });
        let mut running = Running { child, address: String::new(), log };
        running.wait_until(path)?;
        Ok(running)
    }
}

/// A started node; killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    address: String,
    log: Arc<Mutex<Vec<String>>>,
}

impl Running {
    fn wait_until(&mut self, path: &str) -> Result<(), String> {
        let began = Instant::now();
        while began.elapsed() < START_MAX {
            if let Ok(Some(status)) = self.child.try_wait() {
                // The reading thread may have the last lines still to come.
                std::thread::sleep(Duration::from_millis(50));
                return Err(format!("it ended with {status} before it was ready:\n{}", self.log()));
            }
            if self.address.is_empty() {
                self.address = self.logged("listening address=").unwrap_or_default();
            } else if path.is_empty() || self.client().get(path).is_ok_and(|reply| reply.status == 200) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(3));
        }
        Err(format!("{path} was not answered 200 after {} s:\n{}", START_MAX.as_secs(), self.log()))
    }
    /// The rest of the word after a text that was logged, the first time it was.
    pub fn logged(&self, before: &str) -> Option<String> {
        let log = self.log.lock().expect("nobody panics while holding it");
        let rest = log.iter().find_map(|line| line.split_once(before).map(|(_, rest)| rest))?;
        rest.split_whitespace().next().map(str::to_owned)
    }
    /// Everything it has logged.
    pub fn log(&self) -> String {
        self.log.lock().expect("nobody panics while holding it").join("\n")
    }
    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }
    /// A client for it, with connections of its own.
    pub fn client(&self) -> Client {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(REQUEST_MAX))
            .max_idle_connections(4);
        Client { agent: config.build().into(), base: format!("http://{}", self.address) }
    }
    /// The process's id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
    /// `kill -9`, and waits for the end.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
    /// Sends a signal, by its name without `SIG`, to a process that has not been waited for.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let done = Command::new("kill").args([&format!("-{name}"), &pid]).status();
        assert!(done.is_ok_and(|status| status.success()), "kill -{name} {pid}");
    }
    /// SIGTERM, without waiting.
    pub fn ask_to_end(&self) {
        self.signal("TERM");
    }
    /// Waits for the end.
    ///
    /// # Errors
    /// When it takes longer.
    pub fn wait(&mut self, longest: Duration) -> Result<ExitStatus, String> {
        let began = Instant::now();
        while began.elapsed() < longest {
            match self.child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) => std::thread::sleep(Duration::from_millis(2)),
                Err(e) => return Err(e.to_string()),
            }
        }
        Err(format!("it did not end within {longest:?}:\n{}", self.log()))
    }
    /// SIGTERM, and waits up to 30 s for the end.
    ///
    /// # Errors
    /// When it takes longer.
    pub fn terminate(&mut self) -> Result<ExitStatus, String> {
        self.ask_to_end();
        self.wait(Duration::from_secs(30))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A client of a node.
#[derive(Debug, Clone)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub text: String,
}

impl Reply {
    /// The body as JSON; `Null` where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

impl Client {
    /// `GET path`.
    ///
    /// # Errors
    /// When no answer came; an HTTP error status is an answer.
    pub fn get(&self, path: &str) -> Result<Reply, String> {
        self.send("GET", path, &[], "")
    }
    /// `POST path` of JSON.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn post(&self, path: &str, body: &Value) -> Result<Reply, String> {
        self.send("POST", path, &[("content-type", "application/json")], body.to_string())
    }
    /// `PUT path` of JSON.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn put(&self, path: &str, body: &Value) -> Result<Reply, String> {
        self.send("PUT", path, &[("content-type", "application/json")], body.to_string())
    }
    /// Any request.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Result<Reply, String> {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.as_ref().to_vec();
        let sent = if body.is_empty() && method == "GET" {
            self.agent.run(request.body(()).map_err(|e| e.to_string())?)
        } else {
            self.agent.run(request.body(body).map_err(|e| e.to_string())?)
        };
        let mut response = sent.map_err(|e| e.to_string())?;
        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        let headers = headers.collect();
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string().map_err(|e| e.to_string())?;
        Ok(Reply { status, headers, text })
    }
}
