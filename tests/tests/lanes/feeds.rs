//! Feeds with their configurations, in a folder of their own: the simulated world, and the first rows of the Handbook.
//! Every run over a feed has the same keys, since tags and with them the generation depend on the keys.

use interdict_bench::world::{Item, World, WorldConfig, file};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// A feed.
pub struct Feed {
    pub file: PathBuf,
    pub config: PathBuf,
    folder: Arc<TempDir>,
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

impl Feed {
    fn new(name: &str, config: &str) -> Feed {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let keys = folder.path().join("keys");
        fs::create_dir(&keys).unwrap();
        let text = format!("{config}\n[keys]\ndir = {keys:?}\n");
        let path = folder.path().join("config.toml");
        fs::write(&path, text).unwrap();
        Feed { file: folder.path().join(name), config: path, folder }
    }
    /// The same feed and keys under a configuration without its `lists` or without its `rules`.
    pub fn without(&self, what: &str) -> Feed {
        let mut table: toml::Table = fs::read_to_string(&self.config).unwrap().parse().unwrap();
        assert!(table.remove(what).is_some());
        let config = self.folder.path().join(format!("without-{what}.toml"));
        fs::write(&config, toml::to_string(&table).unwrap()).unwrap();
        Feed { file: self.file.clone(), config, folder: self.folder.clone() }
    }
}

/// A world of so many messages.
pub fn make(transactions: usize) -> World {
    World::new(&WorldConfig { transactions, ..WorldConfig::default() }).unwrap()
}

/// The world as JSONL. What its feed would learn as it goes, a file of lists has from the start: JSONL has no place
/// for it.
pub fn world(transactions: usize) -> Feed {
    let repository = repository();
    let packs = repository.join("packs");
    let world = make(transactions);
    let mut lists: BTreeMap<&str, BTreeMap<String, String>> = BTreeMap::new();
    for item in world.items() {
        if let Item::ListEntries { list, entries, .. } = item {
            for entry in entries {
                let subject = format!("{}{}", entry["card"], entry["name"]);
                lists.entry(list).or_default().insert(subject, entry.to_string());
            }
        }
    }
    let mut config = format!(
        "[features]\nrates = {:?}\n[rules]\npacks = {:?}\n[watchlists.house]\nfiles = [{:?}]\n",
        repository.join("deploy/reference/rates.csv"),
        ["cards", "world", "screening", "scams"].map(|pack| packs.join(pack)),
        repository.join("deploy/lists/house.csv"),
    );
    for list in lists.keys() {
        config += &format!("[lists.{list}]\nfile = \"{list}.jsonl\"\n");
    }
    let feed = Feed::new("world.jsonl", &config);
    for (list, entries) in &lists {
        let lines: Vec<&str> = entries.values().map(String::as_str).collect();
        fs::write(feed.folder.path().join(format!("{list}.jsonl")), lines.join("\n")).unwrap();
    }
    assert_eq!(file::write(&world, &feed.file).unwrap(), transactions);
    feed
}

/// The first rows of the Handbook, under `deploy/handbook.toml` but with labels after one day, so that a feed of a
/// few days has some.
pub fn handbook(rows: usize) -> Feed {
    let repository = repository();
    let text = fs::read_to_string(repository.join("deploy/handbook.toml")).unwrap();
    assert!(text.contains("label_delay = \"7d\""));
    let text = text
        .replace("label_delay = \"7d\"", "label_delay = \"1d\"")
        .replace("\"../packs/", &format!("\"{}/packs/", repository.display()))
        .replace("\"reference/", &format!("\"{}/deploy/reference/", repository.display()))
        .replace("\"lists/", &format!("\"{}/deploy/lists/", repository.display()));
    let feed = Feed::new("handbook.parquet", &text);
    let data = std::env::var_os("INTERDICT_DATA").map(PathBuf::from);
    let data = data.unwrap_or_else(|| repository.join("../shared/data"));
    let path = data.join("handbook/transactions-2018-04-to-07.parquet");
    let source = File::open(&path).unwrap_or_else(|e| panic!("{}: {e}; set INTERDICT_DATA", path.display()));
    let reader = ParquetRecordBatchReaderBuilder::try_new(source).unwrap().with_limit(rows).build().unwrap();
    let mut writer: Option<ArrowWriter<File>> = None;
    for batch in reader {
        let batch = batch.unwrap();
        let writer = writer.get_or_insert_with(|| {
            ArrowWriter::try_new(File::create(&feed.file).unwrap(), batch.schema(), None).unwrap()
        });
        writer.write(&batch).unwrap();
    }
    writer.unwrap().close().unwrap();
    feed
}
