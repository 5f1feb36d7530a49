//! Who takes part: folders, commands and processes, each the real `interdict`.

use super::AllianceConfig;
use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Value, json};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Longest that anything may take which happens by itself.
const WAIT_MAX: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The demo's folder and all processes of it, which end with it.
pub(super) struct Cast {
    binary: PathBuf,
    pub work: PathBuf,
    hub_port: u16,
    running: Vec<(String, Child)>,
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Cast {
    pub fn new(config: &AllianceConfig) -> Result<Cast> {
        let work = &config.work;
        if work.exists() {
            fs::remove_dir_all(work).with_context(|| work.display().to_string())?;
        }
        fs::create_dir_all(work).with_context(|| work.display().to_string())?;
        let binary = fs::canonicalize(&config.binary)
            .with_context(|| format!("the binary {}", config.binary.display()))?;
        let work = fs::canonicalize(work)?;
        Ok(Cast { binary, work, hub_port: free_port()?, running: Vec::new() })
    }
    /// A path of the demo's folder, as text.
    pub fn at(&self, name: &str) -> String {
        self.work.join(name).display().to_string()
    }
    /// Where the hub listens.
    pub fn hub(&self) -> String {
        format!("https://127.0.0.1:{}", self.hub_port)
    }
    /// Writes the hub's configuration; its path.
    pub fn hub_config(&self) -> Result<String> {
        let text = format!(
            "[hub]\nlisten = \"127.0.0.1:{}\"\nfolder = \"hub\"\nops = \"127.0.0.1:{}\"\n\n[hub.epochs]\nevery_ms = 200\n\n\
             [hub.queries]\ncheckpoint_ms = 200\n",
            self.hub_port,
            free_port()?
        );
        fs::write(self.work.join("hub.toml"), text)?;
        Ok(self.at("hub.toml"))
    }

    /// Runs a command with `--json`; what it answers.
    pub fn run(&self, args: &[&str]) -> Result<Value> {
        let done = Command::new(&self.binary).args(args).output()?;
        let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        ensure!(done.status.success(), "interdict {}: {}{out}{err}", args.join(" "), done.status);
        serde_json::from_str(out.trim()).map_err(|e| anyhow!("interdict {}: {e}: {out}", args.join(" ")))
    }
    /// A command of a member.
    pub fn member(&self, name: &str, verb: &[&str]) -> Result<Value> {
        let folder = self.at(name);
        let (first, rest) = verb.split_first().context("a verb")?;
        // `member` and `statement` have verbs of their own.
        let (verb, rest) = match *first {
            "member" | "statement" | "receipt" => {
                let (second, rest) = rest.split_first().context("a verb")?;
                (vec![*first, *second], rest)
            }
            first => (vec![first], rest),
        };
        let all = [&["consortium"][..], &verb, &["--json", "--folder", &folder], rest].concat();
        self.run(&all)
    }

    /// Starts a process; its log is `NAME.log`.
    pub fn start(&mut self, name: &str, args: &[&str]) -> Result<()> {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log(name))?;
        let mut command = Command::new(&self.binary);
        command.args(args).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        command.env_remove("INTERDICT_LOG").env_remove("INTERDICT_VIRTUAL_CLOCK");
        let child = command.spawn().with_context(|| self.binary.display().to_string())?;
        self.running.push((name.to_owned(), child));
        Ok(())
    }
    fn log(&self, name: &str) -> PathBuf {
        self.work.join(format!("{name}.log"))
    }
    /// Ends a process as an operator would (SIGTERM), and waits for it.
    pub fn end(&mut self, name: &str) -> Result<()> {
        let at = self.running.iter().position(|(known, _)| known == name).context("it was started")?;
        let (_, mut child) = self.running.swap_remove(at);
        let asked = Command::new("kill").arg(child.id().to_string()).status()?;
        ensure!(asked.success(), "{name} had ended by itself");
        child.wait()?;
        Ok(())
    }
    /// Waits until something is so, with all processes alive.
    pub fn until(&mut self, what: &str, mut so: impl FnMut(&Cast) -> Result<bool>) -> Result<Duration> {
        let began = Instant::now();
        while !so(self)? {
            for (name, child) in &mut self.running {
                if let Some(status) = child.try_wait()? {
                    let log = fs::read_to_string(self.work.join(format!("{name}.log"))).unwrap_or_default();
                    let tail: Vec<&str> = log.lines().rev().take(5).collect();
                    bail!("{name} ended with {status} while waiting until {what}: {}", tail.join(" | "));
                }
            }
            ensure!(began.elapsed() < WAIT_MAX, "not within {WAIT_MAX:?}: {what}");
            thread::sleep(LOOK_EVERY);
        }
        Ok(began.elapsed())
    }
}

impl Drop for Cast {
    fn drop(&mut self) {
        for (_, child) in &mut self.running {
            // It may have ended.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// A bank's node.
pub(super) struct Node {
    port: u16,
}

impl Node {
    /// Starts the node of a member.
    pub fn start(cast: &mut Cast, member: &str) -> Result<Node> {
        let port = free_port()?;
        let dir = cast.work.join(format!("{member}-node"));
        fs::create_dir_all(&dir)?;
        let config = format!(
            "[consortium]\nfolder = \"../{member}\"\nsync_every_s = 1\nunconfirmed = \"hold\"\n\n\
             # The demo is not about deadlines.\n[decision]\ndeadline_ms = 60000\n\n\
             [decision.levers]\necommerce = \"cancel_capture\"\n"
        );
        let path = dir.join("interdict.toml");
        fs::write(&path, config)?;
        let (config, data) = (path.display().to_string(), dir.join("data").display().to_string());
        let http = format!("127.0.0.1:{port}");
        cast.start(
            &format!("{member}-node"),
            &["serve", "--config", &config, "--data", &data, "--http", &http],
        )?;
        let node = Node { port };
        cast.until("the node is ready", |_| Ok(node.get("/readyz").is_ok()))?;
        Ok(node)
    }
    fn get(&self, path: &str) -> Result<String> {
        let mut answer = ureq::get(format!("http://127.0.0.1:{}{path}", self.port)).call()?;
        Ok(answer.body_mut().read_to_string()?)
    }
    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let mut answer = ureq::post(url)
            .content_type("application/json")
            .send(body.to_string())
            .with_context(|| format!("POST {path}"))?;
        Ok(serde_json::from_str(&answer.body_mut().read_to_string()?)?)
    }
    /// A payment by card that settles in eight hours.
    pub fn pay(&self, id: &str, pan: &str, minor: i64) -> Result<Value> {
        let now = jiff::Timestamp::now();
        let settles = now + jiff::SignedDuration::from_hours(8);
        let payment = json!({
            "id": id, "time": now.to_string(), "settles_at": settles.to_string(),
            "amount": {"minor": minor, "currency": "EUR"}, "channel": "ecommerce", "card": {"pan": pan},
            "merchant": {"id": "webshop-7", "mcc": "5732", "country": "DE"},
        });
        self.post("/v1/decisions", &payment)
    }
    /// What the settlement gate says of a payment.
    pub fn gate(&self, id: &str) -> Result<String> {
        let answer = self.post("/v1/settlement/clear", &json!({"ids": [id]}))?;
        Ok(answer["results"][0]["state"].as_str().unwrap_or_default().to_owned())
    }
    /// The hold on a payment, where there is one.
    pub fn hold(&self, id: &str) -> Result<Option<Value>> {
        let page: Value = serde_json::from_str(&self.get("/v1/holds?limit=1000")?)?;
        let all = page["holds"].as_array().context("holds")?;
        Ok(all.iter().find(|hold| hold["payment"]["id"] == id && hold["state"] == "held").cloned())
    }
    /// A metric without labels, or with just these.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let text = self.get("/metrics")?;
        let line =
            text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
        Ok(line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(-1.0))
    }
}

/// Whether a file has been there.
pub(super) fn first_file(folder: &Path, suffix: &str) -> Option<PathBuf> {
    let mut names: Vec<PathBuf> =
        fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    names.retain(|path| path.to_string_lossy().ends_with(suffix));
    names.sort();
    names.into_iter().next()
}
