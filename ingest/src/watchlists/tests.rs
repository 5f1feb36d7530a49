#![allow(clippy::unwrap_used)]
//! Watchlists: the published files whole (in place, through `INTERDICT_DATA`), wrong ones by line, hostile XML refused.

use super::*;
use std::fs;

/// `shared/data`, or what `INTERDICT_DATA` names. Without it (and outside CI) the test says so and ends.
fn data(file: &str) -> Option<PathBuf> {
    let named = std::env::var_os("INTERDICT_DATA").map(PathBuf::from);
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("shared/data"));
    let found = named.into_iter().chain(above).map(|data| data.join(file)).find(|path| path.exists());
    assert!(found.is_some() || std::env::var_os("CI").is_none(), "no {file}: set INTERDICT_DATA");
    if found.is_none() {
        eprintln!("skipped: no {file}; set INTERDICT_DATA");
    }
    found
}

fn of_kind(list: &Watchlist, kind: EntryKind) -> usize {
    list.entries.iter().filter(|entry| entry.kind == kind).count()
}
fn entry<'l>(list: &'l Watchlist, id: &str) -> &'l WatchEntry {
    list.entries.iter().find(|entry| entry.id == id).unwrap()
}
fn alias(name: &str, quality: Quality) -> Alias {
    Alias { name: name.into(), quality }
}

#[test]
fn ofac_is_read_whole() {
    let Some(path) = data("ofac/sdn.csv") else { return };
    let list = read(&path).unwrap();
    assert_eq!((list.name.as_str(), list.entries.len(), list.notes.len()), ("ofac-sdn", 7379, 0));
    let kinds = [EntryKind::Person, EntryKind::Company, EntryKind::Vessel, EntryKind::Other];
    assert_eq!(kinds.map(|kind| of_kind(&list, kind)), [3845, 2994, 323, 217]);
    // 9,682 rows of alt.csv, some of which repeat a name of their entry; and the weak ones from the remarks.
    let text = fs::read_to_string(path.with_file_name("alt.csv")).unwrap();
    assert_eq!(text.lines().count(), 9682);
    let strong =
        list.entries.iter().flat_map(|entry| &entry.aliases).filter(|a| a.quality == Quality::Strong).count();
    let weak = list.aliases() - strong;
    let known: std::collections::HashSet<(String, String)> = text
        .lines()
        .map(|line| {
            let (id, rest) = line.split_once(',').unwrap();
            let name = rest.split_once(",\"").unwrap().1.split_once("\",").unwrap().1;
            (id.to_owned(), name.trim_start_matches('"').rsplit_once("\",").unwrap().0.trim().to_owned())
        })
        .filter(|(id, name)| entry(&list, id).name != *name)
        .collect();
    assert_eq!(strong, known.len());
    assert!((1900..=2037).contains(&weak), "{weak} weak aliases");
    let bank = entry(&list, "306");
    assert_eq!(bank.name, "BANCO NACIONAL DE CUBA");
    assert_eq!(bank.aliases, [alias("BNC", Quality::Weak), alias("NATIONAL BANK OF CUBA", Quality::Strong)]);
    assert_eq!(bank.programs, ["CUBA"]);
    assert_eq!(bank.countries, ["Switzerland", "Spain", "Japan", "Panama"][..bank.countries.len()]);
    assert!(!bank.countries.is_empty());
}

#[test]
fn the_un_list_is_read_whole() {
    let Some(path) = data("un/consolidated.xml") else { return };
    let list = read(&path).unwrap();
    assert_eq!((list.name.as_str(), list.entries.len()), ("un-consolidated", 1003));
    assert_eq!((of_kind(&list, EntryKind::Person), of_kind(&list, EntryKind::Company)), (730, 273));
    let kakolele = entry(&list, "CDi.002");
    assert_eq!(kakolele.name, "FRANK KAKOLELE BWAMBALE");
    let names: Vec<&str> = kakolele.aliases.iter().map(|alias| alias.name.as_str()).collect();
    assert_eq!(names, ["FRANK KAKORERE", "FRANK KAKORERE BWAMBALE", "AIGLE BLANC"]);
    assert_eq!(kakolele.programs, ["DRC"]);
    let iyamuremye = entry(&list, "CDi.003");
    assert_eq!(iyamuremye.aliases[0], alias("Rumuli", Quality::Weak));
    assert_eq!(iyamuremye.aliases[1], alias("Byiringiro Victor Rumuli", Quality::Strong));
    let arabic = "\u{635}\u{62f}\u{627}\u{645} \u{62d}\u{633}\u{64a}\u{646} \u{627}\u{644}\u{62a}\u{643}\u{631}\u{64a}\u{62a}\u{64a}";
    assert!(list.entries.iter().any(|entry| entry.aliases.contains(&alias(arabic, Quality::Strong))));
    // 2,752 aliases, 378 names in original script, enumerations cut into their names, repetitions dropped.
    assert!((2900..3700).contains(&list.aliases()), "{} aliases", list.aliases());
    assert!(!list.entries.iter().any(|entry| entry.aliases.iter().any(|a| a.name.contains(';'))));
}

fn un(body: &str) -> Result<Vec<WatchEntry>, FieldError> {
    un::read_entries(body.as_bytes())
}

#[test]
fn xml_entities_are_resolved_or_refused() {
    let list = |name: &str| {
        format!(
            "<?xml version='1.0'?>\n<CONSOLIDATED_LIST><ENTITIES><ENTITY><REFERENCE_NUMBER>X.1</REFERENCE_NUMBER>\
            <FIRST_NAME>{name}</FIRST_NAME><ENTITY_ALIAS><QUALITY>a.k.a.</QUALITY><ALIAS_NAME>a) One b) Two; Three\
            </ALIAS_NAME></ENTITY_ALIAS></ENTITY></ENTITIES></CONSOLIDATED_LIST>"
        )
    };
    let read = un(&list("A &amp; B &#x26;<![CDATA[ <C>]]><!-- no -->")).unwrap();
    assert_eq!(read[0].name, "A & B & <C>");
    let names: Vec<&str> = read[0].aliases.iter().map(|alias| alias.name.as_str()).collect();
    assert_eq!(names, ["One", "Two", "Three"]);
    let own = un(&list("&lol;")).unwrap_err();
    assert!(own.expected.contains("never expanded") && own.place.line == Some(2), "{own}");
    assert_eq!(un(&list(" ")).unwrap_err().field, "FIRST_NAME");
}

#[test]
fn hostile_xml_is_refused_at_once() {
    let bomb = "<?xml version=\"1.0\"?>\n<!DOCTYPE lolz [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">\
        <!ENTITY c \"&b;&b;&b;&b;\">]>\n<CONSOLIDATED_LIST>&c;</CONSOLIDATED_LIST>";
    let error = un(bomb).unwrap_err();
    assert!(error.expected.contains("no document type declaration"), "{error}");
    let deep = format!("<CONSOLIDATED_LIST>{}", "<A>".repeat(100_000));
    assert!(un(&deep).unwrap_err().expected.contains("nested at most 16"));
    let long = format!("<CONSOLIDATED_LIST><A>{}</A></CONSOLIDATED_LIST>", "x".repeat(300 * 1024));
    assert!(un(&long).unwrap_err().expected.contains("bytes of text in one element"));
    let name = "x".repeat(10_000);
    let body = format!(
        "<CONSOLIDATED_LIST><ENTITIES>\n<ENTITY><DATAID>1</DATAID><FIRST_NAME>{name}</FIRST_NAME></ENTITY></ENTITIES></CONSOLIDATED_LIST>"
    );
    let error = un(&body).unwrap_err();
    assert_eq!((error.place.line, error.field.as_str()), (Some(2), "name"));
    assert!(!error.to_string().contains("xxx"));
    for wrong in [
        "",
        "<a/>",
        "<CONSOLIDATED_LIST>",
        "<CONSOLIDATED_LIST></CONSOLIDATED_LIST><CONSOLIDATED_LIST/>",
        "<CONSOLIDATED_LIST><ENTITIES></CONSOLIDATED_LIST>",
        "<CONSOLIDATED_LIST>&#xFFFFFFFF;</CONSOLIDATED_LIST>",
        "<CONSOLIDATED_LIST>&",
    ] {
        let error = un(wrong).unwrap_err();
        assert!(error.place.line.is_some() && error.place.offset.is_some(), "{wrong}: {error}");
    }
    assert_eq!(un::read_entries(b"<CONSOLIDATED_LIST>\n\xff").unwrap_err().place.offset, Some(20));
    assert_eq!(un("<CONSOLIDATED_LIST/>").unwrap(), []);
}

fn files(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, bytes)| fs::write(folder.path().join(name), bytes).unwrap());
    folder
}
const SDN: &[u8] = b"36,\"O'HARA, \"\"Jo\"\" & Sons\",-0- ,\"CUBA] [SDGT\",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,\"DOB 1960; a.k.a. 'ABU-'UMAR'; x.\"\r\n\
    37,\"SILVA, Ana\",\"individual\",\"SDGT\",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- \r\n\x1a";

#[test]
fn small_ofac_files_and_what_is_wrong_with_them() {
    let alt = b"37,1,\"aka\",\"SILVA, Anna\",-0- \n37,2,\"fka\",\"SILVA, Ana\",-0- \n\x1a";
    let add = b"37,1,-0- ,\"Porto\",\"Portugal\",-0- \n37,2,-0- ,-0- ,-0- ,-0- \n";
    let folder = files(&[("SDN.CSV", SDN), ("ALT.CSV", alt), ("ADD.CSV", add)]);
    let list = read(&folder.path().join("SDN.CSV")).unwrap();
    assert_eq!(list.name, "ofac-SDN");
    assert_eq!(list.entries[0].name, "O'HARA, \"Jo\" & Sons");
    assert_eq!(list.entries[0].aliases, [alias("ABU-'UMAR", Quality::Weak)]);
    assert_eq!(list.entries[0].programs, ["CUBA", "SDGT"]);
    assert_eq!(list.entries[1].aliases, [alias("SILVA, Anna", Quality::Strong)]);
    assert_eq!(
        (list.entries[1].kind, &list.entries[1].countries[..]),
        (EntryKind::Person, &["Portugal".into()][..])
    );

    let alone = files(&[("sdn.csv", SDN)]);
    assert!(read(&alone.path().join("sdn.csv")).unwrap().notes[0].contains("no alt.csv"));
    let wrong = [
        SDN.strip_suffix(b"\x1a").unwrap(),
        b"36,\"X\"\n37,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- \n",
    ]
    .concat();
    let alt = b"99,1,\"aka\",\"NOBODY\",-0- \n";
    let folder = files(&[("sdn.csv", &wrong), ("alt.csv", alt)]);
    let errors = read(&folder.path().join("sdn.csv")).unwrap_err();
    let told: Vec<_> = errors.iter().map(|e| (e.place.line.unwrap(), e.field.as_str())).collect();
    assert_eq!(told, [(3, ""), (4, "SDN_Name"), (1, "ent_num")]);
    assert!(errors[2].place.file.as_deref().unwrap().ends_with("alt.csv"));
    assert!(!errors.iter().any(|error| error.to_string().contains("NOBODY")));
    let cut = files(&[("sdn.csv", &SDN[..30])]);
    assert!(read(&cut.path().join("sdn.csv")).is_err());
}

#[test]
fn any_csv_with_a_name_column() {
    let text =
        "\u{feff}ID,Name,Kind,more\n7,\"SILVA, Ana\",Person,x\n7,Anna Silva,,x\n,Stella Maris,vessel,x\n";
    let folder = files(&[("own.csv", text.as_bytes())]);
    let list = read(&folder.path().join("own.csv")).unwrap();
    assert_eq!((list.name.as_str(), list.entries.len()), ("own", 2));
    assert_eq!(list.entries[0].aliases, [alias("Anna Silva", Quality::Strong)]);
    assert_eq!((list.entries[1].id.as_str(), list.entries[1].kind), ("3", EntryKind::Vessel));
    let wrong = |text: &str| {
        let folder = files(&[("own.csv", text.as_bytes())]);
        let errors = read(&folder.path().join("own.csv")).unwrap_err();
        errors.into_iter().map(|error| (error.place.line.unwrap(), error.to_string())).collect::<Vec<_>>()
    };
    let errors = wrong(&format!("name,kind\n,person\na,b\nc,person,x\n{},person\n", "n".repeat(10_000)));
    let lines: Vec<u64> = errors.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [2, 3, 4, 5]);
    assert!(errors[3].1.contains("at most 4096 bytes") && !errors[3].1.contains("nnn"));
    assert!(wrong("nmae\nx\n")[0].1.contains("the nearest is nmae"), "{:?}", wrong("nmae\nx\n"));
    assert!(wrong("")[0].1.contains("the column name"));
    assert!(wrong("name\n\"x")[0].1.contains("closing quote"));
    let many = wrong(&format!("name,kind\n{}", "x,wrong\n".repeat(1000)));
    assert_eq!(many.len(), 100);
}

#[test]
fn a_built_bank_is_read_back_and_a_damaged_one_refused() {
    let folder =
        files(&[("own.csv", b"name,kind\nAna Silva,person\n"), ("x.inames", b"IWLBx"), ("y.inames", b"")]);
    let own = bank::load(&folder.path().join("own.csv")).unwrap();
    assert_eq!(own.bank.entries()[0].names[0].name, "Ana Silva");
    let built = folder.path().join("names.bin");
    fs::write(&built, own.bank.encode()).unwrap();
    let again = bank::load(&built).unwrap();
    assert_eq!((again.name.as_str(), &again.bank), ("names", &own.bank));
    for wrong in ["x.inames", "y.inames"] {
        let errors = bank::load(&folder.path().join(wrong)).unwrap_err();
        assert!(errors[0].to_string().contains(wrong), "{}", errors[0]);
    }
}
