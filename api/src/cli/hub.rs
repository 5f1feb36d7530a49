//! `interdict hub`: the operator's server of an alliance. `init` makes keys and the genesis, `found` begins the log once all
//! founders have signed, `serve` runs it, `resume` lets a restored copy go on, `tag-key` proposes a new tag key.

use super::consortium::{About, print};
use super::serve::init_log;
use crate::alliance::client::Client;
use crate::alliance::hub::config::{HubConfig, load};
use crate::alliance::hub::founding::{self, Founding};
use crate::alliance::hub::keys::HubKeys;
use crate::alliance::hub::serve;
use crate::alliance::tls::Pins;
use anyhow::{Context, Result};
use interdict_consortium::member::{Registry, text_hash};
use interdict_consortium::note::Note;
use interdict_engine::generation::hex;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `hub`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Make the hub's keys and the genesis of an alliance; all founders sign it.
    Init(Box<Init>),
    /// Merge the founders' signatures and begin the governance log.
    Found {
        #[command(flatten)]
        place: Place,
        /// The genesis as founders have signed it.
        #[arg(required = true)]
        signed: Vec<PathBuf>,
        /// Where the genesis goes with all signatures: with the hub's address, what members join by.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Serve the alliance until SIGTERM.
    Serve {
        /// Configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Let a copied or restored folder be served, after members' checkpoints were compared with it.
    Resume {
        #[command(flatten)]
        place: Place,
        /// A checkpoint as a member holds it (governance/checkpoint, queries/checkpoint of its folder).
        #[arg(long = "seen", value_name = "FILE", required = true)]
        seen: Vec<PathBuf>,
    },
    /// Make the next tag key, and propose it to the members of the running hub.
    TagKey {
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, clap::Args)]
struct Init {
    #[command(flatten)]
    place: Place,
    /// Name of the alliance, as in alliance.example.
    #[arg(long)]
    alliance: String,
    #[command(flatten)]
    about: About,
    /// A founder's application (interdict consortium member apply).
    #[arg(long = "founder", value_name = "FILE", required = true)]
    founders: Vec<PathBuf>,
    /// A rules record to begin with; else rules for a few founders that know one another.
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Members that must rebuild and cosign an epoch, where no rules are given.
    #[arg(long, value_name = "N")]
    cosigners: Option<u16>,
    /// Where the genesis goes that founders sign.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, clap::Args)]
struct Place {
    /// Configuration file.
    #[arg(long)]
    config: PathBuf,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// Runs `hub`.
///
/// # Errors
/// A wrong configuration; a folder that is served, or not whole.
pub fn run(args: Args) -> Result<ExitCode> {
    match args.verb {
        Verb::Init(args) => init(*args)?,
        Verb::Found { place, signed, out } => return found(&place, &signed, out.as_deref()),
        Verb::Serve { config } => {
            init_log();
            // Only fails where a provider is installed already, which is as good.
            drop(rustls::crypto::ring::default_provider().install_default());
            serve::run(load(&config)?)?;
        }
        Verb::Resume { place, seen } => {
            let seen: Vec<Note> = seen.iter().map(|path| read_note(path)).collect::<Result<_>>()?;
            founding::resume(&load(&place.config)?, &seen)?;
            print(place.json, json!({"resumed": true}), || {
                "the logs extend all that was shown: this folder may be served".to_owned()
            });
        }
        Verb::TagKey { place } => tag_key(&place)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn init(args: Init) -> Result<()> {
    let Init { place, alliance, about, founders, rules, cosigners, out } = args;
    let rules = rules.map(|path| read_text(&path)).transpose()?;
    let founders = founders.iter().map(|path| read_note(path)).collect::<Result<_>>()?;
    let founding = Founding { alliance, operator: about.read()?, founders, rules, cosigners };
    let note = founding::init(&load(&place.config)?, founding)?;
    std::fs::write(&out, note.encode()).with_context(|| out.display().to_string())?;
    let hash = hex(&text_hash(note.text()));
    print(place.json, json!({"genesis": hash, "out": out}), || {
        let out = out.display();
        format!("genesis {hash}: each founder reads and signs {out} (interdict consortium member approve)")
    });
    Ok(())
}

fn found(place: &Place, signed: &[PathBuf], out: Option<&Path>) -> Result<ExitCode> {
    let config = load(&place.config)?;
    let signed: Vec<Note> = signed.iter().map(|path| read_note(path)).collect::<Result<_>>()?;
    match founding::found(&config, &signed)? {
        Err(missing) => {
            print(place.json, json!({"founded": false, "missing": missing}), || {
                format!("not founded yet: {missing}")
            });
            Ok(ExitCode::from(super::FAILED))
        }
        Ok(registry) => {
            if let Some(out) = out {
                let genesis = config.folder.join(founding::GENESIS);
                std::fs::copy(&genesis, out).with_context(|| out.display().to_string())?;
            }
            let genesis = hex(&registry.genesis());
            print(place.json, json!({"founded": true, "genesis": genesis}), || {
                format!("{} is founded: genesis {genesis}", registry.alliance())
            });
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Asks the running hub for its registry, as a member would: the operator is one.
fn tag_key(place: &Place) -> Result<()> {
    let config = load(&place.config)?;
    let keys = HubKeys::load(&config.folder)?;
    let client = own_client(&config, &keys)?;
    let registry = fetch_registry(&client)?;
    let note = founding::tag_key(&keys, &registry)?;
    let answer: serde_json::Value =
        serde_json::from_slice(&client.post("propose", note.encode().as_bytes(), 64 << 10)?)?;
    let version = registry.tag_key().map_or(1, |leaf| leaf.key.version + 1);
    print(place.json, json!({"version": version, "answer": answer}), || {
        format!("tag key {version} is proposed: members approve it (interdict consortium member approve)")
    });
    Ok(())
}

fn own_client(config: &HubConfig, keys: &HubKeys) -> Result<Client> {
    let identity = keys.ring.identity()?;
    let pin = identity.pin();
    Client::new(&format!("https://{}", config.listen), identity, Pins::new([pin]))
}

/// The registry by the leaves of the hub's log. The operator's own, so that nothing is verified but the records.
fn fetch_registry(client: &Client) -> Result<Registry> {
    use interdict_consortium::log::tile::{Content, WIDTH, entries};
    use interdict_consortium::log::{Checkpoint, Tile};
    let checkpoint =
        client.get("governance/checkpoint", interdict_consortium::limits::NOTE_BYTES_MAX as u64)?;
    let size = Checkpoint::parse(Note::parse(&checkpoint)?.text())?.size;
    let mut leaves = Vec::new();
    for index in 0..size.div_ceil(u64::from(WIDTH)) {
        let bundle = Tile::at(Content::Entries, index, size).context("a bundle of the log")?;
        let bytes = client.get(&format!("governance/{bundle}"), 32 << 20)?;
        leaves.extend(entries(&bytes, bundle.width)?.into_iter().map(<[u8]>::to_vec));
    }
    Ok(Registry::replay((0..).zip(leaves.iter().map(Vec::as_slice)))?)
}

/// Reads a note from a file.
///
/// # Errors
/// A file that is none.
pub fn read_note(path: &Path) -> Result<Note> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    Note::parse(&bytes).with_context(|| path.display().to_string())
}

fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| path.display().to_string())
}
