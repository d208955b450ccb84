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
    fn say(&self, server: &str, order: Order, kept: Option<&str>) -> Result<(Planned, Persisted), Failure> {
        let service = "TCP 10.0.0.1:80".parse().unwrap();
        let server: std::net::SocketAddr = server.parse().unwrap();
        let kept = kept.map(|text| format!("{service} {server} {text}").parse().unwrap());
        let change = Change {
            service: None,
            server: ServerName::At(server),
            order,
            persist: true,
            pair: false,
            lasting: None,
        };
        let said = Said { by: "me".to_owned(), at: "now".to_owned(), until: None };
        let main = self.0.join("t.conf");
        let planned = plan(&main, &file_of(&main, None), (&service, server), kept.as_ref(), &change, &said)?;
        let written = planned.write()?;
        Ok((planned, written))
    }

    /// Lines that somebody has written.
    fn write(&self, lines: &[&str]) {
        let text: String =
            lines.iter().map(|line| format!("real_server_override TCP 10.0.0.1:80 {line}\n")).collect();
        fs::write(self.0.join("overrides.conf"), text).unwrap();
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
    let (first, written) = place.say("10.1.0.1:80", drain(), None).unwrap();
    assert_eq!((written.include, first.before), (None, None));
    assert_eq!(place.lines(), ["10.1.0.1:80 drain by me at now"]);
    // What a command said before is written, too.
    place.say("10.1.0.2:80", Order::Enable, Some("weight 7 by you")).unwrap();
    assert_eq!(place.lines(), ["10.1.0.1:80 drain by me at now", "10.1.0.2:80 enabled by me at now"]);
    let (again, _) = place.say("10.1.0.1:80", Order::Weight(9), Some("enabled by you")).unwrap();
    assert_eq!(again.before.unwrap().to_string(), "TCP 10.0.0.1:80 10.1.0.1:80 drain by me at now");
    assert_eq!(place.lines()[0], "10.1.0.1:80 weight 9 enabled by me at now");
    // The whole configuration says it now.
    let loaded = config::load(&place.0.join("t.conf"), &Facts::default());
    let real = &loaded.config.virtual_server[0].real_server[0];
    assert_eq!((real.weight, real.admin_state), (Some(9), Some(AdminState::Enabled)));
    // And back to what the blocks say.
    let (back, written) = place.say("10.1.0.1:80", Order::Enable, None).unwrap();
    assert_eq!((back.after, written.include), (None, None));
    assert_eq!(place.lines(), ["10.1.0.2:80 enabled by me at now"]);
}

#[test]
fn a_file_that_is_not_included_is_told() {
    let place = place("apart", CONF);
    let (_, written) = place.say("10.1.0.1:80", Order::Weight(9), None).unwrap();
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
    let change = Change {
        service: None,
        server: ServerName::At(server),
        order: Order::Weight(9),
        persist: true,
        pair: false,
        lasting: None,
    };
    let refused =
        plan(&main, &file_of(&main, None), (&service, server), None, &change, &Said::default()).unwrap_err();
    assert_eq!(refused.code, "yaml");
    assert!(refused.cure.contains("- TCP 10.0.0.1:80 10.1.0.1:80 weight 9"), "{}", refused.cure);
    assert!(!place.0.join("overrides.conf").exists());
}

/// What was added like another one stands behind it, whatever is said of that one.
#[test]
fn lines_stay_in_their_places() {
    let place = place("order", &format!("{CONF}include overrides.conf\n"));
    let both = ["10.1.0.9:80 add", "10.1.0.8:80 add like 10.1.0.9:80"];
    place.write(&both);
    place.say("10.1.0.9:80", Order::State(AdminState::Drain), Some("weight 5 by you")).unwrap();
    assert_eq!(place.lines(), ["10.1.0.9:80 add weight 5 drain by me at now", both[1]]);
    // One that nobody could be like any more is not left behind.
    place.write(&both);
    let add = Order::Add { weight: None, like: None };
    let refused = place.say("10.1.0.9:80", add, Some("delete by you")).unwrap_err();
    assert_eq!(refused.code, "in-use");
    assert_eq!(place.lines(), both);
}

#[test]
fn what_enable_takes_back_does_not_become_lasting() {
    let place = place("enable", &format!("{CONF}include overrides.conf\n"));
    for (line, kept, wanted) in [
        ("10.1.0.9:80 add weight 4", Some("weight 9 by you"), vec!["10.1.0.9:80 add weight 4 by me at now"]),
        ("10.1.0.9:80 add", Some("delete by you"), vec!["10.1.0.9:80 add by me at now"]),
        ("10.1.0.1:80 weight 5", Some("weight 9 drain by you"), vec![]),
        ("10.1.0.1:80 delete", None, vec![]),
    ] {
        place.write(&[line]);
        let (server, _) = line.split_once(' ').unwrap();
        place.say(server, Order::Enable, kept).unwrap();
        assert_eq!(place.lines(), wanted, "{line} | {kept:?}");
    }
    // What only a command has added is there by that.
    place.write(&[]);
    place.say("10.1.0.9:80", Order::Enable, Some("add weight 3 drain by you")).unwrap();
    assert_eq!(place.lines(), ["10.1.0.9:80 add weight 3 by me at now"]);
}

#[test]
fn a_file_keeps_its_mode() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = place("mode", CONF);
    let file = place.0.join("overrides.conf");
    let mode = || fs::metadata(&file).unwrap().permissions().mode() & 0o7777;
    place.say("10.1.0.1:80", Order::Weight(9), None).unwrap();
    assert_eq!(mode() & 0o400, 0o400);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    place.say("10.1.0.1:80", Order::Weight(8), None).unwrap();
    assert_eq!(mode(), 0o600);
}
