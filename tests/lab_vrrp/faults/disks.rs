//! Disks that take nothing: full, or read-only, under the run folder and under the state folder, while the daemon runs and
//! when it starts. Both are file systems in memory of a mount namespace of its own.

use lab::process::Process;

use super::*;

/// Runs the rest of its arguments over two small file systems: `$1` for the run folder, `$2` for the state folder. `$3` is
/// done before it starts.
const OVER: &str = r#"set -e
mount --make-rprivate /
mkdir -p "$1" "$2"
mount -t tmpfs -o size=256k,mode=755 none "$1"
mount -t tmpfs -o size=64k,mode=755 none "$2"
eval "$3"
shift 3
exec "$@""#;

/// What becomes of both folders, and how it is undone. `$run` and `$state` are theirs.
struct Trouble {
    name: &'static str,
    begin: &'static str,
    end: &'static str,
    /// The system's words.
    says: &'static str,
}

const FULL: Trouble = Trouble {
    name: "full",
    // Nothing but the board's own page is left in the run folder, not a byte in the other.
    begin: r#"for disk in "$run" "$state"; do
        dd if=/dev/zero of="$disk/filler" bs=1k count=1000 2>/dev/null || true
    done"#,
    end: r#"rm "$run/filler" "$state/filler""#,
    says: "No space left on device",
};

const READ_ONLY: Trouble = Trouble {
    name: "read_only",
    // The board is open for writing, so that the kernel does not let its mount become read-only: another one goes over it.
    begin: r#"mount -o remount,ro "$state"
    mount -o remount,ro "$run" 2>/dev/null || { mount --bind "$run" "$run"; mount -o remount,bind,ro "$run"; }"#,
    end: r#"mount -o remount,rw "$state" && mount -o remount,rw "$run""#,
    says: "Read-only file system",
};

/// A service without checks, for commands.
const POOL: &str = "virtual_server 10.9.0.100 80 {
    lb_algo rr
    lb_kind DR
    protocol TCP
    real_server 10.9.0.200 80 {
        weight 4
    }
}
";

/// A director whose folders are such file systems.
struct Small {
    process: Process,
    run: String,
    state: String,
    config: std::path::PathBuf,
}

impl Small {
    /// Starts it; `before`: what becomes of the folders before that. Its pid file and its control socket lie in the run
    /// folder, as they do in earnest.
    fn start(pair: &Pair, before: &str) -> Self {
        let path = |name: &str| pair.lab.work().join("d1").join(name).display().to_string();
        let (run, state) = (path("run"), path("state"));
        let config = pair.lab.file("d1/director.conf", &text(&[]));
        let before = format!("run='{run}'\nstate='{state}'\n{before}");
        let mut argv = vec!["unshare", "--mount", "sh", "-c", OVER, "sh", &run, &state, &before];
        argv.extend(director::COMMON.iter().filter(|_| !director::realtime()));
        let (program, file) = (director::tandem().display().to_string(), config.display().to_string());
        let (pid, control) = (format!("{run}/pid"), format!("{run}/control.sock"));
        argv.extend([program.as_str(), "run", "--config", &file, "--run-dir", &run, "--state-dir", &state]);
        argv.extend(["--pid", &pid, "--control", &control]);
        let process = Process::start(&pair.lab, "d1", "tandem on d1", &argv, &[]);
        Self { process, run: run.clone(), state: state.clone(), config }
    }

    /// Runs a shell's words where the daemon's folders are, and returns whether they succeed, and what they say.
    fn there(&self, words: &str) -> (bool, String) {
        let words = format!("run='{}'\nstate='{}'\n{words}", self.run, self.state);
        let mount = format!("--mount=/proc/{}/ns/mnt", self.process.pid());
        let out = std::process::Command::new("nsenter").args([&mount, "sh", "-c", &words]).output();
        let out = out.expect("nsenter (package util-linux)");
        let said = [out.stdout, out.stderr].concat();
        (out.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    #[track_caller]
    fn done(&self, words: &str) -> String {
        let (done, said) = self.there(words);
        assert!(done, "{words}: {said}");
        said
    }

    /// A command to it.
    fn tandem(&self, words: &str) -> (bool, String) {
        let tandem = director::tandem().display().to_string();
        self.there(&format!("'{tandem}' {words} --control \"$run/control.sock\""))
    }

    fn worker(&self) -> i32 {
        let mut found = None;
        wait("a worker", patience(), || {
            found = process::descendants(self.process.pid()).into_iter().find(|pid| is_tandem(*pid));
            found.is_some()
        });
        found.expect("just found")
    }

    /// How often it has said so.
    fn count(&self, words: &str) -> usize {
        self.process.said().matches(words).count()
    }
}

/// Its file; `more` = further virtual addresses.
fn text(more: &[&str]) -> String {
    let conf = more.iter().fold(Conf::new("MASTER", 150), |conf, address| conf.address(address));
    conf.text() + POOL
}

fn pair(name: &str) -> Option<Pair> {
    (!director::tandem_only("disks that take nothing")).then(|| Pair::new(name))
}

/// It goes on, says once what it cannot keep and how to mend that, takes commands and reloads, and keeps everything again
/// when the disk does.
fn while_it_runs(pair: &Pair, trouble: &Trouble) {
    let d1 = Small::start(pair, "");
    let _d2 = pair.start("d2", &Conf::new("BACKUP", 100));
    pair.master("d1");
    let overrides = "cat \"$state/overrides.json\" 2>/dev/null || true";
    assert_eq!(d1.done(overrides), "");
    let first = d1.worker();
    let since = pair.wire.next_advert("d1", patience());
    d1.done(trouble.begin);
    // Commands are obeyed, and whoever gives them is told what will not last.
    for weight in ["7", "8"] {
        let (done, said) = d1.tandem(&format!("weight 10.9.0.200 {weight}"));
        assert!(done && said.contains("a restart will forget it") && said.contains(trouble.says), "{said}");
    }
    let (_, said) = d1.tandem("servers --json");
    assert!(said.contains("\"weight\": 8") || said.contains("\"weight\":8"), "{said}");
    // A reload is taken over, with what has to be remembered of it.
    std::fs::write(&d1.config, text(&["10.9.0.110/24"])).expect("the configuration");
    let (done, said) = d1.tandem("reload");
    assert!(done, "{said}");
    wait("the other address", patience(), || pair.watch.has("d1", "10.9.0.110"));
    d1.process.wait_for("a restart will not know the verdicts of the checks", patience());
    // Longer than it takes to try again.
    pause(s(7));
    let said = d1.process.said();
    for (what, cure) in [
        ("a restart will not know the verdicts of the checks", "--run-dir"),
        ("overrides are not kept, a restart will forget them", "--state-dir"),
    ] {
        assert_eq!(d1.count(what), 1, "told once: {what}: {said}");
        let line = said.lines().find(|line| line.contains(what)).expect("just counted");
        assert!(line.contains(trouble.says) && line.contains(cure), "{line}");
    }
    // Room again: nobody has to say so.
    let mended = now();
    d1.done(trouble.end);
    wait("the overrides are kept", patience(), || d1.done(overrides).contains("10.9.0.200:80 weight 8"));
    let remembered = "cat \"$run/memory.json\"";
    wait("the memory is written", patience(), || d1.done(remembered).contains("10.9.0.110"));
    measured(&format!("disk_{}_written_after", trouble.name), mended.elapsed(), s(5), ms(4000));
    d1.process.wait_for("overrides are kept again", patience());
    d1.process.wait_for("a restart will know the verdicts of the checks again", patience());
    pause(s(4));
    assert_eq!(pair.watch.changes_of("d1", VIP, since), [], "the address stayed");
    assert!(pair.wire.adverts("d2", since).is_empty(), "the peer took over");
    assert_eq!(d1.worker(), first, "nobody was replaced");
    silence(&format!("disk_{}", trouble.name), pair, since, s(1), ms(300));
}

#[test]
fn full_while_it_runs() {
    if let Some(pair) = pair("ffull") {
        while_it_runs(&pair, &FULL);
    }
}

#[test]
fn read_only_while_it_runs() {
    if let Some(pair) = pair("fro") {
        while_it_runs(&pair, &READ_ONLY);
    }
}

/// It starts, becomes master, and says what it does without.
fn at_the_start(pair: &Pair, trouble: &Trouble) {
    let begun = now();
    let d1 = Small::start(pair, trouble.begin);
    let _d2 = pair.start("d2", &Conf::new("BACKUP", 100));
    pair.master("d1");
    println!("MEASURED disk_{}_at_start_master_ms={}", trouble.name, begun.elapsed().as_millis());
    let since = pair.wire.next_advert("d1", patience());
    let first = d1.worker();
    for (what, cure) in [
        ("a restart will know nothing of this daemon", "run/board"),
        ("no pid file", "free or mend that disk"),
    ] {
        assert_eq!(d1.count(what), 1, "told once: {what}: {}", d1.process.said());
        let said = d1.process.said();
        let line = said.lines().find(|line| line.contains(what)).expect("just counted");
        assert!(line.contains(trouble.says) && line.contains(cure), "{line}");
    }
    pair.calm(since, s(5));
    silence(&format!("disk_{}_at_start", trouble.name), pair, since, s(1), ms(300));
    assert_eq!(d1.worker(), first, "nobody was replaced: {}", d1.process.said());
    // Mended: a reload opens the door for commands, where there was none.
    d1.done(trouble.end);
    d1.process.signal(Signal::SIGHUP);
    wait("commands reach it", patience(), || d1.tandem("weight 10.9.0.200 7").0);
    assert!(d1.done("cat \"$state/overrides.json\"").contains("10.9.0.200:80 weight 7"));
    pair.calm(since, s(8));
}

#[test]
fn full_at_the_start() {
    if let Some(pair) = pair("ffulls") {
        at_the_start(&pair, &FULL);
    }
}

#[test]
fn read_only_at_the_start() {
    if let Some(pair) = pair("fros") {
        at_the_start(&pair, &READ_ONLY);
    }
}
