//! An alliance as processes: folders below one temporary folder, a hub on a free port of loopback.

use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_interdict-under-test");
/// How long something is waited for before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct World {
    pub dir: tempfile::TempDir,
    pub port: u16,
    pub ops: u16,
    hub: Option<Child>,
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl World {
    /// Founders a, b and c, a hub that serves, a tag key; everybody has synced.
    pub fn founded() -> World {
        World::with("")
    }
    /// As [`World::founded`], with more lines in the hub's configuration.
    pub fn with(more: &str) -> World {
        let dir = tempfile::tempdir().unwrap();
        let mut world = World { dir, port: free_port(), ops: free_port(), hub: None };
        let config = format!(
            "[hub]\nlisten = \"127.0.0.1:{}\"\nfolder = \"hub\"\nops = \"127.0.0.1:{}\"\n{more}\n\
             [hub.epochs]\nevery_ms = 50\n[hub.queries]\ncheckpoint_ms = 50\n",
            world.port, world.ops
        );
        fs::write(world.path("hub.toml"), config).unwrap();
        let mut init =
            vec!["hub", "init", "--json", "--alliance", "alliance.example", "--name", "hub.example"];
        init.extend([
            "--legal-name",
            "Hub GmbH",
            "--jurisdiction",
            "DE",
            "--roles",
            "operator",
            "--cosigners",
            "2",
        ]);
        let mut init: Vec<String> = init.into_iter().map(str::to_owned).collect();
        for name in ["a", "b", "c"] {
            world.member(name);
            init.extend(["--founder".into(), world.text(&format!("{name}.application"))]);
        }
        let (config, genesis) = (world.text("hub.toml"), world.text("genesis.note"));
        init.extend(["--config".into(), config.clone(), "--out".into(), genesis.clone()]);
        world.ok(&init.iter().map(String::as_str).collect::<Vec<_>>());
        for name in ["a", "b", "c"] {
            world.ok(&["consortium", "member", "approve", "--json", "--folder", &world.text(name), &genesis]);
        }
        world.ok(&["hub", "found", "--json", "--config", &config, "--out", &genesis, &genesis]);
        world.serve();
        for name in ["a", "b", "c"] {
            world.join(name);
            world.sync(name);
        }
        world.ok(&["hub", "tag-key", "--json", "--config", &config]);
        world.approve("a");
        world.approve("b");
        for name in ["a", "b", "c"] {
            world.sync(name);
        }
        world
    }
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }
    /// Makes a member's folder and its application.
    pub fn member(&self, name: &str) {
        let (folder, full) = (self.text(name), format!("bank-{name}.example"));
        let about = ["--name", &full, "--legal-name", "Bank", "--jurisdiction", "DE"];
        self.ok(&[&["consortium", "init", "--json", "--folder", &folder][..], &about].concat());
        self.apply(name);
    }
    pub fn apply(&self, name: &str) {
        let out = self.text(&format!("{name}.application"));
        self.ok(&["consortium", "member", "apply", "--json", "--folder", &self.text(name), "--out", &out]);
    }
    pub fn join(&self, name: &str) {
        let hub = format!("https://127.0.0.1:{}", self.port);
        let genesis = self.text("genesis.note");
        self.ok(&[
            "consortium",
            "join",
            "--json",
            "--folder",
            &self.text(name),
            "--genesis",
            &genesis,
            "--hub",
            &hub,
        ]);
    }
    pub fn approve(&self, name: &str) -> Value {
        self.ok(&["consortium", "member", "approve", "--json", "--all", "--folder", &self.text(name)])
    }
    pub fn sync(&self, name: &str) -> Value {
        self.ok(&["consortium", "sync", "--json", "--folder", &self.text(name)])
    }
    pub fn contribute(&self, name: &str, csv: &str) -> Value {
        let file = self.path(&format!("{name}.csv"));
        fs::write(&file, csv).unwrap();
        let folder = self.text(name);
        let basis = ["--legal-basis", "GDPR Art. 6(1)(f)"];
        let verb = ["consortium", "contribute", "--json", "--folder", &folder, file.to_str().unwrap()];
        self.ok(&[&verb[..], &basis].concat())
    }
    pub fn confirm(&self, name: &str, csv: &str) -> Value {
        let file = self.path(&format!("{name}.confirm.csv"));
        fs::write(&file, csv).unwrap();
        self.ok(&["consortium", "confirm", "--json", "--folder", &self.text(name), file.to_str().unwrap()])
    }
    pub fn serve(&mut self) {
        let mut command = Command::new(BINARY);
        command.args(["hub", "serve", "--config", &self.text("hub.toml")]);
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("hub.log")).unwrap();
        command.stderr(log).stdout(Stdio::null());
        self.hub = Some(command.spawn().unwrap());
        self.until("the hub is ready", || {
            self.get("/readyz").is_some_and(|answer| answer.starts_with("ready"))
        });
    }
    /// What the operations' port answers, where it does.
    pub fn get(&self, path: &str) -> Option<String> {
        let mut answer = ureq::get(format!("http://127.0.0.1:{}{path}", self.ops)).call().ok()?;
        answer.body_mut().read_to_string().ok()
    }
    /// The hub's process.
    pub fn pid(&self) -> u32 {
        self.hub.as_ref().unwrap().id()
    }
    /// A first query, against the newest tag key: by contributing a card.
    pub fn confirm_first(&self) {
        self.contribute("a", "kind,value,reason\ncard,4111111111111111,card_stolen\n");
        self.until("the query's leaf is mirrored", || {
            self.sync("a")["promises_waiting"] == 0 || self.cosigned()
        });
    }
    fn cosigned(&self) -> bool {
        self.sync("b");
        self.path("a/queries/checkpoint").exists() && self.sync("a")["queries"][1].as_u64().unwrap() > 0
    }
    /// Copies the hub's folder while it is served, in the documented order (docs/formats/alliance.md).
    pub fn copy_hub(&self, to: &Path) {
        let hub = self.path("hub");
        for log in ["governance", "queries"] {
            fs::create_dir_all(to.join(log)).unwrap();
            for file in ["tail", "checkpoint"] {
                drop(fs::copy(hub.join(log).join(file), to.join(log).join(file)));
            }
            copy(&hub.join(log).join("tile"), &to.join(log).join("tile"));
        }
        for part in ["openings", "bodies", "epochs", "pending", "statements", "keys"] {
            if hub.join(part).exists() {
                copy(&hub.join(part), &to.join(part));
            }
        }
        for file in ["genesis.note", "place"] {
            fs::copy(hub.join(file), to.join(file)).unwrap();
        }
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(to, fs::Permissions::from_mode(0o700)).unwrap();
    }
    /// SIGKILL.
    pub fn kill(&mut self) {
        let mut hub = self.hub.take().unwrap();
        hub.kill().unwrap();
        hub.wait().unwrap();
    }
    /// SIGTERM; whether it ended well.
    pub fn end(&mut self) -> bool {
        let mut hub = self.hub.take().unwrap();
        let done = Command::new("kill").arg(hub.id().to_string()).status().unwrap();
        assert!(done.success());
        hub.wait().unwrap().success()
    }
    /// Runs a command; its answer, one JSON object.
    pub fn ok(&self, args: &[&str]) -> Value {
        match self.run(args) {
            Ok(value) => value,
            Err(error) => panic!(
                "{args:?}: {error}\nhub: {}",
                fs::read_to_string(self.path("hub.log")).unwrap_or_default()
            ),
        }
    }
    /// Runs a command; its answer, or what it says on stderr.
    pub fn run(&self, args: &[&str]) -> Result<Value, String> {
        let output = Command::new(BINARY).args(args).output().unwrap();
        match output.status.success() {
            true => Ok(serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)),
            false => Err(format!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            )),
        }
    }
    /// Waits until something is so.
    pub fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            let log = fs::read_to_string(self.path("hub.log")).unwrap_or_default();
            assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}\nhub: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    /// Members sync until one of them holds an epoch of this number at least.
    pub fn until_epoch(&self, number: u64, members: &[&str]) {
        self.until(&format!("epoch {number}"), || {
            members.iter().for_each(|name| drop(self.sync(name)));
            let monitor = self.ok(&[
                "consortium",
                "monitor",
                "--json",
                "--offline",
                "--folder",
                &self.text(members[0]),
            ]);
            monitor["epoch"].as_u64().is_some_and(|held| held >= number)
        });
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(mut hub) = self.hub.take() {
            drop(hub.kill());
            drop(hub.wait());
        }
    }
}

/// Copies a folder.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            // A file may be renamed while the folder is read.
            drop(fs::copy(entry.path(), to));
        }
    }
}
