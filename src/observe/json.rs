//! `keepalived.json`: an array of instances (`json_version 1`), or an object with tracked processes as well (2). Fields and
//! their types are keepalived's: some switches are numbers, others booleans. Pure.

use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::{Number, Value, json};

use super::data::{Process, Topology};
use super::instance::{Auth, Instance, MASKED, Tracked};

/// Fields in keepalived's order.
struct Object(Vec<(&'static str, Value)>);

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// One instance.
#[derive(Serialize)]
struct Shown {
    data: Object,
    stats: Object,
}

/// The second form.
#[derive(Serialize)]
struct Second {
    vrrp: Vec<Shown>,
    track_process: Vec<Value>,
}

/// The file, in this version of its form: 1 or 2.
pub fn render(all: &Topology, version: u8) -> String {
    let vrrp = all.instances.iter().map(instance).collect();
    let text = match version {
        2 => {
            let track_process = all.processes.iter().map(process).collect();
            serde_json::to_string(&Second { vrrp, track_process })
        }
        _ => serde_json::to_string::<Vec<Shown>>(&vrrp),
    };
    // Texts and numbers alone: nothing here can fail to be written.
    text.unwrap_or_default()
}

fn instance(i: &Instance) -> Shown {
    let c = &i.counters;
    let mut stats: Vec<(&'static str, Value)> = Vec::new();
    for (key, count) in [
        ("advert_rcvd", c.received),
        ("advert_sent", c.sent),
        ("become_master", c.became_master),
        ("release_master", c.released_master),
        ("packet_len_err", c.length),
        ("advert_interval_err", c.interval),
        ("ip_ttl_err", c.ttl),
        ("invalid_type_rcvd", c.invalid_type),
        ("addr_list_err", c.address_list),
        ("invalid_authtype", c.invalid_auth_type),
        ("authtype_mismatch", c.auth_type_mismatch),
        ("auth_failure", c.auth_failure),
    ] {
        stats.push((key, count.into()));
    }
    const EXTENSION: [&str; 6] = [
        "auth_ext_missing",
        "auth_ext_malformed",
        "auth_ext_unknown_key",
        "auth_ext_invalid_hmac",
        "auth_ext_stale",
        "auth_ext_replay",
    ];
    for (key, count) in EXTENSION.into_iter().zip(c.extension.into_iter().flatten()) {
        stats.push((key, count.into()));
    }
    stats.push(("pri_zero_rcvd", c.zero_received.into()));
    stats.push(("pri_zero_sent", c.zero_sent.into()));
    Shown { data: data(i), stats: Object(stats) }
}

fn data(i: &Instance) -> Object {
    let mut data = Vec::with_capacity(48);
    let mut put = |key: &'static str, value: Value| data.push((key, value));
    put("iname", i.name.as_str().into());
    put("dont_track_primary", number(i.dont_track_primary));
    put("skip_check_adv_addr", number(i.skip_check_adv_addr));
    put("strict_mode", number(i.strict));
    put("vmac_ifname", i.vmac.as_deref().unwrap_or_default().into());
    put("ifp_ifname", i.vmac.as_ref().unwrap_or(&i.interface).as_str().into());
    put("master_priority", i.master.map_or(0, |master| master.priority).into());
    put("last_transition", seconds(i.last_transition.unwrap_or_default()));
    put("garp_delay", i.garp.delay.into());
    put("garp_refresh", i.garp.refresh.into());
    put("garp_rep", i.garp.repeat.into());
    put("garp_refresh_rep", i.garp.refresh_repeat.into());
    put("garp_lower_prio_delay", i.garp.lower_delay.into());
    put("garp_lower_prio_rep", i.garp.lower_repeat.into());
    put("lower_prio_no_advert", number(i.lower_prio_no_advert));
    put("higher_prio_send_advert", number(i.higher_prio_send_advert));
    put("vrid", i.vrid.into());
    put("base_priority", i.base_priority.into());
    put("effective_priority", i.priority.into());
    put("vipset", i.vips_set.into());
    put("promote_secondaries", i.promote_secondaries.into());
    put("adver_int", seconds(i.interval));
    put("master_adver_int", seconds(i.master_interval));
    put("accept", number(i.accept));
    put("nopreempt", (!i.preempt).into());
    put("preempt_delay", seconds(i.preempt_delay));
    put("state", i.state.number().into());
    put("wantstate", i.wanted.number().into());
    put("version", i.version.into());
    put("smtp_alert", i.smtp_alert.into());
    put("notify_deleted", i.notify_deleted.into());
    for notify in &i.notify {
        put(notify.key, notify.command.as_str().into());
    }
    let set = if i.vips_set { " set" } else { "" };
    let addresses = |all: &[String]| all.iter().map(|vip| format!("{vip}{set}")).collect();
    for (key, all) in [
        ("vips", addresses(&i.vips)),
        ("evips", addresses(&i.evips)),
        ("vroutes", i.routes.clone()),
        ("vrules", i.rules.clone()),
        ("track_ifp", names(&i.track_interface, |tracked| &tracked.name)),
        ("track_script", names(&i.track_script, |tracked| &tracked.command)),
        ("track_process", names(&i.track_process, |tracked| &tracked.name)),
    ] {
        let all: Vec<String> = all;
        if !all.is_empty() {
            put(key, all.into());
        }
    }
    match i.auth {
        Auth::None => put("auth_type", 0.into()),
        Auth::Pass | Auth::Ah => {
            put("auth_type", if i.auth == Auth::Pass { 1 } else { 2 }.into());
            put("auth_data", MASKED.into());
        }
    }
    // Beyond keepalived: why the last transition happened.
    if let Some(cause) = &i.cause {
        put("last_transition_cause", cause.as_str().into());
    }
    Object(data)
}

fn process(process: &Process) -> Value {
    json!({
        "process": process.process,
        "parameters": process.parameters.join(" "),
        "param_match": process.param_match.unwrap_or("exact"),
        "min_processes": process.bounds.0,
        "max_processes": process.bounds.1.map_or(u32::MAX, u32::from),
        "current_processes": process.current.unwrap_or(0),
        "have_quorum": process.have_quorum,
        "weight": process.weight,
        "terminate_delay": seconds(process.delays.0),
        "fork_delay": seconds(process.delays.1),
        "fork_delay_timer_running": false,
        "terminate_delay_timer_running": false,
        "full_command": process.full_command,
    })
}

fn names(all: &[Tracked], of: impl Fn(&Tracked) -> &String) -> Vec<String> {
    all.iter().map(|tracked| of(tracked).clone()).collect()
}

/// A switch that keepalived writes as a number.
fn number(on: bool) -> Value {
    u8::from(on).into()
}

/// Seconds: whole ones without a point, others with up to six digits behind it.
fn seconds(time: Duration) -> Value {
    if time.subsec_micros() == 0 {
        return time.as_secs().into();
    }
    // Below 2^53 microseconds of seconds since 1970 every sixth digit is exact.
    let micros = time.as_micros() as f64;
    Number::from_f64(micros / 1e6).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_as_short_as_they_can_be() {
        assert_eq!(seconds(Duration::from_secs(1)).to_string(), "1");
        assert_eq!(seconds(Duration::from_millis(500)).to_string(), "0.5");
        assert_eq!(seconds(Duration::new(1_795_296_113, 781_483_000)).to_string(), "1795296113.781483");
    }
}
