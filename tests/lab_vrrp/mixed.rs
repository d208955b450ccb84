//! Tandem and Debian's keepalived as the two directors, each in both roles.

use super::*;

fn mixed(name: &str, high: Kind, low: Kind, edit: impl Fn(Conf) -> Conf, advert: Duration) {
    if director::kind() == Kind::Keepalived {
        println!("SKIPPED: a mixed pair needs Tandem");
        return;
    }
    let pair = Pair::new(name);
    let mut d1 = pair.start_as("d1", high, &edit(Conf::new("MASTER", 150)));
    let mut d2 = pair.start_as("d2", low, &edit(Conf::new("BACKUP", 100)));
    pair.master("d1");
    // Its other addresses come in the same breath.
    pause(ms(200));
    pair.calm(now(), s(2));
    let took = pair.takeover("d1", "d2", || d1.kill());
    measured(&format!("mixed_{high}_to_{low}_sigkill"), took, down_interval(advert, 100), ms(100));
    // Back: the higher priority preempts the other program.
    let mut d1 = d1.again(&pair.lab);
    pair.master("d1");
    // Orderly this time, then back again, then the backup goes and comes.
    let took = pair.takeover("d1", "d2", || d1.terminate());
    measured(&format!("mixed_{high}_to_{low}_sigterm"), took, skew(advert, 100), ms(100));
    d1.stop();
    pair.master("d2");
    let _d1 = d1.again(&pair.lab);
    pair.master("d1");
    pause(ms(200));
    let since = now();
    d2.stop();
    let _d2 = d2.again(&pair.lab);
    pair.calm(since, s(3));
    pair.master("d1");
}

#[test]
fn tandem_high_keepalived_low() {
    mixed("mixtk", Kind::Tandem, Kind::Keepalived, |conf| conf, s(1));
}

#[test]
fn keepalived_high_tandem_low() {
    mixed("mixkt", Kind::Keepalived, Kind::Tandem, |conf| conf, s(1));
}

fn with_password(conf: Conf) -> Conf {
    conf.line("authentication {\n        auth_type PASS\n        auth_pass lab-pass\n    }")
        .address("10.9.0.101")
}

#[test]
fn with_password_and_two_addresses_tandem_high() {
    mixed("mixptk", Kind::Tandem, Kind::Keepalived, with_password, s(1));
}

#[test]
fn with_password_and_two_addresses_keepalived_high() {
    mixed("mixpkt", Kind::Keepalived, Kind::Tandem, with_password, s(1));
}

fn version_3(conf: Conf) -> Conf {
    conf.line("version 3").advert("0.2")
}

#[test]
fn version_3_tandem_high() {
    mixed("mix3tk", Kind::Tandem, Kind::Keepalived, version_3, ms(200));
}

#[test]
fn version_3_keepalived_high() {
    mixed("mix3kt", Kind::Keepalived, Kind::Tandem, version_3, ms(200));
}
