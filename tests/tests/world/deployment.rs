//! A copy of the default deployment in a folder of its own, whole or without what one stage works with. Its keys are
//! fixed: fingerprints hash tags, so that what a bank finds near depends on the keys a little.

use interdict_engine::Stage;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A copy.
pub struct Deployment {
    pub config: PathBuf,
    folder: TempDir,
}

impl Deployment {
    /// All of `deploy/default.toml`.
    pub fn whole() -> Deployment {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let folder = tempfile::tempdir().unwrap();
        copy(&repository.join("deploy"), &folder.path().join("deploy"));
        copy(&repository.join("packs"), &folder.path().join("packs"));
        let keys = folder.path().join("keys");
        fs::create_dir(&keys).unwrap();
        fs::set_permissions(&keys, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(keys.join("master.key"), [7; 32]).unwrap();
        fs::set_permissions(keys.join("master.key"), fs::Permissions::from_mode(0o600)).unwrap();
        let deployment = Deployment { config: folder.path().join("deploy/default.toml"), folder };
        deployment.configure(|table| {
            let dir = toml::Value::String(keys.display().to_string());
            table.insert("keys".into(), toml::Table::from_iter([("dir".to_owned(), dir)]).into());
        });
        deployment
    }

    /// All of it but what a stage works with, and the rules that ask for it. Of lists the entries go: rules know their
    /// names, and a list without entries has none to hit.
    pub fn without(stage: Stage) -> Deployment {
        let deployment = Deployment::whole();
        let (files, slots): (&[&str], &[&str]) = match stage {
            Stage::Features => {
                (&["features.yaml", "models", "banks.yaml"], &["features.", "models.", "similar."])
            }
            Stage::Lists => (&[], &[]),
            Stage::Patterns => (&["patterns"], &["patterns."]),
            Stage::Similarity => (&["screens.yaml", "banks.yaml"], &["names.", "similar."]),
            Stage::Models => (&["models"], &["models."]),
            Stage::Rules => (&["rules"], &[]),
            other => panic!("{other:?} has no artefacts of its own"),
        };
        for pack in fs::read_dir(deployment.folder.path().join("packs")).unwrap() {
            let pack = pack.unwrap().path();
            // They expect what the whole pack says.
            remove(&pack.join("tests"));
            files.iter().for_each(|file| remove(&pack.join(file)));
            if pack.join("rules").exists() {
                fs::read_dir(pack.join("rules"))
                    .unwrap()
                    .for_each(|file| drop_rules(&file.unwrap().path(), slots));
            }
        }
        deployment.configure(|table| match stage {
            Stage::Lists => drop(table.remove("lists").unwrap()),
            Stage::Similarity => drop(table.remove("watchlists").unwrap()),
            _ => {}
        });
        deployment
    }

    fn configure(&self, change: impl FnOnce(&mut toml::Table)) {
        let mut table: toml::Table = fs::read_to_string(&self.config).unwrap().parse().unwrap();
        change(&mut table);
        fs::write(&self.config, toml::to_string(&table).unwrap()).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

fn remove(path: &Path) {
    if path.is_dir() {
        fs::remove_dir_all(path).unwrap();
    } else if path.exists() {
        fs::remove_file(path).unwrap();
    }
}

/// Rules begin with `  - id:` here; one that names such a slot goes, and a file without any left.
fn drop_rules(path: &Path, slots: &[&str]) {
    const BEGINS: &str = "\n  - id:";
    let text = fs::read_to_string(path).unwrap();
    let (head, rules) = text.split_at(text.find(BEGINS).unwrap());
    let rules = rules.split(BEGINS).skip(1).filter(|rule| !slots.iter().any(|slot| rule.contains(slot)));
    let kept: String = rules.map(|rule| format!("{BEGINS}{rule}")).collect();
    if kept.is_empty() {
        fs::remove_file(path).unwrap();
    } else {
        fs::write(path, format!("{head}{kept}")).unwrap();
    }
}
