//! What each model said of the payment, whether that counts towards the score, or why it said nothing.

use super::row::Row;
use super::was_skipped;
use crate::answer::Source;
use interdict_engine::Stage;
use interdict_engine::domain::SlotView;
use interdict_engine::lane::Found;
use interdict_engine::models::{Missing, Model};
use interdict_engine::packs::Pack;
use serde::Serialize;
use utoipa::ToSchema;

/// Most missing inputs that are named.
const MISSING_TOLD_MAX: usize = 3;

/// A model's score.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ToldModel {
    /// `pack/model`.
    pub model: String,
    /// 0 to 1000; null where it gave none.
    pub score: Option<u16>,
    /// Whether its score counts towards the verdict's by itself; rules may read it either way.
    pub counts: bool,
    /// The score, or why there is none, in words.
    pub words: String,
}

/// Every model of the generation.
pub(super) fn told(source: &Source<'_>, row: &Row<'_>, found: &Found) -> Vec<ToldModel> {
    let generation = source.view.generation();
    let each = generation.models().iter().enumerate().map(|(number, model)| {
        let pack = generation.packs().get(usize::from(model.pack()));
        let score = found.model(number);
        let words = match score {
            Some(score) => said(score, model),
            None => format!("no score: {}", why_not(source, row, model)),
        };
        let doc = doc(pack, model).map_or(String::new(), |doc| format!(": {doc}"));
        let name = format!("{}/{}", pack.map_or("", |pack| pack.name()), model.id());
        ToldModel { model: name, score, counts: model.counts(), words: words + &doc }
    });
    each.collect()
}

/// What a model is, as its pack says.
pub(super) fn doc<'a>(pack: Option<&'a Pack>, model: &Model) -> Option<&'a str> {
    pack?.models.iter().find(|decl| decl.id == model.id()).map(|decl| decl.doc.as_str())
}

fn said(score: u16, model: &Model) -> String {
    let role = if model.counts() { "which counts towards the score" } else { "which only rules may read" };
    format!("{score} of 1000, {role}")
}

fn why_not(source: &Source<'_>, row: &Row<'_>, model: &Model) -> String {
    let generation = source.view.generation();
    if was_skipped(source.verdict, Stage::Models) {
        return "the models stage did not run".into();
    }
    if !generation.applies(&source.transaction.tenant)[usize::from(model.pack())] {
        return format!("its pack is not for tenant {:?}", &*source.transaction.tenant);
    }
    let needed = model.inputs().iter().filter(|input| input.missing == Missing::Undecided);
    let missing: Vec<&str> =
        needed.filter(|input| row.value(input.slot).is_none()).map(|input| input.path.as_str()).collect();
    match missing.len() {
        0 => "its run failed".into(),
        all if all > MISSING_TOLD_MAX => {
            format!(
                "{} and {} more are missing",
                missing[..MISSING_TOLD_MAX].join(", "),
                all - MISSING_TOLD_MAX
            )
        }
        1 => format!("{} is missing", missing[0]),
        _ => format!("{} are missing", missing.join(", ")),
    }
}
