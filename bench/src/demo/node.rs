//! The real `interdict serve` as a child process on a clock that the demo sets, and what the demo asks of it.

use super::receiver::{Receiver, SECRET};
use super::{DemoConfig, scene};
use crate::client::Target;
use anyhow::{Context, Result, anyhow, bail, ensure};
use bytes::Bytes;
use hyper::Method;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Longest a start, or anything that happens by itself, may take.
const WAIT_MAX: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The node and its folder.
pub(super) struct Node {
    binary: PathBuf,
    work: PathBuf,
    child: Option<Child>,
    target: Option<Target>,
    starts: u32,
}

impl Node {
    /// Lays out a folder with the demo's configuration.
    pub(super) fn lay_out(config: &DemoConfig, receiver: &Receiver) -> Result<Node> {
        let work = &config.work;
        if work.exists() {
            fs::remove_dir_all(work).with_context(|| work.display().to_string())?;
        }
        let (from, to) = (config.repository.join("deploy"), work.join("deploy"));
        for folder in ["lists", "calendars", "reference"] {
            fs::create_dir_all(to.join(folder))?;
            for entry in fs::read_dir(from.join(folder))? {
                let path = entry?.path();
                let name = path.file_name().context("a file has a name")?;
                fs::copy(&path, to.join(folder).join(name)).with_context(|| path.display().to_string())?;
            }
        }
        symlink(fs::canonicalize(config.repository.join("packs"))?, work.join("packs"))?;
        let path = from.join("retrohunt.toml");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let webhook = format!(
            "\n[webhooks.endpoints.demo]\nurl = \"{}\"\nsecret_file = \"webhook.secret\"\n",
            receiver.url
        );
        fs::write(to.join("retrohunt.toml"), text + &webhook)?;
        fs::write(to.join("webhook.secret"), SECRET)?;
        fs::set_permissions(to.join("webhook.secret"), fs::Permissions::from_mode(0o600))?;
        let binary = fs::canonicalize(&config.binary);
        let binary = binary.with_context(|| format!("the binary {}", config.binary.display()))?;
        Ok(Node { binary, work: work.clone(), child: None, target: None, starts: 0 })
    }
    /// The house's own watchlist.
    pub(super) fn watchlist(&self) -> PathBuf {
        self.work.join("deploy/lists/house.csv")
    }
    /// Messages to the rail that lie there, by file name.
    pub(super) fn rail_files(&self) -> Result<Vec<String>> {
        let names = fs::read_dir(self.work.join("data/rail/outgoing"))?;
        let mut names: Vec<String> = names
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<Result<_>>()?;
        names.sort();
        Ok(names)
    }

    /// Has `interdict verify` look at the folder beside the node; whether it is whole, and what it says last.
    pub(super) fn verify(&self) -> Result<(bool, String)> {
        let done =
            Command::new(&self.binary).arg("verify").arg("--data").arg(self.work.join("data")).output()?;
        let last = String::from_utf8_lossy(&done.stdout).lines().last().unwrap_or_default().to_owned();
        Ok((done.status.success(), last))
    }

    /// Starts it, and waits until it is ready. `failpoint`: where it is to end itself.
    pub(super) async fn start(&mut self, failpoint: Option<&str>) -> Result<()> {
        self.starts += 1;
        let log = self.work.join(format!("serve-{}.log", self.starts));
        let mut command = Command::new(&self.binary);
        command
            .args(["serve", "--http", "127.0.0.1:0", "--config"])
            .arg(self.work.join("deploy/retrohunt.toml"))
            .arg("--data")
            .arg(self.work.join("data"))
            .env("INTERDICT_VIRTUAL_CLOCK", self.work.join("now"))
            .env_remove("INTERDICT_LOG")
            .env_remove("INTERDICT_FAILPOINT")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?);
        if let Some(name) = failpoint {
            command.env("INTERDICT_FAILPOINT", name);
        }
        self.child = Some(command.spawn().with_context(|| self.binary.display().to_string())?);
        let began = Instant::now();
        let address = loop {
            let text = fs::read_to_string(&log)?;
            if let Some((_, rest)) = text.split_once("listening address=") {
                break rest.split_whitespace().next().unwrap_or_default().to_owned();
            }
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten()) {
                bail!("interdict ended with {status} at its start:\n{text}");
            }
            ensure!(began.elapsed() < WAIT_MAX, "interdict did not listen within {WAIT_MAX:?}:\n{text}");
            tokio::time::sleep(LOOK_EVERY).await;
        };
        let target = Target::parse(&format!("http://{address}"))?;
        target.wait_ready(WAIT_MAX).await?;
        self.target = Some(target);
        Ok(())
    }
    /// Waits until it has ended by itself.
    pub(super) async fn ended(&mut self) -> Result<ExitStatus> {
        let child = self.child.as_mut().context("it was started")?;
        let began = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            ensure!(began.elapsed() < WAIT_MAX, "it did not end within {WAIT_MAX:?}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Sets the wall's clock, and waits until the node shows it.
    pub(super) async fn set_clock(&self, time: &str) -> Result<()> {
        let aside = self.work.join("now.aside");
        fs::write(&aside, time)?;
        fs::rename(&aside, self.work.join("now"))?;
        if self.target.is_none() {
            return Ok(());
        }
        let wanted: jiff::Timestamp = time.parse()?;
        let shown = async || {
            let shown =
                self.get("/v1/status").await?["virtual_clock"].as_str().map(str::parse::<jiff::Timestamp>);
            Ok(shown.is_some_and(|shown| shown.is_ok_and(|shown| shown == wanted)))
        };
        self.until(&format!("the clock shows {time}"), shown).await
    }
    /// Waits until something is so.
    pub(super) async fn until(&self, what: &str, so: impl AsyncFn() -> Result<bool>) -> Result<()> {
        let began = Instant::now();
        while !so().await? {
            ensure!(began.elapsed() < WAIT_MAX, "not within {WAIT_MAX:?}: {what}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Asks, and expects a 200 with JSON.
    pub(super) async fn ask(&self, method: Method, path: &str, body: &Value) -> Result<Value> {
        let target = self.target.as_ref().context("it was started")?;
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let answer = target.connect().await?.send(method.clone(), path, body).await?;
        let text = String::from_utf8_lossy(&answer.body);
        ensure!(answer.status == 200, "{method} {path}: {} {text}", answer.status);
        serde_json::from_str(&text).map_err(|e| anyhow!("{method} {path}: {e}: {text}"))
    }
    pub(super) async fn get(&self, path: &str) -> Result<Value> {
        self.ask(Method::GET, path, &Value::Null).await
    }
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.ask(Method::POST, path, body).await
    }
    /// Everything that was learned has been hunted.
    pub(super) async fn hunted(&self) -> Result<()> {
        let target = self.target.as_ref().context("it was started")?;
        let all = async || {
            let answer = target.connect().await?.send(Method::GET, "/metrics", Bytes::new()).await?;
            Ok(String::from_utf8_lossy(&answer.body)
                .lines()
                .any(|line| line == "interdict_unhunted_events 0"))
        };
        self.until("everything that was learned is hunted", all).await
    }
    /// All holds and cases, by the payment's id.
    pub(super) async fn holds(&self) -> Result<scene::Holds> {
        let page = self.get("/v1/holds?limit=1000").await?;
        ensure!(page["next"].is_null(), "more holds than one page has");
        let holds = page["holds"].as_array().context("holds")?;
        holds
            .iter()
            .map(|hold| {
                let id = hold["payment"]["id"].as_str().context("its payment has an id")?;
                Ok((id.to_owned(), hold.clone()))
            })
            .collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended.
            drop(child.kill());
            drop(child.wait());
        }
    }
}
