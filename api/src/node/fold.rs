//! Generations whose lists hold what deltas have said: one made of a view by folding, and one made of a changed
//! configuration under what was folded before, since the files are the base and deltas said over them stay said.

use super::keys::NodeKeys;
use super::publish::assemble;
use super::store::Store;
use anyhow::Result;
use interdict_engine::generation::{Generation, Manifest, PartKind, View};
use interdict_engine::lists::{self, LayerKind, List};
use std::sync::Arc;

/// A part of a manifest: what it is, its name, its hash.
pub(super) type Part = (PartKind, String, [u8; 32]);

/// The generation of a view with its deltas folded into its lists; kept in the store, not yet published.
///
/// # Errors
/// When snapshots cannot be built or kept.
pub fn folded(view: &View, store: &Store, keys: &NodeKeys) -> Result<Arc<Generation>> {
    let (generation, mut parts) = (view.generation(), Vec::new());
    let snapshots = snapshots(generation.manifest());
    let folds = lists::fold(view.lists(), &|tenant| keys.list_check(tenant))?;
    for (number, fold) in (0..).zip(folds) {
        let layers = generation.lists().list(number).map_or(&[][..], List::layers);
        parts.extend(layers[..fold.kept].iter().map(|layer| snapshots[layer.part()].clone()));
        for (kind, bytes) in fold.put {
            parts.push((PartKind::from(kind), fold.meta.name.clone(), store.put(&bytes)?));
        }
    }
    // Its lists are among the lists.
    let names = generation.manifest().parts().iter().filter(|(kind, ..)| *kind == PartKind::Watchlist);
    parts.extend(names.filter(|part| is_consortium(part)).cloned());
    let sequence = view.overlay().sequence().to_string();
    parts.push((PartKind::Folded, "deltas".into(), store.put(sequence.as_bytes())?));
    with_lists(generation.manifest(), parts, store)
}

/// A configuration's generation under what was folded into that of the view in force; itself where nothing was.
///
/// # Errors
/// When it does not build or cannot be kept.
pub fn under(configured: &Arc<Generation>, view: &View, store: &Store) -> Result<Arc<Generation>> {
    let in_force = view.generation();
    let consortium: Vec<Part> =
        in_force.manifest().parts().iter().filter(|part| is_consortium(part)).cloned().collect();
    if in_force.folded_to() == 0 {
        return match consortium.is_empty() {
            true => Ok(configured.clone()),
            false => with_consortium(configured.manifest(), consortium, store),
        };
    }
    let (files, folds) = (snapshots(configured.manifest()), snapshots(in_force.manifest()));
    let of_deltas = |list: &List| {
        let layers = list.layers().iter().filter(|layer| layer.kind() != LayerKind::File);
        layers.map(|layer| folds[layer.part()].clone()).collect::<Vec<Part>>()
    };
    let (configured_lists, known) = (configured.lists(), in_force.lists());
    let mut parts = Vec::new();
    for list in configured_lists.lists() {
        parts.extend(list.layers().iter().map(|layer| files[layer.part()].clone()));
        let meta = list.meta();
        let number = known.number(&meta.name, meta.tenant.as_deref());
        parts.extend(number.and_then(|number| known.list(number)).map(of_deltas).unwrap_or_default());
    }
    for (number, list) in (0..).zip(known.lists()).filter(|(_, list)| list.meta().consortium.is_none()) {
        let meta = list.meta();
        let is_configured = configured_lists.number(&meta.name, meta.tenant.as_deref()).is_some();
        // A list that was a file's only ends with its file; where deltas have entries in it, it lives on.
        if !is_configured && (!list.has_file() || view.lists().has_additions(number)) {
            parts.extend(of_deltas(list));
        }
    }
    let folded = in_force.manifest().parts().iter().find(|(kind, ..)| *kind == PartKind::Folded);
    parts.extend(folded.cloned());
    parts.extend(consortium);
    with_lists(configured.manifest(), parts, store)
}

/// A kept generation as its configuration made it: without what was folded into it then, which what is in force has too,
/// and without the consortium's lists of then, which never go back.
///
/// # Errors
/// When it does not build or cannot be kept.
pub fn configured(kept: &Arc<Generation>, store: &Store) -> Result<Arc<Generation>> {
    let parts = kept.manifest().parts();
    if kept.folded_to() == 0 && !parts.iter().any(is_consortium) {
        return Ok(kept.clone());
    }
    let files = parts.iter().filter(|(kind, ..)| kind.layer() == Some(LayerKind::File));
    let files = files.filter(|part| !is_consortium(part)).cloned().collect();
    with_lists(kept.manifest(), files, store)
}

/// A generation with other lists and names of the consortium, and all else as it is; kept in the store.
///
/// # Errors
/// When it does not build or cannot be kept.
pub fn with_consortium(manifest: &Manifest, parts: Vec<Part>, store: &Store) -> Result<Arc<Generation>> {
    let all = manifest.parts().iter().filter(|part| !is_consortium(part));
    let is_of_lists = |part: &&Part| part.0.layer().is_some() || part.0 == PartKind::Folded;
    let mut lists: Vec<Part> = all.filter(is_of_lists).cloned().collect();
    lists.extend(parts);
    with_lists(manifest, lists, store)
}

/// Whether a part is a list or a watchlist of the consortium: no configuration has their names.
fn is_consortium((kind, name, _): &Part) -> bool {
    matches!(kind, PartKind::List | PartKind::Watchlist) && lists::is_consortium_name(name)
}

/// The list snapshots of a manifest, in its order: a layer's `part` counts these.
fn snapshots(manifest: &Manifest) -> Vec<Part> {
    manifest.parts().iter().filter(|(kind, ..)| kind.layer().is_some()).cloned().collect()
}

/// The generation of a manifest with other lists, kept in the store.
fn with_lists(manifest: &Manifest, lists: Vec<Part>, store: &Store) -> Result<Arc<Generation>> {
    let others = manifest.parts().iter();
    let others = others.filter(|(kind, ..)| kind.layer().is_none() && *kind != PartKind::Folded);
    let others = others.filter(|part| !is_consortium(part)).cloned();
    let mut parts: Vec<Part> = others.collect();
    let packs = parts.iter().take_while(|(kind, ..)| *kind == PartKind::Pack).count();
    parts.splice(packs..packs, lists);
    let manifest = Manifest::new(parts);
    let generation = assemble(manifest.clone(), store)?;
    store.put_manifest(&manifest)?;
    Ok(generation)
}
