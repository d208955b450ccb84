//! What must hold of any bytes that come from outside. `targets/` runs these checks under libFuzzer,
//! `tests/fuzz_seeds.rs` runs them over the seeds and over everything that was ever found.

mod pair;
mod probes;
mod receive;

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use tandem::bfd::accept as bfd_accept;
use tandem::bfd::packet::{Control, State};
use tandem::bfd::session::{Action, Event, Params, Session};
use tandem::config::facts::Facts;
use tandem::config::model::Config;
use tandem::config::{Loaded, load_text, parse_bytes, to_conf, yaml as yaml_form};
use tandem::ipvs::wire::{Message, Messages, NLMSG_DONE, NLMSG_ERROR};
use tandem::ipvs::{codec, table::Family};
use tandem::vrrp::accept::{Datagram, Rules, accept};
use tandem::vrrp::packet::{Advert, ChecksumMode, ParseError};

/// No finding has control characters in it, whatever the file's words have. Not so yet: until then it is not checked.
const FINDINGS_ARE_PRINTABLE: bool = true;

/// The names of all targets.
#[allow(dead_code, reason = "each target knows its own name")]
pub(crate) const TARGETS: [&str; 9] =
    ["lexer", "keepalived", "yaml", "vrrp", "receive", "bfd", "netlink", "probes", "pair"];

/// Findings behind a variable, a sequence or a conditional point at the column that was written, not at that of the
/// expanded text. Not so yet: until then such columns are not checked.
const COLUMNS_SURVIVE_EXPANSION: bool = true;

/// Runs the checks of one target; panics when one does not hold.
pub(crate) fn run(target: &str, bytes: &[u8]) {
    match target {
        "lexer" => lexer(bytes),
        "keepalived" => keepalived(bytes),
        "yaml" => yaml(bytes),
        "vrrp" => vrrp(bytes),
        "bfd" => bfd(bytes),
        "receive" => receive::receive(bytes),
        "netlink" => netlink(bytes),
        "probes" => probes::probes(bytes),
        "pair" => pair::pair(bytes),
        other => panic!("there is no target {other}"),
    }
}

/// The name that an input goes by: below `included/`, so that includes find something, and always the same.
fn name(ending: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        // The same file is part of two packages: this folder's own and the one around it.
        [root.join("included"), root.join("fuzz/included")]
            .into_iter()
            .find(|f| f.is_dir())
            .unwrap_or_default()
    });
    folder.join(format!("input.{ending}"))
}

/// The input without a way out of `included/`: an include must not read this machine's files, or a finding would
/// not be found again on another machine.
fn tame(bytes: &[u8]) -> Cow<'_, [u8]> {
    // Bytes that the lexer takes out of a line could hide the word.
    let plain: Vec<u8> = bytes.iter().copied().filter(|b| !matches!(b, b'\r' | b'\\' | b'"')).collect();
    if !contains(&plain, b"include") {
        return Cow::Borrowed(bytes);
    }
    let mut tamed = bytes.to_vec();
    let mut before = 0;
    for byte in &mut tamed {
        match *byte {
            b'/' => *byte = b'_',
            b'.' if before == b'.' => *byte = b'_',
            _ => {}
        }
        before = *byte;
    }
    // Variables whose value has a slash in it.
    for word in [b"_PWD".as_slice(), b"_ENV"] {
        while let Some(at) = tamed.windows(word.len()).position(|w| w == word) {
            tamed[at] = b'-';
        }
    }
    Cow::Owned(tamed)
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn load(ending: &str, bytes: &[u8]) -> Loaded {
    load_text(&name(ending), bytes, &Facts::default())
}

/// keepalived.conf, how it is written: line ends, a byte order mark and a comment line change nothing, and findings
/// point into the text.
fn lexer(bytes: &[u8]) {
    let bytes = &*tame(bytes);
    let loaded = load("conf", bytes);
    findings_are_sound(bytes, &loaded, &name("conf"));
    // The limit on the length of a line is in bytes as written; random numbers differ from one reading to the next.
    let near_the_limit = bytes.split(|b| *b == b'\n').any(|line| line.len() >= 1000);
    if near_the_limit || contains(bytes, b"_RANDOM") {
        return;
    }
    let mut dos = Vec::with_capacity(bytes.len() + 8);
    for byte in bytes {
        if *byte == b'\n' {
            dos.push(b'\r');
        }
        dos.push(*byte);
    }
    same("with CRLF line ends", &loaded, &load("conf", &dos), 0);
    if !bytes.starts_with(b"\xef\xbb\xbf") {
        same("with a byte order mark", &loaded, &load("conf", &[b"\xef\xbb\xbf", bytes].concat()), 0);
        same("behind a comment", &loaded, &load("conf", &[b"# {\n", bytes].concat()), 1);
    }
}

/// The same model and the same findings, `shift` lines further down.
fn same(what: &str, one: &Loaded, other: &Loaded, shift: u32) {
    assert_eq!(one.config, other.config, "another model {what}");
    let own = name("conf");
    let mut expected = one.diagnostics.clone();
    for place in expected.iter_mut().filter_map(|finding| finding.place.as_mut()) {
        if *place.file == own && place.line > 0 {
            place.line += shift;
        }
    }
    let text = |findings: &[tandem::config::diagnostic::Diagnostic]| {
        // Findings may name the place of another object in their text: compared where lines stay.
        let mut lines: Vec<_> = findings
            .iter()
            .map(|f| match shift {
                0 => f.to_string(),
                _ => format!("{:?} {}", f.place, f.code),
            })
            .collect();
        // Findings of files that are included come before or behind those of the file itself.
        lines.sort();
        lines
    };
    assert_eq!(text(&expected), text(&other.diagnostics), "other findings {what}");
}

/// keepalived.conf: the model survives the way through the other form.
fn keepalived(bytes: &[u8]) {
    let bytes = &*tame(bytes);
    let loaded = load("conf", bytes);
    findings_are_sound(bytes, &loaded, &name("conf"));
    survives_yaml(&loaded.config);
    // As it is written: what `tandem convert` starts from.
    let parsed = parse_bytes(&name("conf"), bytes, &Facts::default()).config;
    if let Ok(text) = to_conf(&parsed) {
        let again = parse_bytes(&name("conf"), text.as_bytes(), &Facts::default());
        assert_eq!(again.config, parsed, "another model\n{text}\n{:?}", again.diagnostics);
    }
}

/// YAML: whatever is not refused survives being written and read again.
fn yaml(bytes: &[u8]) {
    let loaded = load("yaml", bytes);
    findings_are_sound(bytes, &loaded, &name("yaml"));
    if loaded.readable {
        survives_yaml(&loaded.config);
    }
}

fn survives_yaml(config: &Config) {
    let text = yaml_form::to_yaml(config).expect("every model can be written");
    let again = load("yaml", text.as_bytes());
    assert!(again.readable, "{:?}\n{text}", again.diagnostics);
    assert_eq!(&again.config, config, "another model\n{text}");
}

/// Every finding is one line of text, says something, and points at a place that the file has.
fn findings_are_sound(bytes: &[u8], loaded: &Loaded, own: &Path) {
    let written = String::from_utf8_lossy(bytes);
    let lines = if own.extension().is_some_and(|ending| ending == "yaml") {
        // The YAML reader counts a byte order mark as a character.
        yaml_lines(&written)
    } else {
        written.strip_prefix('\u{feff}').unwrap_or(&written).split('\n').collect()
    };
    let columns = COLUMNS_SURVIVE_EXPANSION || !bytes.iter().any(|byte| matches!(byte, b'$' | b'~' | b'@'));
    for finding in &loaded.diagnostics {
        let text = finding.to_string();
        assert!(!finding.problem.is_empty() && !finding.code.is_empty(), "a finding says nothing: {text}");
        let plain = !(FINDINGS_ARE_PRINTABLE && text.contains(char::is_control));
        assert!(plain, "a finding with control characters: {text:?}");
        let place = finding.place.as_ref().unwrap_or_else(|| panic!("a finding without a place: {text}"));
        if *place.file != *own || place.line == 0 {
            assert!(place.line > 0 || place.column == 0, "a column without a line: {text}");
            continue;
        }
        // What is missing at the end of a file may be said to be missing behind its last line.
        let index = usize::try_from(place.line - 1).unwrap_or(usize::MAX);
        assert!(index <= lines.len(), "the file has {} lines: {text}", lines.len());
        // One behind the end is where something is missing.
        let width = lines.get(index).map_or(0, |line| line.chars().count()) + 1;
        let column = usize::try_from(place.column).unwrap_or(usize::MAX);
        assert!(!columns || column <= width, "the line has {} characters: {text}", width - 1);
    }
}

/// YAML has more line ends than one: CR, CRLF, LF, NEL, LS, PS.
fn yaml_lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['\r', '\n', '\u{85}', '\u{2028}', '\u{2029}']) {
        lines.push(&rest[..at]);
        let behind = &rest[at..];
        let mut end = behind.chars();
        end.next();
        rest = behind.strip_prefix("\r\n").unwrap_or(end.as_str());
    }
    lines.push(rest);
    lines
}

/// A VRRP message of anybody on the LAN. The first byte chooses the addresses; the checksum is mended, or no input
/// would ever get past it.
fn vrrp(bytes: &[u8]) {
    let Some((choice, payload)) = bytes.split_first() else { return };
    let v4 = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
    let v6 = |last| IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last));
    let (source, destination) = match choice % 4 {
        0 => (v4(1), IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18))),
        1 => (v4(1), v4(2)),
        2 => (v6(1), IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12))),
        _ => (v6(1), v4(2)),
    };
    let mut payload = payload.to_vec();
    if let Err(ParseError::Checksum { computed, .. }) = Advert::parse(&payload, source, destination) {
        payload[6..8].copy_from_slice(&computed.to_be_bytes());
    }
    let parsed = Advert::parse(&payload, source, destination);
    if let Ok(advert) = &parsed {
        let encoded = advert.encode(source, destination);
        let again = Advert::parse(&encoded, source, destination).expect("our own bytes are read");
        assert_eq!(&again, advert, "encoded: {encoded:02x?}");
    }
    let version = match payload.first().map(|byte| byte >> 4) {
        Some(3) => tandem::config::model::VrrpVersion::V3,
        _ => tandem::config::model::VrrpVersion::V2,
    };
    let rules = Rules {
        version,
        vrid: payload.get(1).copied().unwrap_or(1),
        ipv6: source.is_ipv6(),
        password: (choice & 4 != 0).then_some(*b"1111\0\0\0\0"),
        ah: false,
        checksum: ChecksumMode::Rfc,
        advert_int: Duration::from_secs(1),
        addresses: [v4(100)].into(),
        own: Some(v4(1)),
        own_priority: Some(100),
        unicast: None,
    };
    let ttl = if choice & 8 != 0 { 64 } else { 255 };
    match accept(&rules, &Datagram { payload: &payload, source, destination, ttl }) {
        Ok(accepted) => {
            assert!(parsed.is_ok() && ttl == 255, "accepted, though {parsed:?}, ttl {ttl}");
            assert!(!accepted.interval().is_zero(), "an interval of zero would spin");
        }
        Err(discard) => assert!(!discard.to_string().is_empty() && !discard.name().is_empty()),
    }
}

/// BFD packets of anybody who reaches the port, each with a byte of time before it: they move a session, and whatever it
/// answers is what a neighbour takes.
fn bfd(bytes: &[u8]) {
    const OWN: u32 = 7;
    let neighbour = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
    let path = bfd_accept::Path { neighbour, source: None, multihop: false, least_ttl: Some(255) };
    let params = Params {
        min_tx: Duration::from_millis(10),
        min_rx: Duration::from_millis(10),
        idle_tx: Duration::from_secs(1),
        multiplier: 3,
        passive: bytes.len() % 2 == 1,
    };
    let mut now = tandem::clock::now();
    let mut session = Session::new(params, OWN, 1, now);
    for chunk in bytes.chunks(40) {
        let Some((pause, payload)) = chunk.split_first() else { return };
        now += Duration::from_millis(u64::from(*pause) * 4);
        let datagram = bfd_accept::Datagram {
            payload,
            source: neighbour,
            destination: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
            ttl: 255,
            multihop: false,
        };
        let event = match bfd_accept::accept(&[(OWN, path)], &datagram) {
            Ok((_, packet)) => {
                assert_eq!(Control::parse(&packet.encode()), Ok(packet), "our own bytes are read");
                Event::Packet(packet)
            }
            Err(discard) => {
                assert!(!discard.to_string().is_empty() && !discard.name().is_empty());
                Event::Timeout
            }
        };
        for action in session.handle(event, now) {
            if let Action::Send(packet) = action {
                assert_eq!(Control::parse(&packet.encode()), Ok(packet), "no neighbour takes this");
            }
        }
        let hears = matches!(session.state(), State::Init | State::Up);
        assert!(!hears || session.detection_time().is_some(), "its failure would never be found");
        session.handle(Event::Timeout, now);
        assert!(session.deadline().is_none_or(|at| at > now), "a timer that is always due spins");
    }
}

/// What the kernel answers to a dump of its IPVS table.
fn netlink(bytes: &[u8]) {
    for message in Messages::new(bytes) {
        // An error ends it: the rest cannot be told apart.
        let Ok(message) = message else { return };
        answer(&message);
    }
}

fn answer(message: &Message<'_>) {
    if matches!(message.kind, NLMSG_ERROR | NLMSG_DONE) {
        if let Ok(number) = message.error_number() {
            assert!(number >= 0, "error numbers are positive here: {number}");
        }
        return;
    }
    let Ok((_command, attributes)) = message.generic() else { return };
    if let Ok(Some(service)) = codec::service_key(attributes.clone()) {
        let _ = service.settings();
    }
    for family in [Family::V4, Family::V6] {
        if let Ok((key, settings)) = codec::destination(attributes.clone(), family) {
            assert!(!format!("{key:?} {settings:?}").is_empty());
        }
    }
}
