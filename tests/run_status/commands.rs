//! Every command of the command line, against a daemon that runs.

use super::*;

/// Those that ask no daemon, or are it. `tests/plan_cli.rs` and others have them.
const ALONE: [&str; 6] = ["run", "check", "convert", "schema", "genhash", "plan"];

/// A command, its exit code, and what it says among other things.
type Said = (&'static str, i32, &'static str);

/// The order matters: what one of them changes is there for the next.
const COMMANDS: &[Said] = &[
    ("status", 0, "MASTER"),
    ("top", 1, "needs a terminal"),
    ("servers", 0, "127.0.0.2:8081"),
    ("overrides", 0, "no overrides"),
    ("weight 127.0.0.1 9", 0, "weight 4 -> 9"),
    ("weight 127.0.0.9 9", 2, "there is no real server 127.0.0.9"),
    ("overrides", 0, "weight 9"),
    ("drain 127.0.0.1", 0, "drain"),
    ("servers", 0, "drain"),
    ("disable 127.0.0.2", 0, "disabled"),
    ("servers", 0, "disabled"),
    ("enable 127.0.0.1", 0, "enabled"),
    ("enable 127.0.0.2", 0, "enabled"),
    ("overrides", 0, "no overrides"),
    ("add 127.0.0.4:53 --service 10.0.0.100:53 --weight 3", 0, "added, weight 3"),
    ("servers", 0, "127.0.0.4:53"),
    ("delete 127.0.0.4", 0, "deleted"),
    ("check-now --all", 3, "2 checks have run"),
    ("config --form keepalived", 0, "vrrp_instance VI_1 {"),
    ("step-down VI_1 --for 10m", 0, "VI_1"),
    ("why VI_1", 0, "step_down of root"),
    ("end-order VI_1", 0, "VI_1"),
    ("end-order VI_1", 2, "no order is in force for VI_1"),
    ("take-over VI_2", 0, "VI_2"),
    ("failback VI_2", 0, "VI_2"),
    ("maintenance on --for 1h", 0, "maintenance"),
    ("status", 0, "maintenance"),
    ("maintenance off", 0, "maintenance"),
    ("history --kind order", 0, "maintenance"),
    ("history --kind command", 0, "127.0.0.4:53"),
    ("reload", 0, "reloaded"),
    ("upgrade", 0, "goes on for"),
    ("status", 0, "tandem 0."),
    ("leave", 0, ""),
];

/// The virtual addresses that this network namespace has.
fn addresses() -> usize {
    let shown = Command::new("ip").args(["-4", "-o", "address", "show", "dev", "eth0"]).output().unwrap();
    String::from_utf8_lossy(&shown.stdout).matches("10.0.0.10").count()
}

#[test]
fn every_command_meets_a_daemon() {
    let place = place("commands", CONF);
    let place = place.0.as_path();
    let mut daemon = Daemon::start_with(place, &[]);
    until("both are master, and both servers are down", || {
        is_master(&daemon) && tandem(place, &["status"]).1.matches("DOWN").count() == 2
    });
    for (words, wanted, says) in COMMANDS {
        // What leaves has something to leave behind: the end of maintenance was a moment ago.
        if *words == "leave" {
            until("both are master again", || is_master(&daemon));
        }
        let words: Vec<&str> = words.split(' ').collect();
        let (code, said) = tandem(place, &words);
        println!("{words:?}: {code:?}\n{said}");
        assert!(code == Some(*wanted) && said.contains(says), "{words:?}: {code:?}: {said}");
    }
    daemon.ended();
    // It has left its addresses behind; nobody comes for them.
    let release = || {
        let output = Command::new(env!("CARGO_BIN_EXE_tandem"))
            .args(["release", "--run-dir", "run"])
            .current_dir(place)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let left = addresses();
    assert!(left > 0);
    assert_eq!(release(), (Some(0), format!("{left} addresses were taken off this machine\n")));
    assert_eq!(addresses(), 0);

    let known = |name: &str| {
        name == "release"
            || ALONE.contains(&name)
            || COMMANDS.iter().any(|(words, code, _)| words.split(' ').next() == Some(name) && *code != 2)
    };
    for command in tandem::cli::command().get_subcommands() {
        assert!(known(command.get_name()), "no line here for tandem {}", command.get_name());
    }
    let (code, said) = tandem(place, &["status"]);
    assert!(code == Some(1) && said.contains("no Tandem answers"), "{said}");
}

/// It looks again and again, and ends when nobody reads any more.
#[test]
fn a_status_that_is_watched() {
    let place = place("watched", CONF);
    let place = place.0.as_path();
    let daemon = Daemon::start(place);
    until("both are master", || is_master(&daemon));
    let mut watched = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(["status", "--part", "instances", "--watch", "1", "--control", "run/c.sock"])
        .current_dir(place)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = watched.stdout.take().unwrap();
    let (mut said, mut buffer) = (String::new(), [0; 4096]);
    let begun = Instant::now();
    while said.matches("VI_1").count() < 3 {
        let length = out.read(&mut buffer).unwrap();
        assert!(length > 0, "it ended: {said}");
        said += &String::from_utf8_lossy(&buffer[..length]);
        if said.matches("VI_1").count() == 1 && daemon.status()["instances"][0]["order"].is_null() {
            assert_eq!(tandem(place, &["step-down", "VI_1", "--for", "10m"]).0, Some(0));
        }
    }
    assert!(begun.elapsed() > Duration::from_millis(1500) && said.contains("step_down"), "{said}");
    drop(out);
    assert_eq!(watched.wait().unwrap().code(), Some(0));
    daemon.end();
}
