//! The WGSL by itself: naga takes it, and its structs have the sizes and offsets of those in `layout::batch`.

use std::mem::offset_of;

use interdict_shaders::layout::NameBlock;
use interdict_shaders::layout::batch::{
    BINS, BatchHead, FingerprintItem, NameItem, QUERIES_MAX, RawHit, Shard, THREADS, TILE, VectorItem,
};
use interdict_shaders::shader::Search;
use naga::valid::{Capabilities, ValidationFlags, Validator};

fn module(search: Search) -> naga::Module {
    let text = search.wgsl();
    let module = naga::front::wgsl::parse_str(&text)
        .unwrap_or_else(|e| panic!("{}: {}", search.name(), e.emit_to_string(&text)));
    Validator::new(ValidationFlags::all(), Capabilities::empty())
        .validate(&module)
        .unwrap_or_else(|e| panic!("{}: {}", search.name(), e.emit_to_string(&text)));
    module
}

/// Size of the struct `name` and its members' offsets.
fn layout(module: &naga::Module, name: &str) -> (u32, Vec<(String, u32)>) {
    let (_, found) = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some(name)).unwrap();
    let naga::TypeInner::Struct { members, span } = &found.inner else { panic!("{name} is no struct") };
    (*span, members.iter().map(|member| (member.name.clone().unwrap(), member.offset)).collect())
}

/// Stride of the array that ends the struct `name`.
fn stride(module: &naga::Module, name: &str) -> u32 {
    let (_, found) = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some(name)).unwrap();
    let naga::TypeInner::Struct { members, .. } = &found.inner else { panic!("{name} is no struct") };
    match &module.types[members.last().unwrap().ty].inner {
        naga::TypeInner::Array { stride, .. } => *stride,
        other => panic!("{name} ends in {other:?}"),
    }
}

fn named(members: &[(&str, usize)]) -> Vec<(String, u32)> {
    members.iter().map(|(name, offset)| ((*name).to_owned(), *offset as u32)).collect()
}

#[test]
fn every_shader_is_valid_and_has_its_entry_points() {
    for search in Search::ALL {
        let module = module(search);
        let entries: Vec<&str> = module.entry_points.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(entries, search.entries());
        for entry in &module.entry_points {
            assert_eq!(entry.workgroup_size, [THREADS as u32, 1, 1], "{}", entry.name);
        }
    }
}

#[test]
fn what_every_shader_shares_has_the_layout_of_its_pod() {
    for search in Search::ALL {
        let module = module(search);
        let shard = named(&[
            ("first", offset_of!(Shard, first)),
            ("count", offset_of!(Shard, count)),
            ("blocks", offset_of!(Shard, blocks)),
            ("first_word", offset_of!(Shard, first_word)),
        ]);
        assert_eq!(layout(&module, "Shard"), (size_of::<Shard>() as u32, shard));
        let hit = named(&[("index", offset_of!(RawHit, index)), ("score", offset_of!(RawHit, score))]);
        assert_eq!(layout(&module, "Hit"), (size_of::<RawHit>() as u32, hit));
        let (_, hits) = layout(&module, "Hits");
        assert_eq!(hits, named(&[("counts", 0), ("hits", QUERIES_MAX * 4)]));
        assert_eq!(stride(&module, "Hits"), size_of::<RawHit>() as u32);
        let (_, batch) = layout(&module, "Batch");
        let head = named(&[
            ("queries", offset_of!(BatchHead, queries)),
            ("cap", offset_of!(BatchHead, cap)),
            ("wide", offset_of!(BatchHead, wide)),
            ("block_low", offset_of!(BatchHead, block_low)),
            ("block_high", offset_of!(BatchHead, block_high)),
            ("ordered", offset_of!(BatchHead, ordered)),
            ("reserved", offset_of!(BatchHead, reserved)),
            ("items", size_of::<BatchHead>()),
        ]);
        assert_eq!(batch, head, "{}", search.name());
    }
}

#[test]
fn a_cut_is_sixteen_bytes() {
    for search in [Search::HammingTopk, Search::DotTopk] {
        assert_eq!(layout(&module(search), "Cut").0, 16, "{}", search.name());
    }
}

#[test]
fn each_query_has_the_layout_of_its_pod() {
    for (search, size, members) in [
        (Search::NameLcs, size_of::<NameItem>(), named(&[("low", 0), ("high", 128), ("need", 256)])),
        (
            Search::HammingTopk,
            size_of::<FingerprintItem>(),
            named(&[("words", 0), ("reach", 32), ("reserved", 36)]),
        ),
        (
            Search::DotTopk,
            size_of::<VectorItem>(),
            named(&[("words", 0), ("k", 64), ("at_least", 68), ("top", 72), ("shift", 76)]),
        ),
    ] {
        let module = module(search);
        assert_eq!(layout(&module, "Query"), (size as u32, members), "{}", search.name());
        assert_eq!(stride(&module, "Batch"), size as u32, "{}", search.name());
    }
    let names = module(Search::NameLcs);
    let (_, blocks) =
        names.global_variables.iter().find(|(_, v)| v.name.as_deref() == Some("blocks")).unwrap();
    let naga::TypeInner::Array { stride, .. } = &names.types[blocks.ty].inner else { panic!("no array") };
    assert_eq!(*stride, size_of::<NameBlock>() as u32);
}

#[test]
fn constants_are_those_of_rust() {
    for (name, value) in [("THREADS", THREADS), ("TILE", TILE), ("LANES", 64), ("BINS", BINS)] {
        let module = module(Search::DotTopk);
        let (_, constant) = module.constants.iter().find(|(_, c)| c.name.as_deref() == Some(name)).unwrap();
        let naga::Expression::Literal(naga::Literal::U32(found)) = module.global_expressions[constant.init]
        else {
            panic!("{name} is no u32")
        };
        assert_eq!(found as usize, value, "{name}");
    }
}
