//! Real keepalived.conf files, read in place when they are there (TANDEM_CORPUS names another folder): nothing
//! panics, the seed files load without an error, and every model survives the way through YAML and back.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tandem::config::diagnostic::Level;
use tandem::config::model::{AuthType, InitialState};
use tandem::config::resolve::Facts;
use tandem::config::{self, yaml};

fn corpus() -> Option<Vec<PathBuf>> {
    let folder = std::env::var_os("TANDEM_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"), PathBuf::from);
    let Ok(entries) = fs::read_dir(&folder) else {
        println!("SKIPPED: no corpus of configuration files in {}", folder.display());
        return None;
    };
    let mut files: Vec<_> = entries.map(|e| e.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "conf"));
    files.sort();
    Some(files)
}

#[test]
fn seed_files_mean_what_they_say() {
    let Some(files) = corpus() else { return };
    let seeds: Vec<_> =
        files.iter().filter(|p| p.file_name().unwrap().to_string_lossy().starts_with("seed-")).collect();
    assert!(seeds.len() >= 19, "only {} seed files", seeds.len());
    for path in seeds {
        let loaded = config::load(path, &Facts::default());
        let name = path.display();
        let errors: Vec<_> = loaded.diagnostics.iter().filter(|d| d.level == Level::Error).collect();
        assert!(loaded.readable && errors.is_empty(), "{name}: {errors:?}");
        let [instance] = loaded.config.vrrp_instance.as_slice() else { panic!("{name}: not one instance") };
        assert_eq!(instance.name, "VI_1", "{name}");
        assert!(!instance.virtual_ipaddress.is_empty(), "{name}");
        assert!([51, 66, 121].contains(&instance.virtual_router_id), "{name}");
        assert!([50, 90, 100].contains(&instance.priority.unwrap()), "{name}");
        let auth = instance.authentication.as_ref().unwrap();
        assert_eq!((auth.auth_type, auth.auth_pass.0.as_str()), (AuthType::Pass, "1111"), "{name}");
    }
}

#[test]
fn the_details_of_some_seed_files_are_right() {
    let Some(files) = corpus() else { return };
    let find = |part: &str| {
        let path = files.iter().find(|p| p.to_string_lossy().contains(part)).unwrap();
        config::load(path, &Facts::default()).config
    };
    let quote = find("seed-001-10");
    let instance = &quote.vrrp_instance[0];
    // Comments are glued to both addresses.
    assert_eq!(instance.unicast_src_ip.unwrap().to_string(), "192.168.1.21");
    assert_eq!(instance.unicast_peer[0].address.to_string(), "192.168.1.22");
    assert_eq!(instance.virtual_ipaddress.len(), 3);
    assert_eq!(quote.global_defs.notification_email.len(), 3);
    let nginx = find("seed-000-3");
    let script = &nginx.vrrp_script[0];
    assert_eq!((script.weight, script.fall, script.rise), (Some(-2), Some(3), Some(1)));
    assert_eq!(script.script.argv, ["/etc/keepalived/check_nginx.sh"]);
    assert_eq!(nginx.vrrp_instance[0].track_script[0].name, "chk_nginx");
    let nopreempt = find("seed-001-6");
    assert!(nopreempt.vrrp_instance[0].nopreempt);
    assert_eq!(nopreempt.vrrp_instance[0].state, Some(InitialState::Backup));
    let lvs = find("seed-003-1");
    assert_eq!(lvs.vrrp_instance[0].mcast_src_ip.unwrap().to_string(), "192.168.212.140");
}

#[test]
fn every_file_of_the_corpus_survives_yaml() {
    let Some(files) = corpus() else { return };
    assert!(files.len() > 200, "only {} files", files.len());
    for path in files {
        let loaded = config::load(&path, &Facts::default());
        let text = yaml::to_yaml(&loaded.config).unwrap();
        let again = config::parse_bytes(Path::new("again.yaml"), text.as_bytes(), &Facts::default());
        assert!(again.readable, "{}: {:?}\n{text}", path.display(), again.diagnostics);
        assert_eq!(again.config, loaded.config, "{}\n{text}", path.display());
    }
}

#[test]
fn bottomless_nesting_is_an_error_and_no_crash() {
    for unit in ["a{", "{", "vrrp_instance A { ", "a{}", "}"] {
        let loaded =
            config::load_text(Path::new("deep.conf"), unit.repeat(200_000).as_bytes(), &Facts::default());
        let lines = config::load_text(
            Path::new("deep.conf"),
            format!("{unit}\n").repeat(20_000).as_bytes(),
            &Facts::default(),
        );
        assert!(loaded.config.vrrp_instance.is_empty() && lines.config.vrrp_instance.is_empty());
        assert!(!lines.diagnostics.is_empty(), "{unit}");
    }
    let text = "a{\n".repeat(40) + &"}\n".repeat(40);
    let good =
        "vrrp_instance V {\ninterface eth0\nvirtual_router_id 7\nvirtual_ipaddress {\n10.0.0.1\n}\n}\n";
    let loaded = config::load_text(Path::new("deep.conf"), (text + good).as_bytes(), &Facts::default());
    assert_eq!(
        loaded.config.vrrp_instance.len(),
        1,
        "what follows the deep block is read: {:?}",
        loaded.diagnostics
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        config::load_text(Path::new("random.conf"), &bytes, &Facts::default());
        config::load_text(Path::new("random.yaml"), &bytes, &Facts::default());
    }

    #[test]
    fn no_heap_of_keywords_makes_it_panic(words in prop::collection::vec(prop::sample::select(WORDS), 0..60)) {
        config::load_text(Path::new("words.conf"), words.join(" ").as_bytes(), &Facts::default());
        config::load_text(Path::new("lines.conf"), words.join("\n").as_bytes(), &Facts::default());
    }
}

const WORDS: &[&str] = &[
    "{",
    "}",
    "\"",
    "vrrp_instance",
    "VI_1",
    "virtual_server",
    "real_server",
    "10.0.0.1",
    "10.0.0.1/33",
    "fe80::1",
    "80",
    "fwmark",
    "group",
    "-1",
    "99999999999",
    "HTTP_GET",
    "url",
    "path",
    "/",
    "status_code",
    "200-100",
    "TCP_CHECK",
    "MISC_CHECK",
    "misc_path",
    "'",
    "\\",
    "priority",
    "virtual_router_id",
    "virtual_ipaddress",
    "dev",
    "label",
    "brd",
    "+",
    "track_script",
    "weight",
    "notify",
    "unicast_peer",
    "interface",
    "advert_int",
    "0.00000001",
    "quorum",
    "$A=1",
    "$A",
    "${A",
    "@id",
    "@^id",
    "include",
    "~SEQ(a,1,2)",
    "#",
    "!",
    "authentication",
    "auth_pass",
    "persistence_timeout",
    "lb_kind",
    "DR",
    "protocol",
    "global_defs",
    "vrrp_script",
    "script",
    "interval",
    "é",
    "\u{0}",
];
