use super::*;
use crate::control::routes::{Change, Order, ServerName};
use crate::core::overrides::{Said, decide};

const CONF: &str = "virtual_server 10.0.0.1 80 {
 protocol TCP
 real_server 10.1.0.1 80 { weight 4 }
 real_server 10.1.0.2 80 { }
}
";

fn overlay(lines: &[&str], commands: &[&str]) -> Overlay {
    let text = |facts: &Facts| {
        let lines: String =
            lines.iter().map(|line| format!("real_server_override {SERVICE} {line}\n")).collect();
        config::load_text("x.conf".as_ref(), (CONF.to_owned() + &lines).as_bytes(), facts).config
    };
    let bare = Facts { without_overrides: true, ..Facts::default() };
    let bare = (!lines.is_empty()).then(|| text(&bare));
    Overlay::new(text(&Facts::default()), bare, commands.iter().map(|one| read(one)).collect())
}

const SERVICE: &str = "TCP 10.0.0.1:80";

fn read(text: &str) -> RealServerOverride {
    format!("{SERVICE} {text}").parse().unwrap()
}

/// What becomes of the layers by a lasting change; the line of the file was `before` and is `after`.
fn persisted(
    layers: &Overlay,
    order: Order,
    before: Option<&str>,
    after: Option<&str>,
) -> Result<Overlay, Failure> {
    let server = ServerName::At("10.1.0.1:80".parse().unwrap());
    let change = Change { service: None, server, order, persist: true, pair: false, lasting: None };
    let decided = decide(layers.base(), layers.overrides(), &change, &Said::default())?;
    let planned = Planned { before: before.map(read), after: after.map(read), ..Planned::default() };
    layers.persisted((&decided.service, decided.server), &planned, false)
}

fn running(layers: &Overlay) -> Vec<String> {
    let config = layers.config();
    config.virtual_server[0].real_server.iter().map(|real| real.address.to_string()).collect()
}

/// A command's layer is above that of the file: what it has added like another one would lose that one.
#[test]
fn a_lasting_delete_takes_nothing_else_out() {
    let layers = overlay(&[], &["10.1.0.9:80 add like 10.1.0.1:80"]);
    let refused = persisted(&layers, Order::Delete, None, Some("10.1.0.1:80 delete")).unwrap_err();
    assert_eq!((refused.status, refused.code), (409, "in-use"));
    let other = overlay(&[], &["10.1.0.9:80 add like 10.1.0.2:80"]);
    let next = persisted(&other, Order::Delete, None, Some("10.1.0.1:80 delete")).unwrap();
    assert_eq!(running(&next), ["10.1.0.2", "10.1.0.9"]);
    assert!(next.number() > other.number());
    // In the file it stands behind what was added like it.
    let lines = ["10.1.0.1:80 weight 5", "10.1.0.9:80 add like 10.1.0.1:80"];
    let next =
        persisted(&overlay(&lines, &[]), Order::Delete, Some(lines[0]), Some("10.1.0.1:80 delete")).unwrap();
    assert_eq!(running(&next), ["10.1.0.2", "10.1.0.9"]);
}

/// Somebody has edited the line, and not reloaded: it is that line all the same.
#[test]
fn a_line_that_was_edited_is_the_same_line() {
    let layers = overlay(&["10.1.0.1:80 delete"], &[]);
    let next = persisted(&layers, Order::Enable, Some("10.1.0.1:80 delete by hand"), None).unwrap();
    assert_eq!(running(&next), ["10.1.0.1", "10.1.0.2"]);
    assert!(next.base().real_server_override.is_empty());
}

/// A disk took its time, and somebody said something of the same real server meanwhile: that is above the line, and both
/// count.
#[test]
fn what_was_said_meanwhile_stays() {
    let shown = |layers: &Overlay| -> Vec<String> {
        let config = layers.config();
        let real = |real: &config::model::RealServer| {
            format!("{} {:?} {:?}", real.address, real.weight, real.admin_state.unwrap_or_default())
        };
        config.virtual_server[0].real_server.iter().map(real).collect()
    };
    let persisted = |layers: &Overlay, server: &str, after: &str| {
        let planned = Planned { after: Some(read(after)), ..Planned::default() };
        let target = (SERVICE.parse().unwrap(), server.parse().unwrap());
        layers.persisted((&target.0, target.1), &planned, true).unwrap()
    };
    let next = persisted(&overlay(&[], &["10.1.0.1:80 drain"]), "10.1.0.1:80", "10.1.0.1:80 weight 9");
    assert_eq!(shown(&next), ["10.1.0.1 Some(9) Drain", "10.1.0.2 None Enabled"]);
    // Both have added it: it is there once, with the weight that was said last.
    let layers = overlay(&[], &["10.1.0.5:80 add like 10.1.0.1:80 weight 3"]);
    let next = persisted(&layers, "10.1.0.5:80", "10.1.0.5:80 add like 10.1.0.1:80");
    assert_eq!(
        shown(&next),
        ["10.1.0.1 Some(4) Enabled", "10.1.0.2 None Enabled", "10.1.0.5 Some(3) Enabled"]
    );
    assert_eq!(next.overrides(), [read("10.1.0.5:80 weight 3")]);
    // A reload that was faster than the disk's answer has read the line already.
    let layers = overlay(&["10.1.0.1:80 weight 9"], &[]);
    let next = persisted(&layers, "10.1.0.1:80", "10.1.0.1:80 weight 9");
    assert_eq!(next.base().real_server_override, [read("10.1.0.1:80 weight 9")]);
}
