use super::*;
use crate::config::model::AdminState;
use crate::control::routes::Order;

const CONF: &str = "virtual_server 10.0.0.1 80 {
 protocol TCP
 real_server 10.1.0.1 80 { weight 4 }
 real_server 10.1.0.2 80 { admin_state drain }
}
";

struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn place(name: &str, conf: &str) -> Place {
    let folder = std::env::temp_dir().join(format!("tandem-include-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("t.conf"), conf).unwrap();
    Place(folder)
}

impl Place {
    fn say(&self, server: &str, order: Order, kept: Option<&str>) -> Result<Persisted, Failure> {
        let service = "TCP 10.0.0.1:80".parse().unwrap();
        let server: std::net::SocketAddr = server.parse().unwrap();
        let kept = kept.map(|text| format!("{service} {server} {text}").parse().unwrap());
        let change = Change { service: None, server: ServerName::At(server), order, persist: true };
        let said = Said { by: "me".to_owned(), at: "now".to_owned() };
        let main = self.0.join("t.conf");
        persist(&main, &file_of(&main, None), (&service, server), kept.as_ref(), &change, &said)
    }

    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.0.join("overrides.conf")).unwrap_or_default();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.replace("real_server_override TCP 10.0.0.1:80 ", "")).collect()
    }
}

#[test]
fn changes_become_lines_of_an_included_file() {
    let place = place("lines", &format!("{CONF}include overrides.conf\n"));
    let drain = || Order::State(AdminState::Drain);
    let first = place.say("10.1.0.1:80", drain(), None).unwrap();
    assert_eq!((first.include, first.before), (None, None));
    assert_eq!(place.lines(), ["10.1.0.1:80 drain by me at now"]);
    // What a command said before is written, too.
    place.say("10.1.0.2:80", Order::Enable, Some("weight 7 by you")).unwrap();
    assert_eq!(place.lines(), ["10.1.0.1:80 drain by me at now", "10.1.0.2:80 enabled by me at now"]);
    let again = place.say("10.1.0.1:80", Order::Weight(9), Some("enabled by you")).unwrap();
    assert_eq!(again.before.unwrap().to_string(), "TCP 10.0.0.1:80 10.1.0.1:80 drain by me at now");
    assert_eq!(place.lines()[1], "10.1.0.1:80 weight 9 enabled by me at now");
    // The whole configuration says it now.
    let loaded = config::load(&place.0.join("t.conf"), &Facts::default());
    let real = &loaded.config.virtual_server[0].real_server[0];
    assert_eq!((real.weight, real.admin_state), (Some(9), Some(AdminState::Enabled)));
    // And back to what the blocks say.
    let back = place.say("10.1.0.1:80", Order::Enable, None).unwrap();
    assert_eq!((back.after, back.include), (None, None));
    assert_eq!(place.lines(), ["10.1.0.2:80 enabled by me at now"]);
}

#[test]
fn a_file_that_is_not_included_is_told() {
    let place = place("apart", CONF);
    let written = place.say("10.1.0.1:80", Order::Weight(9), None).unwrap();
    assert_eq!(written.include.as_deref(), Some("include overrides.conf"));
    assert_eq!(place.lines(), ["10.1.0.1:80 weight 9 by me at now"]);
    assert_eq!(file_of(Path::new("/etc/t/t.conf"), Some("/var/o.conf")), Path::new("/var/o.conf"));
    assert_eq!(file_of(Path::new("t.conf"), Some("o.conf")), Path::new("o.conf"));
}

#[test]
fn nobody_s_words_are_overwritten() {
    let place = place("foreign", &format!("{CONF}include overrides.conf\n"));
    let file = place.0.join("overrides.conf");
    for text in ["global_defs {\n router_id x\n}\n", "real_server_override nonsense\n", "}\n"] {
        fs::write(&file, text).unwrap();
        let refused = place.say("10.1.0.1:80", Order::Weight(9), None).unwrap_err();
        assert_eq!((refused.status, refused.code), (409, "not-ours"), "{text}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
    fs::remove_file(&file).unwrap();
    // The configuration on the disk has no such server any more.
    fs::write(place.0.join("t.conf"), CONF.replace("10.1.0.1", "10.1.0.9")).unwrap();
    let refused = place.say("10.1.0.1:80", Order::Weight(9), None).unwrap_err();
    assert!(refused.problem.starts_with("the files on the disk do not allow it"), "{}", refused.problem);
    assert!(!file.exists());
}

#[test]
fn yaml_is_refused_with_what_to_write() {
    let place = place("yaml", "");
    let config = config::load_text("x.conf".as_ref(), CONF.as_bytes(), &Facts::default()).config;
    let main = place.0.join("t.yaml");
    fs::write(&main, config::yaml::to_yaml(&config).unwrap()).unwrap();
    let service = "TCP 10.0.0.1:80".parse().unwrap();
    let server = "10.1.0.1:80".parse().unwrap();
    let change =
        Change { service: None, server: ServerName::At(server), order: Order::Weight(9), persist: true };
    let refused = persist(&main, &file_of(&main, None), (&service, server), None, &change, &Said::default())
        .unwrap_err();
    assert_eq!(refused.code, "yaml");
    assert!(refused.cure.contains("- TCP 10.0.0.1:80 10.1.0.1:80 weight 9"), "{}", refused.cure);
    assert!(!place.0.join("overrides.conf").exists());
}
