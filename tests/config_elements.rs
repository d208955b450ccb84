//! The one-line elements of real keepalived.conf files, read in place when they are there (TANDEM_CORPUS names
//! another folder): every address, route and rule is understood, and reads back from its canonical line.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};

use tandem::config::model::{Block, Route, Rule, VirtualAddress};
use tandem::config::text::ElementError;

/// The lines of all blocks of these names, each split into its words.
fn lines(files: &[String], blocks: [&str; 2]) -> Vec<(Block, Vec<String>)> {
    let mut found = Vec::new();
    for text in files {
        let mut inside = None;
        for line in text.lines() {
            let line = line.split(['#', '!']).next().unwrap().trim();
            let first = line.split([' ', '\t', '{']).next().unwrap();
            match inside {
                None if first == blocks[0] => inside = Some(Block::Virtual),
                None if first == blocks[1] => inside = Some(Block::Static),
                Some(_) if line.contains('}') => inside = None,
                // Conditions, definitions and parameters are the lexer's, not the element's.
                Some(block) if !line.is_empty() && !line.contains(['@', '$', '~', '"', '{', '<']) => {
                    found.push((block, line.split_whitespace().map(str::to_owned).collect()));
                }
                _ => {}
            }
        }
    }
    found
}

fn corpus() -> Option<Vec<String>> {
    let folder = std::env::var_os("TANDEM_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"), PathBuf::from);
    let Ok(entries) = fs::read_dir(&folder) else {
        println!("SKIPPED: no corpus of configuration files in {}", folder.display());
        return None;
    };
    let paths = entries.map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "conf"));
    Some(paths.filter_map(|p| fs::read(p).ok()).map(|b| String::from_utf8_lossy(&b).into_owned()).collect())
}

/// A reader of one kind of element, with its canonical line.
type Reader = fn(&[&str], Block) -> (Option<String>, Vec<ElementError>);

/// Mistakes by line: `no-track` is one in keepalived, too.
fn mistakes(lines: &[(Block, Vec<String>)], read: Reader) -> Vec<String> {
    let mut found = Vec::new();
    for (block, words) in lines {
        let words: Vec<&str> = words.iter().map(String::as_str).filter(|word| *word != "no-track").collect();
        let (line, errors) = read(&words, *block);
        if line.is_none() || !errors.is_empty() {
            found.push(format!("{}: {errors:?}", words.join(" ")));
        }
        if let Some(line) = line {
            let again = read(&line.split_whitespace().collect::<Vec<_>>(), *block);
            assert_eq!(again, (Some(line.clone()), vec![]), "{line}");
        }
    }
    found
}

#[test]
fn every_route_and_rule_is_understood() {
    let Some(files) = corpus() else { return };
    let routes = lines(&files, ["virtual_routes", "static_routes"]);
    let rules = lines(&files, ["virtual_rules", "static_rules"]);
    assert!(routes.len() >= 30 && rules.len() >= 30, "{} routes, {} rules", routes.len(), rules.len());
    let wrong = mistakes(&routes, |words, block| {
        let (route, errors) = Route::parse_in(words, block);
        (route.map(|r| r.to_string()), errors)
    });
    assert_eq!(wrong, [""; 0]);
    let wrong = mistakes(&rules, |words, block| {
        let (rule, errors) = Rule::parse_in(words, block);
        (rule.map(|r| r.to_string()), errors)
    });
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn nearly_every_address_is_understood() {
    let Some(files) = corpus() else { return };
    let mut addresses = lines(&files, ["virtual_ipaddress", "static_ipaddress"]);
    addresses.extend(lines(&files, ["virtual_ipaddress_excluded", "static_ipaddress"]));
    assert!(addresses.len() >= 300, "only {} addresses", addresses.len());
    let wrong = mistakes(&addresses, |words, block| {
        let (address, errors) = VirtualAddress::parse_in(words, block);
        (address.map(|a| a.to_string()), errors)
    });
    println!("{} of {}:\n{}", wrong.len(), addresses.len(), wrong.join("\n"));
    assert!(wrong.len() * 20 < addresses.len(), "{} of {} are not read", wrong.len(), addresses.len());
}
