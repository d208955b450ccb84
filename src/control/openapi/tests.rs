//! The file, the table of paths and what is understood agree.

use serde_json::Value;

use super::super::routes::route;
use super::super::routes::table::ROUTES;
use super::{TEXT, describe};

#[test]
fn the_file_is_what_the_documents_say() {
    let mut wanted = serde_json::to_string_pretty(&describe::document()).unwrap();
    wanted.push('\n');
    if std::env::var_os("OPENAPI").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/control/openapi.json");
        std::fs::write(path, &wanted).unwrap();
    } else if wanted != TEXT {
        let (n, line) = wanted
            .lines()
            .zip(TEXT.lines())
            .enumerate()
            .find(|(_, (wanted, there))| wanted != there)
            .map_or((0, ""), |(n, (wanted, _))| (n + 1, wanted));
        panic!(
            "src/control/openapi.json is old from line {n} (wanted: {line}): OPENAPI=write cargo test openapi"
        );
    }
}

/// A path with something in its variable parts.
fn target(path: &str) -> String {
    path.replace("{service}", "TCP%2010.0.0.1:80")
        .replace("{server}", "10.1.0.1:80")
        .replace("{name}", "VI_1")
}

#[test]
fn every_path_that_is_understood_is_described_and_the_reverse() {
    let described: Vec<(String, String)> =
        describe::operations().iter().map(|one| (one.method.to_owned(), one.path.to_owned())).collect();
    for one in ROUTES {
        let wanted = (one.method.to_owned(), one.path.to_owned());
        assert!(described.contains(&wanted), "{wanted:?} is not described");
        let body = match one.path {
            "/v1/maintenance" => "{\"on\": true}",
            path if path.ends_with("/weight") => "{\"weight\": 1}",
            _ => "",
        };
        let understood = route(one.method, &target(one.path), body.as_bytes());
        assert!(understood.is_ok(), "{wanted:?}: {understood:?}");
        // The other methods of a path are those of the table, and no more.
        for method in ["GET", "POST", "DELETE", "PUT"] {
            let there = ROUTES.iter().any(|other| other.path == one.path && other.method == method);
            let understood = route(method, &target(one.path), body.as_bytes());
            assert_eq!(understood.is_ok(), there, "{method} {}: {understood:?}", one.path);
        }
    }
    for (method, path) in &described {
        let there = ROUTES.iter().any(|one| one.method == method && one.path == path);
        assert!(there, "{method} {path} is described, and not in the table");
    }
    // The file is what is served, whatever made it.
    let file: Value = serde_json::from_str(TEXT).unwrap();
    let in_file = file["paths"].as_object().unwrap();
    let count: usize = in_file.values().map(|path| path.as_object().unwrap().len()).sum();
    assert_eq!(count, described.len());
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk(value: &Value, whole: &Value) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(at)) = fields.get("$ref") {
                    let pointer = at.strip_prefix('#').expect("a reference within the file");
                    assert!(whole.pointer(pointer).is_some(), "{at} leads nowhere");
                }
                fields.values().for_each(|value| walk(value, whole));
            }
            Value::Array(all) => all.iter().for_each(|value| walk(value, whole)),
            _ => {}
        }
    }
    let file: Value = serde_json::from_str(TEXT).unwrap();
    walk(&file, &file);
}
