//! keepalived.conf to the model: lexer, tree, lowering by keyword tables. What is wrong is reported with its place
//! and passed over; the rest runs, as keepalived does it.

use std::collections::BTreeMap;
use std::path::Path;

use super::diagnostic::{Diagnostic, Level, Place};
use super::model::Config;

mod checker;
mod global;
mod instance;
mod lexer;
mod reader;
mod server;
mod source;
mod tree;
mod words;

use reader::Reader;
use source::Source;
use tree::Node;

/// Where named objects begin, as `"vrrp_instance VI_1"` and the like.
pub(super) type Places = BTreeMap<String, Place>;

/// Key of a virtual server in [`Places`].
pub(super) fn server_key(server: &super::model::VirtualServer) -> String {
    match (server.address, server.fwmark) {
        (Some(address), _) => {
            format!("virtual_server {address} {} {:?}", server.port.unwrap_or(0), server.protocol)
        }
        (None, mark) => format!("virtual_server fwmark {}", mark.unwrap_or(0)),
    }
}

/// Reads a file. `config_id` chooses `@id` lines.
pub(super) fn parse(name: &Path, bytes: &[u8], config_id: Option<&str>) -> (Config, Places, Vec<Diagnostic>) {
    let mut source =
        Source { config_id, variables: BTreeMap::new(), findings: Vec::new(), statements: Vec::new() };
    source.take(name, bytes, 0);
    let mut findings = source.findings;
    let nodes = tree::build(source.statements, &mut findings);
    let mut reader = Reader { findings };
    let (config, places) = lower(&mut reader, &nodes);
    (config, places, reader.findings)
}

fn lower(r: &mut Reader, nodes: &[Node]) -> (Config, Places) {
    let mut config = Config::default();
    let mut places = Places::new();
    for node in nodes {
        match node.key() {
            "global_defs" => {
                r.block(
                    node.children(),
                    global::GLOBAL,
                    words::GLOBAL_LATER,
                    "global_defs",
                    &mut config.global_defs,
                );
            }
            "vrrp_script" => {
                if let Some(script) = global::script(r, node)
                    && fresh(r, node, &mut places, format!("vrrp_script {}", script.name))
                {
                    config.vrrp_script.push(script);
                }
            }
            "vrrp_instance" => {
                if let Some(instance) = instance::instance(r, node)
                    && fresh(r, node, &mut places, format!("vrrp_instance {}", instance.name))
                {
                    config.vrrp_instance.push(instance);
                }
            }
            "virtual_server" => {
                if let Some(server) = server::virtual_server(r, node) {
                    places.entry(server_key(&server)).or_insert_with(|| node.place(1));
                    config.virtual_server.push(server);
                }
            }
            key if words::ROOT_LATER.contains(&key) => r.not_yet(node),
            _ => {
                let known = ["global_defs", "vrrp_script", "vrrp_instance", "virtual_server"];
                r.unknown(node, known.into_iter().chain(words::ROOT_LATER.iter().copied()), "the file");
            }
        }
    }
    (config, places)
}

/// Notes the place of a named object; a second one of the same name is dropped.
fn fresh(r: &mut Reader, node: &Node, places: &mut Places, key: String) -> bool {
    if let Some(first) = places.get(&key) {
        let problem = format!("{key} is there already, at {first}");
        let fix = "give it another name, or remove one";
        r.find(Level::Error, node, 1, "duplicate-name", problem, "the second one is dropped", fix);
        return false;
    }
    places.insert(key, node.place(1));
    true
}
