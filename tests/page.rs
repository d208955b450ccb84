//! The status page in a real browser: served by the daemon's own server with a made status of any size, and by a running
//! daemon. With PICTURES=FOLDER it also leaves pictures there, for people.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test is a driver")]

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tandem::control::Answer;
use tandem::control::Request;
use tandem::control::server::{Ask, Events, Listen, Reply, serve_network};
use tandem::control::view::{EventView, JournalView, OrderView, StatusView};
use tokio::sync::{broadcast, mpsc, watch};

use browser::Browser;

mod browser;
mod made;

/// A director that is none: the real server, and what it tells is made.
struct Made {
    at: SocketAddr,
    silent: Arc<AtomicBool>,
    events: Arc<Mutex<broadcast::Sender<Arc<EventView>>>>,
    /// What its status has otherwise.
    change: Arc<Mutex<Change>>,
    journal: Arc<Mutex<Vec<EventView>>>,
}

type Change = Box<dyn Fn(&mut StatusView) + Send>;

/// A port that nobody has.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(30), "not within 30 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Made {
    fn serve(reals: usize, token_file: Option<PathBuf>) -> Self {
        let at = free();
        let silent = Arc::new(AtomicBool::new(false));
        let events = Arc::new(Mutex::new(broadcast::channel(64).0));
        let change: Arc<Mutex<Change>> = Arc::new(Mutex::new(Box::new(|_| ())));
        let past = made::events(40).iter().map(|event| EventView::clone(event)).collect();
        let journal = Arc::new(Mutex::new(past));
        let made = Self {
            at,
            silent: Arc::clone(&silent),
            events: Arc::clone(&events),
            change: Arc::clone(&change),
            journal: Arc::clone(&journal),
        };
        let listen = Listen { at, token_file, allow: Vec::new() };
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (_wanted, wishes) = watch::channel(Some(listen));
                let (asks, mut asked) = mpsc::channel::<Ask>(8);
                tokio::spawn(serve_network(wishes, asks));
                let turn = Arc::new(AtomicU64::new(0));
                while let Some(ask) = asked.recv().await {
                    if silent.load(Ordering::SeqCst) {
                        continue;
                    }
                    let reply = match &ask.request {
                        Request::Status(_) => {
                            let turn = turn.fetch_add(1, Ordering::SeqCst);
                            let mut status = made::status(reals, turn);
                            change.lock().unwrap()(&mut status);
                            Reply::Later(Box::new(move || Answer::of(&status)))
                        }
                        Request::Journal(query) => {
                            let since = query.since.unwrap_or(0);
                            let all = journal.lock().unwrap();
                            let events = all.iter().filter(|event| event.number > since).cloned().collect();
                            let newest = all.last().map_or(0, |event| event.number);
                            Reply::Now(Answer::of(&JournalView { events, newest, ..JournalView::default() }))
                        }
                        Request::Events { .. } => Reply::Events(Box::new(Events {
                            past: Vec::new(),
                            missed: 0,
                            newest: journal.lock().unwrap().last().map_or(0, |event| event.number),
                            journal: "2a".to_owned(),
                            live: events.lock().unwrap().subscribe(),
                        })),
                        other => panic!("the page asks for {other:?}"),
                    };
                    let _ = ask.reply.send(reply);
                }
            });
        });
        until("it listens", || TcpStream::connect(at).is_ok());
        made
    }

    fn url(&self) -> String {
        format!("http://{}/", self.at)
    }
}

/// The browser, or why there is none.
fn browser() -> Option<&'static str> {
    let program = browser::program();
    if program.is_none() {
        println!("SKIPPED: no chromium-headless-shell (or chromium) is installed");
    }
    program
}

fn picture(browser: &mut Browser, name: &str) {
    if let Some(folder) = std::env::var_os("PICTURES") {
        browser.picture(&Path::new(&folder).join(format!("{name}.png")));
    }
}

/// What every visit must end with: no complaint, and nobody asked but the director itself.
fn clean(browser: &mut Browser, url: &str) {
    assert_eq!(browser.complaints(), Vec::<String>::new());
    for asked in browser.asked() {
        assert!(asked.starts_with(url) || asked.starts_with("data:") || asked == "about:blank", "{asked}");
    }
}

const LIVE: &str = "document.querySelector('#live').dataset.is === 'live'";

#[test]
fn four_hundred_real_servers() {
    let Some(program) = browser() else { return };
    let made = Made::serve(400, None);
    let mut page = Browser::open(program, 1440, 1000, "light");
    page.open_page(&made.url());
    page.until(LIVE);
    assert_eq!(page.text("#host"), "director-1");
    assert!(page.value("document.title").as_str().unwrap().contains("director-1"));
    let tiles = page.text("#tiles");
    for words in
        ["1 of 3 master", "1 instance in FAULT", "of 25", "1 without quorum", "of 400 up", "3 real servers"]
    {
        assert!(tiles.contains(words), "{words}: {tiles}");
    }
    // The sum of the priority, worded states, peers.
    let card = page.text("#instances .card");
    for words in
        ["VI_web", "MASTER", "150 − 10 script chk_haproxy down = 140", "198.51.100.3", "no advert was heard"]
    {
        assert!(card.contains(words), "{words}: {card}");
    }
    let attention = page.text("#attention");
    assert!(
        attention.contains("VRRP VI_db is in FAULT")
            && attention.contains("TCP 192.0.2.6:80 has lost its quorum"),
        "{attention}"
    );
    assert!(page.text("#events").contains("BACKUP → MASTER"));
    // An event shows as soon as it happens.
    let late = EventView { number: 41, text: "a most particular event".to_owned(), ..EventView::default() };
    made.events.lock().unwrap().send(Arc::new(late)).unwrap();
    page.until("document.querySelector('#events').innerText.includes('a most particular event')");
    picture(&mut page, "status-400-light");
    // The keyboard: search, expand, look closer, and back.
    page.press("/");
    page.until("document.activeElement.id === 'search'");
    for key in ["1", "0", ".", "1", ".", "3", ".", "1", "2"] {
        page.press(key);
    }
    page.until("document.querySelectorAll('#rows .rs').length === 1");
    assert!(page.text("#rows .rs").contains("down"));
    page.press("Escape");
    page.until("document.querySelectorAll('#rows .rs').length === 0 && document.querySelectorAll('#rows .vs').length > 3");
    page.value("document.querySelector('#rows [tabindex=\"0\"]').focus()");
    for _ in 0..3 {
        page.press("ArrowDown");
    }
    page.press("ArrowRight");
    page.until("document.activeElement.getAttribute('aria-expanded') === 'true'");
    page.press("ArrowDown");
    picture(&mut page, "status-400-servers-light");
    page.press("Enter");
    page.until("document.querySelector('#detail').open");
    let detail = page.text("#detail");
    assert!(
        detail.contains("10.1.3.10:8080")
            && detail.contains("HTTP_GET")
            && detail.contains("took 3.1 ms")
            && detail.contains("2026-12-01 18:00:00 UTC"),
        "{detail}"
    );
    picture(&mut page, "status-400-detail-light");
    page.press("Escape");
    page.until("!document.querySelector('#detail').open");
    // Problems alone.
    page.value("document.querySelector('[data-filter=problems]').click()");
    page.until(
        "[...document.querySelectorAll('#rows .rs')].every(row => /down|warning/.test(row.innerText))",
    );
    // Everything that can be reached has a name.
    let nameless = "[...document.querySelectorAll('button, input, [role=img], dialog')].filter(el => !(el.innerText || \
                    el.getAttribute('aria-label') || el.getAttribute('aria-labelledby') || (el.labels && el.labels.length) || \
                    el.textContent)).length";
    assert_eq!(page.value(nameless), 0);
    clean(&mut page, &made.url());
}

#[test]
fn ten_thousand_real_servers() {
    let Some(program) = browser() else { return };
    let made = Made::serve(10_000, None);
    let mut page = Browser::open(program, 1440, 1000, "dark");
    page.open_page(&made.url());
    page.until(LIVE);
    page.value("document.querySelector('#unfold').click()");
    // The first one is of a list that is folded, and finds nothing of an earlier one.
    page.until("tandem.measured.renders >= 3");
    // Rows out of sight do not exist, and the last one can be reached.
    assert!(page.value("document.querySelectorAll('#rows .row').length").as_u64().unwrap() < 100);
    assert_eq!(page.value("document.querySelector('#grid').getAttribute('aria-rowcount')"), "10251");
    page.value("scrollTo(0, document.body.scrollHeight)");
    page.until("[...document.querySelectorAll('#rows .row')].some(row => row.getAttribute('aria-rowindex') === '10251')");
    page.value("document.querySelector('#servers').scrollIntoView()");
    page.until(
        "[...document.querySelectorAll('#rows .row')].some(row => row.getAttribute('aria-rowindex') === '2')",
    );
    picture(&mut page, "status-10000-dark");
    let of =
        |page: &mut Browser, what: &str| page.value(&format!("tandem.measured.{what}")).as_f64().unwrap();
    let (last, parse, bytes) = (of(&mut page, "last"), of(&mut page, "parse"), of(&mut page, "bytes"));
    println!(
        "MEASURED status page, 10,000 real servers all unfolded: a refresh takes {last:.0} ms of script and {parse:.0} ms to \
         read {:.1} MB",
        bytes / 1e6
    );
    // A machine under load takes longer than the 100 ms that a quiet one must keep; a list that is drawn whole takes seconds.
    assert!(last + parse < 1000.0, "{last} ms and {parse} ms");
    clean(&mut page, &made.url());
}

#[test]
fn on_a_phone_nothing_is_wider_than_the_screen() {
    let Some(program) = browser() else { return };
    let made = Made::serve(400, None);
    for scheme in ["light", "dark"] {
        let mut page = Browser::open(program, 390, 844, scheme);
        page.open_page(&made.url());
        page.until(LIVE);
        assert_eq!(page.value("document.documentElement.scrollWidth"), 390);
        picture(&mut page, &format!("status-phone-{scheme}"));
        page.value("document.querySelector('#servers').scrollIntoView()");
        // Rows come with the next picture.
        page.until("document.querySelectorAll('#rows .vs').length > 3");
        page.value("document.querySelectorAll('#rows .vs')[3].click()");
        page.until("document.querySelectorAll('#rows .rs').length > 3");
        assert_eq!(page.value("document.documentElement.scrollWidth"), 390);
        picture(&mut page, &format!("status-phone-servers-{scheme}"));
        clean(&mut page, &made.url());
    }
}

#[test]
fn a_daemon_that_falls_silent_is_said_to_be() {
    let Some(program) = browser() else { return };
    let made = Made::serve(32, None);
    let mut page = Browser::open(program, 1000, 800, "light");
    page.open_page(&made.url());
    page.until(LIVE);
    made.silent.store(true, Ordering::SeqCst);
    page.until("!document.querySelector('#banner').hidden");
    let banner = page.text("#banner");
    assert!(
        banner.contains("refuses to tell: the daemon stops") || banner.contains("does not answer since"),
        "{banner}"
    );
    assert_eq!(page.value("document.querySelector('#live').dataset.is"), "stale");
    picture(&mut page, "status-silent-light");
    // It is an alert: its words are read aloud at each change, so what counts up stands beside them.
    assert_eq!(page.value("document.querySelector('#banner [role=alert]').id"), "banner-text");
    // Gone altogether: no answer, not even a refusal.
    page.value("window.kept = window.fetch; window.fetch = () => Promise.reject(new Error('gone')); 0");
    page.until("document.querySelector('#banner-text').textContent.includes('does not answer since')");
    let (said, counts) = (page.text("#banner-text"), page.text("#banner-for"));
    page.until(&format!("document.querySelector('#banner-for').innerText !== '{counts}'"));
    assert_eq!(page.text("#banner-text"), said);
    assert_eq!(page.value("document.querySelector('#banner-for').getAttribute('aria-hidden')"), "true");
    page.value("window.fetch = window.kept; 0");
    made.silent.store(false, Ordering::SeqCst);
    page.until(&format!("document.querySelector('#banner').hidden && {LIVE}"));
}

/// So many looks later.
fn looks_again(page: &mut Browser, times: u64) {
    let now = page.value("tandem.measured.renders").as_u64().unwrap();
    page.until(&format!("tandem.measured.renders >= {}", now + times));
}

#[test]
fn focus_and_what_is_selected_outlive_a_look() {
    let Some(program) = browser() else { return };
    let made = Made::serve(400, None);
    let mut page = Browser::open(program, 1440, 1000, "light");
    page.open_page(&made.url());
    page.until(LIVE);
    page.value("document.querySelector('#attention button').focus()");
    page.value("document.activeElement.mark = 'held'");
    // What stands above it in the list goes, and the number in its words changes: it is the same button all the same.
    *made.change.lock().unwrap() = Box::new(|status| {
        status.instances.retain(|one| one.state != "FAULT");
        let lost = status.virtual_servers.iter_mut().find(|one| !one.quorum_up).unwrap();
        lost.real_servers.pop();
    });
    looks_again(&mut page, 3);
    assert!(!page.text("#attention").contains("VI_db"));
    assert_eq!(page.value("document.activeElement.mark"), "held");
    // Its listener is still the one that there was.
    page.value("document.activeElement.click()");
    page.until("document.activeElement.parentNode.id === 'rows'");
    assert!(page.value("document.activeElement.innerText").as_str().unwrap().contains("TCP 192.0.2.6:80"));
    // An address that somebody is about to copy.
    page.value("getSelection().selectAllChildren(document.querySelector('#instances .card .chip'))");
    looks_again(&mut page, 2);
    assert_eq!(page.value("getSelection().toString()"), "192.0.2.1/24");
    clean(&mut page, &made.url());
}

#[test]
fn the_focus_stays_with_its_server_when_rows_shift() {
    let Some(program) = browser() else { return };
    let made = Made::serve(400, None);
    let mut page = Browser::open(program, 1440, 1000, "light");
    page.open_page(&made.url());
    page.until(LIVE);
    page.value("document.querySelector('[data-filter=problems]').click()");
    let row =
        "[...document.querySelectorAll('#rows .rs')].find(row => row.innerText.includes('10.1.3.14:8080'))";
    page.until(row);
    page.value(&format!("{row}.focus()"));
    let mend = |names: &'static [&'static str]| -> Change {
        Box::new(move |status| {
            let reals = status.virtual_servers.iter_mut().flat_map(|one| &mut one.real_servers);
            reals.filter(|real| names.contains(&real.name.as_str())).for_each(|real| {
                (real.up, real.last_failure, real.warning) = (Some(true), None, None);
            });
        })
    };
    // Three above it come up.
    *made.change.lock().unwrap() = mend(&["10.1.3.10:8080", "10.1.3.11:8080", "10.1.3.12:8080"]);
    page.until(
        "![...document.querySelectorAll('#rows .rs')].some(row => row.innerText.includes('10.1.3.10:8080'))",
    );
    let held = "document.activeElement.innerText";
    assert!(page.value(held).as_str().unwrap().contains("10.1.3.14:8080"));
    assert_eq!(page.value("document.activeElement.tabIndex"), 0);
    // In the document they stand in the order in which they are shown.
    let order = "[...document.querySelectorAll('#rows .row')].map(row => Number(row.dataset.at))";
    assert_eq!(page.value(&format!("{order}.every((at, n, all) => !n || all[n - 1] < at)")), true);
    page.press("Enter");
    page.until("document.querySelector('#detail').open");
    assert!(page.text("#detail").contains("10.1.3.14:8080"));
    page.press("Escape");
    page.until("!document.querySelector('#detail').open");
    // It comes up itself: the next one has the focus, and that is said.
    *made.change.lock().unwrap() = mend(&["10.1.3.14:8080"]);
    page.until("document.querySelector('#announce').textContent === '10.1.3.14:8080 is not shown any more'");
    assert_eq!(page.value("document.activeElement.parentNode.id"), "rows");
    assert!(!page.value(held).as_str().unwrap().contains("10.1.3.14:8080"));
    // And while one scrolls up.
    page.value(
        "document.querySelector('[data-filter=all]').click(); document.querySelector('#unfold').click()",
    );
    page.value("scrollTo(0, 9000)");
    page.until("[...document.querySelectorAll('#rows .row')].some(row => Number(row.dataset.at) > 200)");
    page.value("scrollTo(0, 5000)");
    page.until("[...document.querySelectorAll('#rows .row')].some(row => Number(row.dataset.at) < 150 && Number(row.dataset.at) > 60)");
    assert_eq!(page.value(&format!("{order}.every((at, n, all) => !n || all[n - 1] < at)")), true);
    clean(&mut page, &made.url());
}

#[test]
fn what_is_not_known_is_no_failure() {
    let Some(program) = browser() else { return };
    let made = Made::serve(400, None);
    *made.change.lock().unwrap() = Box::new(|status| {
        for (n, serving, suspended, why) in
            [(5, "real_servers", true, Some("suspended")), (3, "unknown", false, None)]
        {
            let one = &mut status.virtual_servers[n];
            (one.serving, one.suspended, one.quorum_up) = (serving.to_owned(), suspended, false);
            for real in &mut one.real_servers {
                (real.up, real.unchecked) = (None, why.map(str::to_owned));
            }
        }
        let bare = &mut status.virtual_servers[0].real_servers[0];
        (bare.up, bare.unchecked) = (None, Some("no_checks".to_owned()));
        (status.ipvs.applied, status.ipvs.wanted, status.ipvs.in_order) = (3, 5, false);
        let web = &mut status.instances[0];
        (web.priority, web.own_priority) = (1, 140);
        web.order =
            Some(OrderView { order: "step_down".to_owned(), by: "anna".to_owned(), ..OrderView::default() });
    });
    let mut page = Browser::open(program, 1440, 1000, "light");
    page.open_page(&made.url());
    page.until(LIVE);
    let tiles = page.text("#tiles");
    assert!(tiles.contains("1 not known") && tiles.contains("1 not checked here"), "{tiles}");
    assert!(!tiles.contains("without quorum"), "{tiles}");
    let attention = page.text("#attention");
    assert!(
        !attention.contains("lost its quorum") && attention.contains("not in the kernel's table yet"),
        "{attention}"
    );
    let card = page.text("#instances .card");
    assert!(card.contains("150 − 10 script chk_haproxy down = 140 → 1 by order"), "{card}");
    assert!(card.contains("before this one was master"), "{card}");
    let rows = page.text("#rows");
    assert!(rows.contains("not checked here") && rows.contains("not known"), "{rows}");
    page.value("document.querySelectorAll('#rows .vs')[0].click()");
    page.until("document.querySelector('#rows').innerText.includes('no checks')");
    picture(&mut page, "status-not-known-light");
    clean(&mut page, &made.url());
}

#[test]
fn a_journal_that_begins_anew_is_read_anew() {
    let Some(program) = browser() else { return };
    let made = Made::serve(32, None);
    let mut page = Browser::open(program, 1440, 1000, "light");
    page.open_page(&made.url());
    page.until(LIVE);
    assert!(page.text("#events").contains("BACKUP → MASTER"));
    // The machine has been booted: numbers begin at 1 again, and have passed the last that the page has seen.
    let of = |number: u64| EventView {
        number,
        at: format!("2026-11-22T09:00:{:02}.000Z", number % 60),
        text: format!("of the new boot {number}."),
        ..EventView::default()
    };
    *made.journal.lock().unwrap() = (1..=50).map(of).collect();
    *made.events.lock().unwrap() = broadcast::channel(64).0;
    page.until("document.querySelector('#events').innerText.includes('of the new boot 1.')");
    let events = page.text("#events");
    assert!(events.contains("of the new boot 50.") && !events.contains("BACKUP → MASTER"), "{events}");
    clean(&mut page, &made.url());
}

#[test]
fn the_token_is_asked_for_and_kept_for_the_visit() {
    let Some(program) = browser() else { return };
    let file = std::env::temp_dir().join(format!("tandem-page-token-{}", std::process::id()));
    fs::write(&file, "a-token-of-good-length\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let made = Made::serve(32, Some(file.clone()));
    let mut page = Browser::open(program, 1000, 800, "light");
    page.open_page(&made.url());
    page.until("!document.querySelector('#token-form').hidden && document.activeElement.id === 'token'");
    for token in ["a-wrong-token-of-length", "a-token-of-good-length"] {
        page.value(&format!("document.querySelector('#token').value = '{token}'"));
        page.value("document.querySelector('#token-form').requestSubmit()");
        page.until("document.querySelector('#token-note').innerText || !document.querySelector('#tiles').hidden && document.querySelector('#tiles').children.length");
    }
    page.until(LIVE);
    page.open_page(&made.url());
    page.until(LIVE);
    fs::remove_file(file).unwrap();
}

struct Daemon(Child, PathBuf);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        let _ = fs::remove_dir_all(&self.1);
    }
}

fn get(at: SocketAddr, path: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = TcpStream::connect(at).unwrap();
    let ask = format!("GET {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// The whole way: the file opens the door, the daemon serves the page, metrics, status and events, a command shows in all.
#[test]
fn a_running_daemon() {
    assert!(
        nix::unistd::geteuid().is_root(),
        "network namespaces need root: run `make test` as root or with sudo"
    );
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
    for words in [
        "link set lo up",
        "link add d0 type veth peer name d1",
        "link set d1 up",
        "link set d0 up",
        "address add 10.9.9.1/24 dev d0",
    ] {
        assert!(Command::new("ip").args(words.split(' ')).status().unwrap().success(), "{words}");
    }
    let folder = std::env::temp_dir().join(format!("tandem-page-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let at: SocketAddr = "127.0.0.1:9650".parse().unwrap();
    let conf = |listen: &str| {
        format!(
            "global_defs {{\n{listen}\n}}\nvrrp_instance VI_1 {{\n interface d0\n virtual_router_id 51\n priority 150\n \
             virtual_ipaddress {{\n 192.0.2.1/32 dev d0\n }}\n}}\nvirtual_server 192.0.2.1 80 {{\n protocol TCP\n lb_kind \
             NAT\n delay_loop 1\n real_server 127.0.0.1 8080 {{\n TCP_CHECK {{\n connect_timeout 1\n }}\n }}\n real_server \
             127.0.0.1 8081 {{\n weight 3\n }}\n}}\n"
        )
    };
    fs::write(folder.join("t.conf"), conf(" status_listen 127.0.0.1:9650")).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(["run", "--no-supervisor", "--run-dir", "run", "--config", "t.conf"])
        .args(["--control", "run/c.sock", "--state-dir", "state"])
        .current_dir(&folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(folder.join("log")).unwrap())
        .spawn()
        .unwrap();
    let daemon = Daemon(child, folder.clone());
    until("it listens", || TcpStream::connect(at).is_ok());
    let tandem = |words: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_tandem"))
            .args(words)
            .args(["--control", "run/c.sock"])
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(out.status.success(), "{words:?}: {}", String::from_utf8_lossy(&out.stderr));
    };
    until("a check has failed", || get(at, "/metrics").contains("result=\"refused\""));
    let metrics = get(at, "/metrics");
    for line in [
        "tandem_virtual_server_real_servers{virtual_server=\"TCP 192.0.2.1:80\",state=\"down\"} 1",
        "tandem_real_server_up{virtual_server=\"TCP 192.0.2.1:80\",real_server=\"127.0.0.1:8080\"} 0",
        // The other one has no checks: it serves, and nobody knows how it is.
        "tandem_real_server_weight{virtual_server=\"TCP 192.0.2.1:80\",real_server=\"127.0.0.1:8081\"} 3",
        "tandem_virtual_server_real_servers{virtual_server=\"TCP 192.0.2.1:80\",state=\"unknown\"} 1",
        "tandem_vrrp_base_priority{vrrp_instance=\"VI_1\"} 150",
        "tandem_pair_config_info{digest=\"",
        "# EOF",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    assert!(get(at, "/v1/config").starts_with("HTTP/1.1 403"));
    tandem(&["drain", "127.0.0.1:8081"]);
    let wanted = "tandem_real_server_out_of_service{virtual_server=\"TCP 192.0.2.1:80\",real_server=\"127.0.0.1:8081\",admin_state=\"drain\"} 1";
    until("the drain shows", || get(at, "/metrics").contains(wanted));
    if let Some(program) = browser() {
        let mut page = Browser::open(program, 1280, 900, "light");
        page.open_page(&format!("http://{at}/"));
        page.until(LIVE);
        page.until("document.querySelector('#rows').innerText.includes('draining')");
        let rows = page.text("#rows");
        assert!(
            rows.contains("127.0.0.1:8080") && rows.contains("down") && rows.contains("connection refused"),
            "{rows}"
        );
        page.until("document.querySelector('#events').innerText.includes('drain')");
        tandem(&["enable", "127.0.0.1:8081"]);
        page.until("!document.querySelector('#rows').innerText.includes('draining')");
        clean(&mut page, &format!("http://{at}/"));
    }
    // The line goes: so does the door.
    fs::write(folder.join("t.conf"), conf("")).unwrap();
    tandem(&["reload"]);
    until("the door is shut", || TcpStream::connect(at).is_err());
    drop(daemon);
}
