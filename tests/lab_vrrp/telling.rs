//! What programs, pipes and people are told: one scene with Debian's keepalived and with Tandem, the same file, and then
//! the two accounts side by side.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::*;

/// What was told of each instance, in its order.
type Account = BTreeMap<String, Vec<String>>;

#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    /// Lines of `vrrp_notify_fifo`.
    fifo: Account,
    /// Arguments of the generic script.
    generic: Account,
    /// Arguments of the specific scripts.
    specific: Account,
    /// Subjects and first lines of mails.
    mails: Account,
}

/// A relay inside a host that takes everything.
fn relay(lab: &Lab, host: &str) -> Arc<Mutex<Vec<String>>> {
    let listener = lab.inside(host, || TcpListener::bind("127.0.0.1:2525").expect("a port"));
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let all = Arc::clone(&heard);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let all = Arc::clone(&all);
            std::thread::spawn(move || serve(stream.expect("a client"), &all));
        }
    });
    heard
}

fn serve(mut stream: TcpStream, all: &Mutex<Vec<String>>) {
    let lines = BufReader::new(stream.try_clone().expect("a socket")).lines();
    let (mut message, mut in_data) = (String::new(), false);
    let _ = stream.write_all(b"220 lab\r\n");
    for line in lines.map_while(Result::ok) {
        if in_data && line != "." {
            message += &format!("{line}\n");
            continue;
        }
        if in_data {
            all.lock().expect("mails").push(std::mem::take(&mut message));
        }
        in_data = line.starts_with("DATA");
        let _ = stream.write_all(if in_data { b"354 go\r\n" } else { b"250 ok\r\n" });
    }
}

/// One advert of a master of priority 50 for VRID 53.
fn lower_master(lab: &Lab) {
    let mut advert = vec![0x21, 53, 50, 1, 0, 1, 0, 0, 10, 9, 0, 103, 0, 0, 0, 0, 0, 0, 0, 0];
    let sum: u32 = advert.chunks(2).map(|two| u32::from(two[0]) << 8 | u32::from(two[1])).sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    advert[6..8].copy_from_slice(&sum.to_be_bytes());
    lab.inside("client", || {
        let kind = socket2::Type::RAW;
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, kind, Some(112.into())).expect("a raw socket");
        socket.set_multicast_ttl_v4(255).expect("a TTL");
        socket.set_multicast_if_v4(&Ipv4Addr::new(10, 9, 0, 200)).expect("an interface");
        let group = SocketAddrV4::new(Ipv4Addr::new(224, 0, 0, 18), 0);
        socket.send_to(&advert, &group.into()).expect("an advert");
    });
}

struct Scene {
    pair: Pair,
    fifo: std::fs::File,
    lines: String,
    generic: PathBuf,
    specific: PathBuf,
}

impl Scene {
    /// Reads what the pipe holds.
    fn read(&mut self) -> &str {
        let mut bytes = Vec::new();
        // Ends with "would block": the director has it open.
        let _ = self.fifo.read_to_end(&mut bytes);
        self.lines += std::str::from_utf8(&bytes).expect("text");
        &self.lines
    }

    #[track_caller]
    fn until(&mut self, line: &str, times: usize) {
        let what = format!("{times} x {line}");
        wait(&what, patience(), || self.read().lines().filter(|said| *said == line).count() >= times);
    }
}

/// Files of the scene: an instance each, and what is told of it.
fn file(scene_dir: &str, names: &[&str]) -> String {
    let mut text = format!(
        "global_defs {{
    router_id LAB
    script_user root
    notification_email {{ ops@example.com }}
    notification_email_from lvs@example.com
    smtp_server 127.0.0.1 2525
    smtp_alert on
    smtp_digest 0
    vrrp_notify_fifo {scene_dir}/fifo
}}\n"
    );
    for (name, id, more) in [
        ("VI_1", 51, "notify_deleted"),
        ("VI_2", 52, ""),
        ("VI_3", 53, "notify_deleted \"DIR/specific VI_3 del\""),
    ] {
        if !names.contains(&name) {
            continue;
        }
        text += &format!(
            "vrrp_instance {name} {{
    state BACKUP
    interface eth0
    virtual_router_id {id}
    priority {prio}
    advert_int 1
    virtual_ipaddress {{ 10.9.0.{vip}/24 }}
    notify_master \"DIR/specific {name} m a\"
    notify_backup \"DIR/specific {name} b 'two words'\"
    notify_fault \"DIR/specific {name} f\"
    notify_stop \"DIR/specific {name} s\"
    notify_master_rx_lower_pri \"DIR/specific {name} lower\"
    notify \"DIR/generic mine\"
    {more}
}}\n",
            prio = id + 99,
            vip = id + 50,
        );
    }
    text.replace("DIR", scene_dir)
}

fn by_instance<'a>(lines: impl Iterator<Item = &'a str>) -> Account {
    let mut account = Account::new();
    for line in lines {
        let name = ["VI_1", "VI_2", "VI_3"].into_iter().find(|name| line.contains(name)).unwrap_or("");
        account.entry(name.to_owned()).or_default().push(line.to_owned());
    }
    account
}

fn play(kind: Kind) -> Told {
    let pair = Pair::new("telling");
    let work = pair.lab.work().display().to_string();
    let script = |name: &str| {
        let text = format!(
            "#!/bin/sh\nfor word; do printf '[%s]' \"$word\"; done | sed 's/$/\\n/' >>{work}/{name}.out\n"
        );
        let path = pair.lab.file(name, &text);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(path, mode).expect("chmod");
        PathBuf::from(format!("{work}/{name}.out"))
    };
    let (generic, specific) = (script("generic"), script("specific"));
    let path = pair.lab.work().join("fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o600)).expect("mkfifo");
    let mut options = std::fs::OpenOptions::new();
    let fifo = options.read(true).write(true).custom_flags(libc::O_NONBLOCK).open(&path).expect("the pipe");
    let mails = relay(&pair.lab, "d1");
    let mut scene = Scene { pair, fifo, lines: String::new(), generic, specific };

    let text = file(&work, &["VI_1", "VI_2", "VI_3"]);
    let mut d1 = Director::start_as(&scene.pair.lab, "d1", kind, &text);
    for (name, priority) in [("VI_1", 150), ("VI_2", 151), ("VI_3", 152)] {
        scene.until(&format!("INSTANCE \"{name}\" MASTER {priority}"), 1);
    }
    lower_master(&scene.pair.lab);
    scene.until("INSTANCE \"VI_3\" MASTER_RX_LOWER_PRI 152", 1);
    pause(ms(500));
    scene.pair.lab.cut("d1", "eth0");
    scene.until("INSTANCE \"VI_2\" FAULT 151", 1);
    pause(ms(500));
    scene.pair.lab.plug("d1", "eth0");
    for (name, priority) in [("VI_1", 150), ("VI_2", 151), ("VI_3", 152)] {
        scene.until(&format!("INSTANCE \"{name}\" MASTER {priority}"), 2);
    }
    pause(ms(500));
    d1.reload(&file(&work, &["VI_3"]));
    scene.until("INSTANCE \"VI_1\" DELETED 150", 1);
    scene.until("INSTANCE \"VI_2\" FAULT 151", 2);
    pause(ms(1000));
    d1.stop();
    scene.until("INSTANCE \"VI_3\" STOP 152", 1);
    pause(ms(500));

    let read = |path: &PathBuf| std::fs::read_to_string(path).unwrap_or_default();
    let mails: Vec<String> = mails.lock().expect("mails").iter().map(|mail| first_lines(mail)).collect();
    Told {
        fifo: by_instance(scene.read().lines()),
        generic: by_instance(read(&scene.generic).lines()),
        specific: by_instance(read(&scene.specific).lines()),
        mails: by_instance(mails.iter().map(String::as_str)),
    }
}

/// Subject and the body's first line, and the headers that are ours to choose.
fn first_lines(mail: &str) -> String {
    let (head, body) = mail.split_once("\n\n").unwrap_or((mail, ""));
    let named = |name: &str| head.lines().find(|line| line.starts_with(name)).unwrap_or(name).to_owned();
    let words =
        [named("From: "), named("To: "), named("Subject: "), body.lines().next().unwrap_or("").to_owned()];
    words.join(" | ")
}

#[test]
fn the_same_file_tells_the_same_as_keepalived() {
    if director::tandem_only("a comparison of both programs") {
        return;
    }
    let theirs = play(Kind::Keepalived);
    let mut ours = play(Kind::Tandem);
    println!("{theirs:#?}");
    assert_eq!(
        theirs.fifo["VI_3"].last().map(String::as_str),
        Some("INSTANCE \"VI_3\" STOP 152"),
        "the yardstick"
    );
    assert_eq!(ours.fifo, theirs.fifo, "lines of the pipe");
    // keepalived lets its scripts overlap, so that their order is nobody's; ours is the pipe's, which is equal.
    let sorted = |told: &BTreeMap<String, Vec<String>>| {
        let mut told = told.clone();
        told.values_mut().for_each(|lines| lines.sort());
        told
    };
    assert_eq!(sorted(&ours.generic), sorted(&theirs.generic), "arguments of notify");
    // Of an instance that a reload removed, 2.2.7 tells FAULT to the pipe, to `notify` and by mail, but not to
    // `notify_fault`, which is there to be told. Tandem runs it.
    let removed = ours.specific.get_mut("VI_2").and_then(Vec::pop);
    assert_eq!(removed.as_deref(), Some("[VI_2][f]"));
    assert_eq!(sorted(&ours.specific), sorted(&theirs.specific), "arguments of notify_...");
    assert_eq!(ours.mails, theirs.mails, "mails");
}

#[test]
fn quick_changes_end_with_the_newest_state_and_never_two_scripts_at_once() {
    if director::tandem_only("scripts one after the other") {
        return;
    }
    let pair = Pair::new("newest");
    let work = pair.lab.work().display().to_string();
    let out = pair.lab.work().join("out");
    let slow = format!(
        "#!/bin/sh\nmkdir {work}/lock || echo TWO AT ONCE >>{work}/out\nsleep 1.5\necho \"$3 $PREVIOUS $PRIORITY $VIPS \
         ${{CAUSE:+with a cause}}\" >>{work}/out\nrmdir {work}/lock\n"
    );
    let script = pair.lab.file("slow", &slow);
    let conf = Conf::new("BACKUP", 150).line(&format!("notify \"/bin/sh {}\"", script.display()));
    let mut d1 = pair.start("d1", &conf);
    pair.master("d1");
    for _ in 0..3 {
        pair.lab.cut("d1", "eth0");
        pause(ms(300));
        pair.lab.plug("d1", "eth0");
        pause(ms(300));
    }
    pair.master("d1");
    let lines = || std::fs::read_to_string(&out).unwrap_or_default();
    wait("the newest state", patience(), || {
        lines().lines().last().is_some_and(|line| line.starts_with("MASTER BACKUP"))
            && lines().lines().count() > 2
    });
    let said = lines();
    assert!(!said.contains("TWO AT ONCE"), "{said}");
    assert!(said.lines().count() < 9, "nothing was skipped: {said}");
    assert_eq!(said.lines().last(), Some("MASTER BACKUP 150 10.9.0.100 with a cause"));
    d1.stop();
}

#[test]
fn a_reader_of_the_pipe_and_the_scripts_around_the_daemon() {
    if director::tandem_only("the reader lives until the last line") {
        return;
    }
    let pair = Pair::new("reader");
    let work = pair.lab.work().display().to_string();
    let out = pair.lab.work().join("out");
    let reader = format!(
        "echo \"reader $*\" >>{work}/out\nwhile read line; do echo \"$line\" >>{work}/out; done <$3\n"
    );
    let reader = pair.lab.file("reader.sh", &reader).display().to_string();
    let around =
        pair.lab.file("around.sh", &format!("echo \"$1 $(umask)\" >>{work}/out\n")).display().to_string();
    let head = format!(
        "global_defs {{
    notify_fifo {work}/pipe
    notify_fifo_script \"/bin/sh {reader} one two\"
    startup_script \"/bin/sh {around} startup\"
    shutdown_script \"/bin/sh {around} shutdown\"
    umask 022
    fifo_write_vrrp_states_on_reload
}}"
    );
    let conf = Conf::new("BACKUP", 150).head(&head);
    let mut d1 = pair.start("d1", &conf);
    let lines = || std::fs::read_to_string(&out).unwrap_or_default();
    wait("MASTER", patience(), || lines().contains("MASTER"));
    d1.reload(&conf.text());
    wait("MASTER again", patience(), || lines().matches("MASTER").count() == 2);
    d1.stop();
    assert!(!pair.lab.work().join("pipe").exists(), "the pipe is gone");
    assert_eq!(
        lines(),
        format!(
            "startup 0022\nreader one two {work}/pipe\nINSTANCE \"VI_1\" BACKUP 150\nINSTANCE \"VI_1\" MASTER \
             150\nINSTANCE \"VI_1\" MASTER 150\nINSTANCE \"VI_1\" STOP 150\nshutdown 0022\n"
        )
    );
}

#[test]
fn scripts_are_told_what_led_up_to_a_transition() {
    if director::tandem_only("CAUSE in the environment") {
        return;
    }
    let pair = Pair::new("why");
    let out = pair.lab.work().join("causes");
    let script = pair.lab.file("cause", &format!("echo \"$STATE: $CAUSE\" >>{}\n", out.display()));
    let number = pair.lab.file("number", "0");
    let head = format!("track_file num {{\n    file {}\n    weight 2\n}}", number.display());
    let notify = format!("notify \"/bin/sh {}\"", script.display());
    let tracking =
        Conf::new("BACKUP", 150).head(&head).line("track_file {\n        num\n    }").line(&notify);
    let _d1 = pair.start("d1", &tracking);
    let _d2 = pair.start("d2", &Conf::new("BACKUP", 100));
    pair.master("d1");
    std::fs::write(&number, "-30").expect("the file");
    pair.master("d2");
    let said = || std::fs::read_to_string(&out).unwrap_or_default();
    let lowered = "BACKUP: 10.9.0.2 advertises the higher priority 100, ours is 90; priority 90 of base 150 (track_file num \
                   -30 -60 of weight 2)";
    wait(lowered, patience(), || said().lines().any(|line| line.starts_with(lowered)));
    std::fs::write(&number, "-127").expect("the file");
    let fault = "FAULT: track_file num says -127 (weight 2: -254 is below -253); priority 90 of base 150 (track_file num -127";
    wait(fault, patience(), || said().lines().any(|line| line.starts_with(fault)));
    let line = said().lines().find(|line| line.starts_with("FAULT")).expect("it is there").to_owned();
    assert!(line.contains("; the last advert came from 10.9.0.2 with priority 100, "), "{line}");
}
