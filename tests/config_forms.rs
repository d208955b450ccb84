//! What the keyword tables promise to the outside: the JSON Schema, `tandem convert`, the README's list of words that
//! nothing acts on yet. `UPDATE_GOLDEN=1` writes schema and list anew: read the difference before you commit it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tandem::config::resolve::Facts;
use tandem::config::{self, schema, yaml};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn tandem(arguments: &[&str], directory: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tandem")).args(arguments).current_dir(directory).output().unwrap()
}

#[test]
fn the_committed_schema_is_the_program_s() {
    let path = root().join("config/tandem.schema.json");
    let text = schema::schema_text();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &text).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap_or_default(), text, "UPDATE_GOLDEN=1 writes it anew");
    assert_eq!(String::from_utf8(tandem(&["schema"], root()).stdout).unwrap(), text);
}

#[test]
fn the_schema_names_every_field_and_its_limits() {
    let schema = schema::schema();
    let at = |pointer: &str| schema.pointer(pointer).unwrap_or_else(|| panic!("no {pointer}"));
    assert_eq!(at("/$defs/Instance/properties/priority/maximum"), 255);
    assert_eq!(at("/$defs/Instance/properties/priority/minimum"), 1);
    assert_eq!(at("/$defs/Instance/additionalProperties"), false);
    assert_eq!(at("/$defs/Connection/properties/connect_port/maximum"), 65_535);
    assert!(
        at("/$defs/VirtualServer/properties/persistence_timeout/description")
            .as_str()
            .unwrap()
            .contains("31 days")
    );
    // Nothing is without a description.
    for (name, definition) in at("/$defs").as_object().unwrap() {
        for (field, property) in
            definition.get("properties").and_then(|p| p.as_object()).into_iter().flatten()
        {
            assert!(property.get("description").is_some(), "{name}.{field} has no description");
        }
    }
}

/// Words that nothing acts on yet, as the README lists them: by block, in the order of the tables.
fn not_yet() -> String {
    let mut blocks: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut order = Vec::new();
    for word in config::words().iter().filter(|word| !word.acted_on && word.word != "entries") {
        if !blocks.contains_key(word.block) {
            order.push(word.block);
        }
        blocks.entry(word.block).or_default().push(word.word);
    }
    let mut text = String::new();
    for block in order {
        let words: Vec<String> = blocks[block].iter().map(|word| format!("`{word}`")).collect();
        text += &format!("- **{block}**: {}\n", words.join(" "));
    }
    text
}

#[test]
fn the_readme_lists_what_nothing_acts_on_yet() {
    const BEGIN: &str = "<!-- words: begin -->\n";
    const END: &str = "<!-- words: end -->";
    let path = root().join("README.md");
    let readme = fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("the list's begin");
    let (list, after) = rest.split_once(END).expect("the list's end");
    let wanted = not_yet();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(list, wanted, "UPDATE_GOLDEN=1 writes it anew");
}

fn files_below(directory: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, into);
        } else if path.extension().is_some_and(|e| e == "conf" || e == "yaml") {
            into.push(path);
        }
    }
}

/// Examples, and the corpus where it is there: to the other form and back is the same model.
#[test]
fn conversion_loses_nothing() {
    let mut files = Vec::new();
    files_below(&root().join("config/examples"), &mut files);
    assert!(files.len() > 20, "only {} examples", files.len());
    let corpus =
        std::env::var_os("TANDEM_CORPUS").map_or_else(|| root().join("../shared/corpus"), PathBuf::from);
    files_below(&corpus, &mut files);
    let facts = Facts::default();
    for path in files {
        let first = config::parse(&path, &facts).config;
        let text =
            config::to_conf(&first).unwrap_or_else(|problems| panic!("{}: {problems:?}", path.display()));
        let again = config::parse_bytes(Path::new("again.conf"), text.as_bytes(), &facts);
        let (left, right) = (format!("{:#?}", again.config), format!("{first:#?}"));
        let differs =
            left.lines().zip(right.lines()).find(|(left, right)| left != right && !left.contains("origin: "));
        assert!(again.config == first, "{}: {differs:?}\n{:#?}", path.display(), again.diagnostics);
        let text = yaml::to_yaml(&first).unwrap();
        let again = config::parse_bytes(Path::new("again.yaml"), text.as_bytes(), &facts);
        assert!(again.config == first, "{}:\n{text}\n{:#?}", path.display(), again.diagnostics);
    }
}

#[test]
fn convert_writes_the_other_form() {
    let directory = std::env::temp_dir().join(format!("tandem-convert-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("a.conf"), "vrrp_instance A {\ninterface eth0\nvirtual_router_id 7\n}\n")
        .unwrap();
    let yaml = tandem(&["convert", "a.conf"], &directory);
    let text = String::from_utf8(yaml.stdout).unwrap();
    assert!(yaml.status.success() && text.contains("virtual_router_id: 7"), "{text}");
    fs::write(directory.join("a.yaml"), &text).unwrap();
    let back = tandem(&["convert", "a.yaml", "-o", "b.conf"], &directory);
    assert!(back.status.success());
    let text = fs::read_to_string(directory.join("b.conf")).unwrap();
    assert!(text.contains("    virtual_router_id 7\n"), "{text}");
    // What one form cannot say is refused, and nothing is written.
    fs::write(directory.join("c.yaml"), "global_defs: { router_id: \"a\\\"b\" }\n").unwrap();
    let refused = tandem(&["convert", "c.yaml", "-o", "c.conf"], &directory);
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    assert!(!directory.join("c.conf").exists());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no way to write"));
    assert_eq!(tandem(&["convert", "missing.conf"], &directory).status.code(), Some(3));
    fs::remove_dir_all(&directory).unwrap();
}
