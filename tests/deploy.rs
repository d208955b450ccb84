//! What is shipped besides the program: man pages, completions, units, scripts. Each is judged by the tool that will read it.
//! The packages themselves are tried by `make test-deb`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

#[path = "../examples/documents/completions.rs"]
mod completions;
mod made;
#[path = "../examples/documents/pages.rs"]
mod pages;
mod promtool;
#[path = "../examples/documents/words.rs"]
mod words;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn skip(why: &str) {
    println!("SKIPPED: {why}");
}

fn installed(program: &str) -> bool {
    Command::new("sh")
        .args(["-c", "command -v \"$0\"", program])
        .output()
        .is_ok_and(|out| out.status.success())
}

/// A folder of this test.
fn place(name: &str) -> PathBuf {
    let place = std::env::temp_dir().join(format!("tandem-deploy-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(&place).unwrap();
    place
}

fn said(out: &Output) -> String {
    String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr)
}

fn files(below: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn every_command_and_every_word_has_its_page() {
    let place = place("pages");
    pages::write(&place).unwrap();
    let mut command = tandem::cli::command();
    command.build();
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help" && !sub.is_hide_set()) {
        let page = place.join(format!("man/man8/tandem-{}.8", sub.get_name()));
        let text = fs::read_to_string(&page).unwrap();
        for option in sub.get_opts().filter_map(|option| option.get_long()) {
            let option = option.replace('-', "\\-");
            assert!(text.contains(&format!("\\-\\-{option}")), "{} lacks --{option}", page.display());
        }
        assert!(text.contains(".SH EXIT STATUS"), "{}", page.display());
    }
    let conf = fs::read_to_string(place.join("man/man5/tandem.conf.5")).unwrap();
    for word in tandem::config::words() {
        let line = format!("\\fB{}\\fR", words::escaped(word.word));
        assert!(conf.contains(&line), "tandem.conf(5) lacks {}", word.word);
    }
    if installed("groff") {
        for page in files(&place) {
            let out = Command::new("groff")
                .args(["-man", "-Kutf8", "-Tutf8", "-ww", "-z"])
                .arg(&page)
                .output()
                .unwrap();
            assert!(out.status.success() && said(&out).is_empty(), "{}: {}", page.display(), said(&out));
        }
    } else {
        skip("groff is not installed");
    }
    fs::remove_dir_all(&place).unwrap();
}

#[test]
fn shells_read_their_completions() {
    let place = place("completions");
    completions::write(&place).unwrap();
    for (shell, flag, file) in [
        ("bash", "-n", "bash-completion/completions/tandem"),
        ("zsh", "-n", "zsh/vendor-completions/_tandem"),
        ("fish", "-n", "fish/vendor_completions.d/tandem.fish"),
    ] {
        let text = fs::read_to_string(place.join(file)).unwrap();
        assert!(text.contains("overrides") && text.contains("config"), "{file} knows no command or option");
        if installed(shell) {
            let out = Command::new(shell).arg(flag).arg(place.join(file)).output().unwrap();
            assert!(out.status.success() && said(&out).is_empty(), "{file}: {}", said(&out));
        } else {
            println!("note: {shell} is not installed: {file} is not parsed");
        }
    }
    // What a shell would offer behind "tandem dr".
    let ask = "source \"$0\"; COMP_WORDS=(tandem dr); COMP_CWORD=1; _tandem tandem dr tandem; echo \"${COMPREPLY[*]}\"";
    let out = Command::new("bash")
        .args(["-c", ask])
        .arg(place.join("bash-completion/completions/tandem"))
        .output()
        .unwrap();
    assert_eq!(said(&out).trim(), "drain");
    fs::remove_dir_all(&place).unwrap();
}

/// The settings of a unit, by section.
fn settings(text: &str) -> BTreeMap<(String, String), Vec<String>> {
    let mut all: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    let mut section = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if line.starts_with('[') {
            section = line.to_owned();
        } else if let Some((name, value)) = line.split_once('=') {
            all.entry((section.clone(), name.to_owned())).or_default().push(value.to_owned());
        } else {
            panic!("{line} is no setting");
        }
    }
    all
}

#[test]
fn both_units_say_the_same() {
    let one = fs::read_to_string(root().join("deploy/systemd/tandem.service")).unwrap();
    let many = fs::read_to_string(root().join("deploy/systemd/tandem@.service")).unwrap();
    let many =
        many.replace(", instance %i", "").replace(" --instance %i", "").replace("/%i.conf", "/tandem.conf");
    assert_eq!(settings(&many), settings(&one));
}

/// systemd reads the units with each drop-in, and finds the exposure that the documents name.
#[test]
fn systemd_takes_the_units() {
    if !installed("systemd-analyze") {
        return skip("systemd-analyze is not installed");
    }
    let deploy = root().join("deploy/systemd");
    for drop_in in ["", "free-scripts", "no-scripts", "not-root", "net-namespace"] {
        let place = place(&format!("units-{drop_in}"));
        for unit in ["tandem.service", "tandem@.service"] {
            let text = fs::read_to_string(deploy.join(unit)).unwrap();
            // The program and the manual are not installed here.
            let text = text.replace("/usr/bin/tandem", env!("CARGO_BIN_EXE_tandem"));
            fs::write(place.join(unit), text).unwrap();
        }
        if !drop_in.is_empty() {
            fs::create_dir(place.join("tandem.service.d")).unwrap();
            let from = deploy.join(format!("drop-ins/{drop_in}.conf"));
            fs::copy(from, place.join("tandem.service.d/test.conf")).unwrap();
        }
        let verify = Command::new("systemd-analyze")
            .args(["verify", "--man=no", "tandem.service", "tandem@x.service"])
            .current_dir(&place)
            .env("SYSTEMD_UNIT_PATH", format!("{}:", place.display()))
            .output()
            .unwrap();
        let ours: Vec<String> =
            said(&verify).lines().filter(|line| line.contains("tandem")).map(ToOwned::to_owned).collect();
        assert!(ours.is_empty(), "{drop_in}: {ours:#?}");
        fs::remove_dir_all(&place).unwrap();
    }
    let security = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager"])
        .arg(deploy.join("tandem.service"))
        .output()
        .unwrap();
    let text = said(&security);
    let score =
        text.lines().find_map(|line| line.split_once("tandem.service: ").map(|(_, score)| score.to_owned()));
    let score = score.unwrap_or_else(|| panic!("no score: {text}"));
    println!("MEASURED systemd-analyze security tandem.service: {score}");
    let number: f64 = score.split_whitespace().next().unwrap().parse().unwrap();
    assert!(number <= 4.1, "the sandbox has got weaker: {score}");
}

#[test]
fn deploy_scripts_are_clean() {
    if !installed("shellcheck") {
        return skip("shellcheck is not installed");
    }
    let shell = |path: &PathBuf| {
        fs::read_to_string(path)
            .is_ok_and(|text| text.starts_with("#!/bin/sh") || text.starts_with("#!/bin/bash"))
    };
    let scripts: Vec<PathBuf> = files(&root().join("deploy")).into_iter().filter(shell).collect();
    assert!(scripts.len() >= 9, "{scripts:?}");
    let out = Command::new("shellcheck").args(&scripts).output().unwrap();
    assert!(out.status.success(), "{}", said(&out));
}

/// What the package brings as /etc/tandem/tandem.conf is nothing to run, and with its comments taken away it is a good file.
#[test]
fn the_default_configuration_is_harmless_and_its_example_good() {
    let path = root().join("deploy/tandem.conf");
    let text = fs::read_to_string(&path).unwrap();
    let unit = fs::read_to_string(root().join("deploy/systemd/tandem.service")).unwrap();
    let line = &settings(&unit)[&("[Service]".to_owned(), "ExecCondition".to_owned())][0];
    // As systemd runs it: words in quotes, no other rule of a shell.
    assert!(!line.contains(['$', '%', '\\']), "{line}: systemd would read it otherwise");
    let condition = |path: &Path| {
        let line = line.replace("/etc/tandem/tandem.conf", &path.display().to_string());
        Command::new("sh").args(["-c", &line]).status().unwrap().success()
    };
    assert!(!condition(&path), "the unit would start it");
    assert!(
        condition(Path::new("/nowhere/at/all.conf")),
        "the daemon itself says that it cannot read a file"
    );
    let place = place("default");
    let example: Vec<&str> = text
        .lines()
        .filter_map(|line| {
            line.strip_prefix('#').filter(|rest| !rest.starts_with(' ') || rest.starts_with("    "))
        })
        .collect();
    let example_path = place.join("example.conf");
    fs::write(&example_path, example.join("\n") + "\n").unwrap();
    assert!(condition(&example_path));
    let check = |path: &Path| {
        let out = Command::new(env!("CARGO_BIN_EXE_tandem"))
            .args(["check", "--text-only", "--strict"])
            .arg(path)
            .output();
        let out = out.unwrap();
        assert_eq!(out.status.code(), Some(0), "{}: {}", path.display(), said(&out));
    };
    check(&path);
    check(&example_path);
    fs::remove_dir_all(&place).unwrap();
}

/// The role on a fresh machine: the kernel's settings come before the file is judged by them, and warnings are judged as
/// in the comparison of both files.
#[test]
fn the_role_judges_a_file_as_its_defaults_say() {
    let tasks = fs::read_to_string(root().join("deploy/ansible/roles/tandem/tasks/main.yml")).unwrap();
    let at = |text: &str| tasks.find(text).unwrap_or_else(|| panic!("no {text}"));
    let order = ["90-tandem.conf", "modprobe ip_vs", "meta: flush_handlers", "validate: ", "state: started"];
    assert!(order.windows(2).all(|two| at(two[0]) < at(two[1])), "{tasks}");
    let line = tasks.lines().find_map(|line| line.trim().strip_prefix("validate: ")).unwrap();
    let place = place("role");
    let program = Path::new(env!("CARGO_BIN_EXE_tandem")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let judge = |text: &str, worst: &str| {
        let file = place.join("new.conf");
        fs::write(&file, text).unwrap();
        // Ansible splits it into words as a shell does, and runs no shell.
        let line = line.replace("{{ tandem_worst | int }}", worst).replace("%s", &file.display().to_string());
        assert!(!line.contains(['{', '}']), "{line}");
        Command::new("sh").args(["-c", &line]).env("PATH", &path).output().unwrap().status.success()
    };
    let (good, warned, wrong) = ("! nothing\n", "nonsense 1\n", "vrrp_instance A {\n priority 1000\n}\n");
    for (text, worst, taken) in
        [(good, "0", true), (warned, "0", false), (warned, "1", true), (wrong, "1", false)]
    {
        assert_eq!(judge(text, worst), taken, "{text} at most {worst}");
    }
    fs::remove_dir_all(&place).unwrap();
}

/// What the daemon writes by itself is allowed by the profile, the name that it is written under first included.
#[test]
fn the_profile_lets_dumps_be_written() {
    let text = fs::read_to_string(root().join("deploy/apparmor/usr.bin.tandem")).unwrap();
    let allows = |path: &str| {
        text.lines().filter_map(|line| line.trim().strip_suffix(',')).any(|line| {
            let line = line.strip_prefix("owner ").unwrap_or(line);
            let Some((pattern, rights)) = line.rsplit_once(' ') else { return false };
            let fits = match pattern.split_once('*') {
                // `*` ends at a slash, `**` does not.
                Some((head, tail)) => {
                    let (deep, tail) = (tail.starts_with('*'), tail.trim_start_matches('*'));
                    let rest = path.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail));
                    rest.is_some_and(|rest| deep || !rest.contains('/'))
                }
                None => pattern == path,
            };
            fits && rights.contains('w')
        })
    };
    for path in [
        "/tmp/keepalived.data",
        "/tmp/.keepalived.data.4711",
        "/tmp/.keepalived_check.one.data.4711",
        "/tmp/keepalived.json",
        "/run/keepalived.reload",
        "/run/keepalived.pid",
        "/run/keepalived/keepalived_one.pid",
        "/run/tandem/control.sock.4711",
        "/var/lib/tandem/overrides.json.4711.new",
    ] {
        assert!(allows(path), "{path} cannot be written");
    }
    assert!(!allows("/etc/passwd") && !allows("/tmp/other"));
}

/// What stands in braces behind the name of a metric, and functions of it: the names alone.
fn metrics_of(text: &str) -> Vec<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !word(c)).filter(|name| name.starts_with("tandem_")).map(str::to_owned);
    words.collect()
}

/// Each metric that the alert rules and the dashboard ask for is one that the daemon tells.
#[test]
fn rules_and_dashboard_ask_for_metrics_that_there_are() {
    use tandem::control::routes::{Detail, MetricsForm};
    let mut status = made::status(400, 0);
    let reading = tandem::control::view::BfdView { name: "b".to_owned(), ..Default::default() };
    status.bfd.push(reading);
    let order = tandem::control::view::OrderView { order: "step_down".to_owned(), ..Default::default() };
    status.instances[0].order = Some(order);
    status.pair = Some(tandem::control::view::PairView {
        state: "differs".to_owned(),
        heard_ago: Some(1.0),
        agrees: Some(false),
        accepts_changes: Some(false),
        ..Default::default()
    });
    let took = tandem::metrics::Spread { bounds: &[1_000], cumulative: vec![1, 2], sum: 0.1 };
    let kind = tandem::metrics::KindChecks { kind: "TCP_CHECK", took, ..Default::default() };
    let checks = tandem::metrics::Checks { kinds: vec![kind], ..Default::default() };
    let seen = tandem::metrics::Seen { status, checks: Some(checks), pair_digest: Some("x".to_owned()) };
    let text = tandem::metrics::render(&seen, MetricsForm::Prometheus, Detail::RealServers);
    let told: std::collections::BTreeSet<String> = metrics_of(&text).into_iter().collect();
    let series: Vec<Selected> =
        text.lines().filter(|line| !line.starts_with('#')).flat_map(selected).collect();
    let (mut asked, mut judged) = (0, 0);
    for file in ["deploy/prometheus/tandem.rules.yml", "deploy/grafana/tandem.json"] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        // Quotes are quoted there.
        let text = if file.ends_with(".json") { text.replace("\\\"", "\"") } else { text };
        for name in metrics_of(&text) {
            assert!(told.contains(&name), "{file} asks for {name}, which is not told");
            asked += 1;
        }
        for (name, matchers) in selected(&text) {
            for (label, operator, value) in matchers {
                // The first three come from Prometheus.
                if ["pair", "instance", "job"].contains(&label.as_str()) {
                    continue;
                }
                let of = series.iter().filter(|(own, _)| *own == name).flat_map(|(_, labels)| labels);
                let values: Vec<&str> =
                    of.filter(|(own, ..)| *own == label).map(|(.., value)| value.as_str()).collect();
                assert!(!values.is_empty(), "{file}: {name} has no label {label}");
                let fits = operator != "=" || values.contains(&value.as_str());
                assert!(fits, "{file}: no {name} has {label}={value}: {values:?}");
                judged += 1;
            }
        }
    }
    assert!(asked > 40 && judged > 8, "{asked} {judged}");
}

/// Name, and label, operator and value of what stands in its braces.
type Selected = (String, Vec<(String, String, String)>);

/// What has braces behind its name, in queries and in the text of metrics.
fn selected(text: &str) -> Vec<Selected> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("tandem_") {
        let rest = &text[at..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let Some(inside) = rest[end..].strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
            continue;
        };
        let matchers = inside.0.split("\",").filter_map(|one| {
            let (name, value) = one.split_once('"')?;
            let label: String = name.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let operator = name[label.len()..].to_owned();
            Some((label, operator, value.trim_end_matches('"').to_owned()))
        });
        found.push((rest[..end].to_owned(), matchers.collect()));
    }
    found
}

#[test]
fn a_selector_is_read_as_it_is_written() {
    let text = "sum(tandem_a{b=\"c\",d=~\"$e\"} == 1) + tandem_f";
    let matcher =
        |label: &str, operator: &str, value: &str| (label.to_owned(), operator.to_owned(), value.to_owned());
    assert_eq!(
        selected(text),
        [("tandem_a".to_owned(), vec![matcher("b", "=", "c"), matcher("d", "=~", "$e")])]
    );
}

#[test]
fn the_dashboard_is_whole() {
    let text = fs::read_to_string(root().join("deploy/grafana/tandem.json")).unwrap();
    let board: serde_json::Value = serde_json::from_str(&text).unwrap();
    let panels = board["panels"].as_array().unwrap();
    assert!(panels.len() >= 12);
    let mut taken = std::collections::BTreeSet::new();
    for panel in panels {
        assert!(taken.insert(panel["id"].as_u64().unwrap()), "{panel}");
        for target in panel["targets"].as_array().unwrap() {
            let expr = target["expr"].as_str().unwrap();
            assert_eq!(expr.matches('(').count(), expr.matches(')').count(), "{expr}");
            assert!(expr.contains("$director"), "{expr} does not obey the choice of directors");
        }
        // Nothing lies over another one.
        let at = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        for other in panels.iter().filter(|other| other["id"] != panel["id"]) {
            let of = |name: &str| other["gridPos"][name].as_u64().unwrap();
            let apart = at("x") + at("w") <= of("x")
                || of("x") + of("w") <= at("x")
                || at("y") + at("h") <= of("y")
                || of("y") + of("h") <= at("y");
            assert!(apart, "{} and {}", panel["title"], other["title"]);
        }
    }
}

/// Prometheus' own tool reads the rules, and they fire when they should.
#[test]
fn alert_rules_fire_when_they_should() {
    let Some(promtool) = promtool::promtool() else {
        return skip("promtool is not installed");
    };
    for words in [["check", "rules", "tandem.rules.yml"], ["test", "rules", "tandem.test.yml"]] {
        let out = Command::new(promtool)
            .args(words)
            .current_dir(root().join("deploy/prometheus"))
            .output()
            .unwrap();
        assert!(out.status.success(), "{words:?}: {}", said(&out));
    }
    // Every alert says what to do, and has a test in which it fires.
    let rules = fs::read_to_string(root().join("deploy/prometheus/tandem.rules.yml")).unwrap();
    assert_eq!(rules.matches("- alert:").count(), rules.matches("description:").count());
    let tests = fs::read_to_string(root().join("deploy/prometheus/tandem.test.yml")).unwrap();
    for alert in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(
            tests.contains(&format!("alertname: {alert}\n        exp_alerts:\n")),
            "{alert} is not tried"
        );
    }
}
