//! `interdict consortium member`: applying, admitting, approving what waits, keys, suspensions, leaving.

use super::{Place, print};
use crate::alliance::member::folder::{HPKE_KEY, MemberFolder, SIGN_KEY, WITNESS_KEY};
use crate::alliance::member::session::now_ms;
use crate::alliance::member::{Session, sync};
use crate::alliance::tls;
use crate::cli::hub::read_note;
use anyhow::{Context, Result, bail};
use interdict_consortium::keys::KeyType;
use interdict_consortium::member::{
    Admission, Application, Leaving, Reinstatement, Roles, Rotation, RotationBy, Ruling, Spelled, Suspension,
    TagKey, text_hash,
};
use interdict_consortium::note::Note;
use interdict_consortium::record::type_of;
use interdict_consortium::tag::sealing::{Addressed, OpeningKey};
use interdict_engine::generation::hex;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `consortium member`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Write an application, signed by this member's key, for a sponsor (or for the founding).
    Apply {
        #[command(flatten)]
        place: Place,
        /// Where it goes.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Sponsor an applicant: bring its application to the log and propose its admission.
    Admit {
        #[command(flatten)]
        place: Place,
        /// The application.
        application: PathBuf,
        /// Roles to give; all that are asked for by default.
        #[arg(long)]
        roles: Option<String>,
    },
    /// Sign what waits: a file (a genesis), a proposal by the beginning of its hash, or all.
    Approve {
        #[command(flatten)]
        place: Place,
        /// A note's file, or the hash of a proposal (its first digits).
        #[arg(required_unless_present = "all")]
        what: Option<String>,
        /// All proposals that wait.
        #[arg(long, conflicts_with = "what")]
        all: bool,
    },
    /// Members, and what waits for signatures.
    List {
        #[command(flatten)]
        place: Place,
        /// As of the last sync, without asking the hub.
        #[arg(long)]
        offline: bool,
    },
    /// Take new keys; the old signing key says so.
    Rotate {
        #[command(flatten)]
        place: Place,
        /// Which: sign, witness, hpke, tls; all by default.
        #[arg(long, value_parser = ["sign", "witness", "hpke", "tls"])]
        key: Vec<String>,
    },
    /// Propose that a member be suspended.
    Suspend(About),
    /// Propose that a member be active again.
    Reinstate(About),
    /// Leave the alliance.
    Leave {
        #[command(flatten)]
        place: Place,
        /// Why, in words that all members read.
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, clap::Args)]
struct About {
    #[command(flatten)]
    place: Place,
    /// The member.
    name: String,
    /// Why, in words that all members read.
    #[arg(long)]
    reason: String,
}

pub fn run(args: Args) -> Result<ExitCode> {
    match args.verb {
        Verb::Apply { place, out } => apply(&place, &out)?,
        Verb::Admit { place, application, roles } => admit(&place, &application, roles.as_deref())?,
        Verb::Approve { place, what, all } => match what {
            Some(file) if std::path::Path::new(&file).exists() => approve_file(&place, &file)?,
            what => approve(&place, what.as_deref(), all)?,
        },
        Verb::List { place, offline } => list(&place, offline)?,
        Verb::Rotate { place, key } => rotate(&place, &key)?,
        Verb::Suspend(about) => rule(&about, |ruling| Suspension(ruling).to_text())?,
        Verb::Reinstate(about) => rule(&about, |ruling| Reinstatement(ruling).to_text())?,
        Verb::Leave { place, reason } => leave(&place, reason)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn apply(place: &Place, out: &std::path::Path) -> Result<()> {
    let folder = MemberFolder::open(&place.folder)?;
    // A founder applies before there is a genesis: to none, which no log will take.
    let genesis = folder.genesis().map_or([0; 32], |(_, _, hash)| hash);
    let application = Application { genesis, created_ms: now_ms(), profile: folder.profile()? };
    let note = signed(&folder, application.to_text()?)?;
    std::fs::write(out, note.encode()).with_context(|| out.display().to_string())?;
    let hash = hex(&text_hash(note.text()));
    print(place.json, json!({"application": hash, "out": out}), || {
        format!("application {hash}: give {} to a member who sponsors it", out.display())
    });
    Ok(())
}

fn signed(folder: &MemberFolder, text: String) -> Result<Note> {
    let mut note = Note::new(text)?;
    note.sign(&folder.sign_key()?);
    Ok(note)
}

/// A session whose registry is the hub's newest.
fn fresh(place: &Place) -> Result<Session> {
    let mut session = place.session()?;
    sync::step(&mut session, |_| {})?;
    Ok(session)
}

fn propose(session: &mut Session, note: &Note) -> Result<Value> {
    let answer = session.client()?.post("propose", note.encode().as_bytes(), 64 << 10)?;
    Ok(serde_json::from_slice(&answer)?)
}

fn told(place: &Place, what: &str, answer: &Value) {
    print(place.json, answer.clone(), || match answer["leaf"].as_u64() {
        Some(leaf) => format!("{what}: leaf {leaf} of the governance log"),
        None => format!("{what}: waits ({})", answer["missing"].as_str().unwrap_or("for signatures")),
    });
}

fn admit(place: &Place, application: &std::path::Path, roles: Option<&str>) -> Result<()> {
    let note = read_note(application)?;
    let applied = Application::of_text(note.text())?;
    let mut session = fresh(place)?;
    let hash = text_hash(note.text());
    let is_there = session.registry()?.applications().any(|(known, _)| *known == hash);
    if !is_there {
        propose(&mut session, &note).context("the application")?;
    }
    let roles = match roles {
        Some(roles) => Roles::parse(roles)?,
        None => applied.profile.roles,
    };
    let admission = Admission {
        genesis: session.registry()?.genesis(),
        created_ms: now_ms(),
        member: applied.profile.name.clone(),
        application: hash,
        roles,
        sponsors: BTreeSet::from([session.folder.about.name.clone()]),
    };
    let note = signed(&session.folder, admission.to_text()?)?;
    let answer = propose(&mut session, &note)?;
    told(place, &format!("the admission of {}", applied.profile.name), &answer);
    Ok(())
}

/// Signs a genesis, or any note, in place.
fn approve_file(place: &Place, file: &str) -> Result<()> {
    let folder = MemberFolder::open(&place.folder)?;
    let path = std::path::Path::new(file);
    let mut note = read_note(path)?;
    if let Ok(genesis) = interdict_consortium::member::Genesis::of_text(note.text()) {
        let own = genesis.founders.iter().find(|founder| founder.name == folder.about.name);
        let own = own.with_context(|| format!("{} is not among the founders", folder.about.name))?;
        if *own != folder.profile()? {
            bail!("the genesis names {} with another profile or other keys than the folder's", own.name);
        }
    }
    note.sign(&folder.sign_key()?);
    std::fs::write(path, note.encode()).with_context(|| file.to_owned())?;
    let hash = hex(&text_hash(note.text()));
    print(place.json, json!({"signed": hash}), || format!("signed {hash}"));
    Ok(())
}

fn approve(place: &Place, what: Option<&str>, all: bool) -> Result<()> {
    let mut session = fresh(place)?;
    let waiting = pending(&mut session)?;
    let (mut done, mut refused) = (Vec::new(), Vec::new());
    for note in waiting {
        let hash = hex(&text_hash(note.text()));
        if !all && !what.is_some_and(|what| what.len() >= 6 && hash.starts_with(what)) {
            continue;
        }
        if let Err(error) = check_before(&session, &note) {
            refused.push(json!({"proposal": hash, "why": format!("{error:#}")}));
            continue;
        }
        let own = signed(&session.folder, note.text().to_owned())?;
        match propose(&mut session, &own) {
            Ok(answer) => done.push(json!({"proposal": hash, "answer": answer})),
            // With several at once, one may overtake another.
            Err(error) if all => refused.push(json!({"proposal": hash, "why": format!("{error:#}")})),
            Err(error) => return Err(error),
        }
    }
    if done.is_empty() && refused.is_empty() && !all {
        bail!("no proposal whose hash begins with {:?}", what.unwrap_or_default());
    }
    print(place.json, json!({"signed": done, "refused": refused}), || {
        let mut lines: Vec<String> = done.iter().map(|one| format!("signed {}", one["proposal"])).collect();
        lines.extend(refused.iter().map(|one| format!("not signed {}: {}", one["proposal"], one["why"])));
        if lines.is_empty() { "nothing waits".to_owned() } else { lines.join("\n") }
    });
    Ok(())
}

/// What must hold before this member signs, beside what the log checks: a tag key must open to what its record commits to.
fn check_before(session: &Session, note: &Note) -> Result<()> {
    let Ok(record) = TagKey::of_text(note.text()) else { return Ok(()) };
    let name = session.folder.about.name.as_str();
    let sealed = record.sealed.get(name).context("the proposed tag key has no copy for this member")?;
    let to = Addressed { alliance: session.registry()?.alliance(), member: name, version: record.version };
    session.folder.opening_key()?.open(sealed, &to, &record.commitment)?;
    Ok(())
}

fn pending(session: &mut Session) -> Result<Vec<Note>> {
    let bytes = session.client()?.get("pending", 64 << 20)?;
    let (mut notes, mut rest) = (Vec::new(), bytes.as_slice());
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let cut = "the list of what waits is cut";
        let (note, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize).context(cut)?;
        notes.push(Note::parse(note)?);
        rest = after;
    }
    Ok(notes)
}

fn list(place: &Place, offline: bool) -> Result<()> {
    let (mut session, waiting) = match offline {
        true => (place.session()?, Vec::new()),
        false => {
            let mut session = fresh(place)?;
            let waiting = pending(&mut session)?;
            (session, waiting)
        }
    };
    let registry = session.registry()?.clone();
    let members: Vec<Value> = registry
        .members()
        .map(|member| {
            let profile = &member.profile;
            json!({
                "id": member.id.0, "name": profile.name, "legal_name": profile.legal_name,
                "state": format!("{:?}", member.state).to_lowercase(), "roles": profile.roles.to_string(),
                "admitted": member.admitted,
            })
        })
        .collect();
    let waiting: Vec<Value> = waiting
        .iter()
        .map(|note| {
            let mut list = interdict_consortium::member::Pending::new();
            let missing = match list.offer(&registry, note, now_ms()) {
                Ok(interdict_consortium::member::Offered::Waiting(missing)) => missing.to_string(),
                Ok(_) => "nothing is missing".to_owned(),
                Err(error) => error.to_string(),
            };
            let ty = type_of(note.text()).map_or("", |(ty, _)| ty);
            json!({"hash": hex(&text_hash(note.text())), "type": ty, "missing": missing})
        })
        .collect();
    drop(session.client());
    print(place.json, json!({"members": members, "pending": waiting}), || {
        let mut lines: Vec<String> = members
            .iter()
            .map(|m| {
                format!(
                    "{:>3} {} ({}, {})",
                    m["id"],
                    m["name"].as_str().unwrap_or(""),
                    m["state"].as_str().unwrap_or(""),
                    m["roles"].as_str().unwrap_or("")
                )
            })
            .collect();
        lines.extend(waiting.iter().map(|w| {
            format!(
                "waits: {} {}: {}",
                w["type"].as_str().unwrap_or(""),
                w["hash"].as_str().unwrap_or(""),
                w["missing"].as_str().unwrap_or("")
            )
        }));
        lines.join("\n")
    });
    Ok(())
}

/// New keys lie beside the old ones as NAME.next until the log has the rotation; then they take their place.
fn rotate(place: &Place, which: &[String]) -> Result<()> {
    let mut session = fresh(place)?;
    let has = |name: &str| which.is_empty() || which.iter().any(|which| which == name);
    let (me, name) = (session.me()?.clone(), session.folder.about.name.clone());
    let keys = session.folder.keys.clone();
    let next = crate::alliance::keyring::Keyring::open(&keys.path().join("next"))?;
    let signer = |file: &str, ty| match next.has(file) {
        true => next.signer(file),
        false => next.make_signer(file, &name, ty),
    };
    let sign = has("sign").then(|| signer(SIGN_KEY, KeyType::Ed25519)).transpose()?;
    let witness = has("witness").then(|| signer(WITNESS_KEY, KeyType::Cosignature)).transpose()?;
    let hpke = has("hpke")
        .then(|| if next.has(HPKE_KEY) { next.seed(HPKE_KEY) } else { next.make_seed(HPKE_KEY) })
        .transpose()?;
    let pin = has("tls")
        .then(|| {
            if next.has(tls::CERTIFICATE) { Ok(next.identity()?.pin()) } else { next.make_certificate(&name) }
        })
        .transpose()?;
    let rotation = Rotation {
        genesis: session.registry()?.genesis(),
        created_ms: now_ms(),
        member: name,
        by: RotationBy::Own,
        serial: me.rotations + 1,
        sign: sign.as_ref().map(|key| key.verifier().clone()),
        witness: witness.as_ref().map(|key| key.verifier().clone()),
        hpke: hpke.map(|seed| OpeningKey::from_bytes(&seed).public()),
        tls: pin.into_iter().collect(),
    };
    let mut note = signed(&session.folder, rotation.to_text()?)?;
    if let Some(sign) = &sign {
        note.sign(sign);
    }
    let answer = propose(&mut session, &note)?;
    if answer["leaf"].is_u64() {
        for file in [SIGN_KEY, WITNESS_KEY, HPKE_KEY, tls::KEY, tls::CERTIFICATE] {
            if next.has(file) {
                std::fs::rename(next.path().join(file), keys.path().join(file))?;
            }
        }
        std::fs::File::open(keys.path())?.sync_all()?;
    }
    told(place, "new keys", &answer);
    Ok(())
}

fn rule(
    about: &About,
    text: impl FnOnce(Ruling) -> interdict_consortium::error::Result<String>,
) -> Result<()> {
    let mut session = fresh(&about.place)?;
    let registry = session.registry()?;
    let member = registry.by_name(&about.name).with_context(|| format!("{} is no member", about.name))?;
    let ruling = Ruling {
        genesis: registry.genesis(),
        created_ms: now_ms(),
        member: about.name.clone(),
        serial: member.rulings + 1,
        reason: about.reason.clone(),
    };
    let note = signed(&session.folder, text(ruling)?)?;
    let answer = propose(&mut session, &note)?;
    told(&about.place, &about.name, &answer);
    Ok(())
}

fn leave(place: &Place, reason: String) -> Result<()> {
    let mut session = fresh(place)?;
    let (serial, member) = (session.me()?.rotations + 1, session.folder.about.name.clone());
    let ruling =
        Ruling { genesis: session.registry()?.genesis(), created_ms: now_ms(), member, serial, reason };
    let note = signed(&session.folder, Leaving(ruling).to_text()?)?;
    let answer = propose(&mut session, &note)?;
    told(place, "left", &answer);
    Ok(())
}
