//! What exporters make of keepalived's dump files, by the rules of two that are in use: mehdy/keepalived-exporter and
//! gen2brain/keepalived_exporter. Both read line by line, go by the number of blanks before a label, and give up at a number
//! that is none.

use std::collections::BTreeMap;

/// An instance of `keepalived.data`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Data {
    pub(crate) state: Option<usize>,
    pub(crate) wanted: Option<usize>,
    pub(crate) interface: String,
    pub(crate) garp_delay: Option<u64>,
    pub(crate) vrid: Option<u64>,
    /// Address and interface.
    pub(crate) vips: Vec<(String, String)>,
}

const STATES: [&str; 4] = ["INIT", "BACKUP", "MASTER", "FAULT"];

fn state(text: &str) -> Option<usize> {
    STATES.iter().position(|state| *state == text)
}

/// The instances of `keepalived.data`: labels at three blanks, what belongs to them at five; a line with fewer blanks ends
/// the instance.
pub(crate) fn data(text: &str) -> Result<BTreeMap<String, Data>, String> {
    let mut all: BTreeMap<String, Data> = BTreeMap::new();
    let (mut name, mut key) = (String::new(), String::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix(" VRRP Instance").filter(|rest| rest.contains('=')) {
            name = rest.split('=').nth(1).unwrap_or_default().trim().to_owned();
            all.insert(name.clone(), Data::default());
        } else if line.starts_with("   ") && !name.is_empty() {
            let one = all.get_mut(&name).ok_or("an instance without a name")?;
            let trimmed = line.trim();
            let mut value = "";
            if line.starts_with("     ") {
                value = trimmed;
            } else {
                let separator = if line.contains('=') { '=' } else { ':' };
                let Some((label, said)) = trimmed.split_once(separator) else { continue };
                key = label.trim().to_owned();
                value = if value.is_empty() {
                    said.split(separator).next().unwrap_or_default().trim()
                } else {
                    value
                };
            }
            let number = || value.parse().map_err(|_| format!("{name}: {key} is {value}"));
            if (key == "Virtual IP" || key.starts_with("Virtual IP (")) && !value.is_empty() {
                let words: Vec<&str> = value.split(' ').collect();
                let [address, _, interface, ..] = words.as_slice() else {
                    return Err(format!("{name}: the address {value}"));
                };
                one.vips.push(((*address).to_owned(), (*interface).to_owned()));
            }
            match key.as_str() {
                "State" => one.state = Some(state(value).ok_or(format!("{name}: state {value}"))?),
                "Wantstate" => one.wanted = Some(state(value).ok_or(format!("{name}: wants {value}"))?),
                "Interface" | "Listening device" => one.interface = value.to_owned(),
                "Gratuitous ARP delay" => one.garp_delay = Some(number()?),
                "Virtual Router ID" => one.vrid = Some(number()?),
                _ => {}
            }
        } else if !line.starts_with(" VRRP Version") && !line.starts_with(" VRRP Script") {
            name.clear();
        }
    }
    Ok(all)
}

/// The scripts of `keepalived.data`: status and state by name.
pub(crate) fn scripts(text: &str) -> BTreeMap<String, (String, String)> {
    let mut all: BTreeMap<String, (String, String)> = BTreeMap::new();
    let mut name = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix(" VRRP Script").filter(|rest| rest.contains('=')) {
            name = rest.split('=').nth(1).map(|name| name.trim().to_owned());
        } else if let (true, Some(name)) = (line.starts_with("   "), &name) {
            let Some((label, value)) = line.trim().split_once('=') else { continue };
            let one = all.entry(name.clone()).or_default();
            match label.trim() {
                "Status" => one.0 = value.trim().to_owned(),
                "State" => one.1 = value.trim().to_owned(),
                _ => {}
            }
        } else {
            name = None;
        }
    }
    all
}

/// The counters of `keepalived.stats`, as `section/label` by instance.
pub(crate) fn stats(text: &str) -> Result<BTreeMap<String, BTreeMap<String, u64>>, String> {
    let mut all: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    let (mut name, mut section) = (String::new(), String::new());
    for line in text.lines() {
        let trimmed = line.trim();
        if let Some(rest) = line.strip_prefix("VRRP Instance:") {
            name = rest.trim().to_owned();
            all.insert(name.clone(), BTreeMap::new());
            continue;
        }
        if line.starts_with("  ") && line.ends_with(':') {
            section = trimmed.trim_end_matches(':').to_owned();
            continue;
        }
        let Some((label, value)) = trimmed.split_once(':') else { return Err(format!("the line {line}")) };
        let number = value.trim().parse().map_err(|_| format!("{name}: {label} is {value}"))?;
        let key = if line.starts_with("    ") && !section.is_empty() {
            format!("{section}/{label}")
        } else {
            section.clear();
            label.to_owned()
        };
        all.get_mut(&name).ok_or("a counter without an instance")?.insert(key, number);
    }
    Ok(all)
}

/// The counters that a collector asks for.
pub(crate) const COUNTERS: [&str; 14] = [
    "Advertisements/Received",
    "Advertisements/Sent",
    "Became master",
    "Released master",
    "Packet Errors/Length",
    "Packet Errors/TTL",
    "Packet Errors/Invalid Type",
    "Packet Errors/Advertisement Interval",
    "Packet Errors/Address List",
    "Authentication Errors/Invalid Type",
    "Authentication Errors/Type Mismatch",
    "Authentication Errors/Failure",
    "Priority Zero/Received",
    "Priority Zero/Sent",
];

/// State, adverts sent, addresses.
pub(crate) type Json = (usize, u64, Vec<String>);

/// The same from `keepalived.json`: fields that are decoded into whole numbers, or a list of texts, fail when they are
/// anything else.
pub(crate) fn json(text: &str) -> Result<BTreeMap<String, Json>, String> {
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut all = BTreeMap::new();
    for one in value.as_array().ok_or("no array")? {
        let (data, stats) = (&one["data"], &one["stats"]);
        let whole = |of: &serde_json::Value, key: &str| of[key].as_u64().ok_or(format!("{key}: {}", of[key]));
        for key in ["garp_delay", "vrid", "wantstate"] {
            whole(data, key)?;
        }
        for key in [
            "advert_rcvd",
            "become_master",
            "release_master",
            "packet_len_err",
            "advert_interval_err",
            "ip_ttl_err",
            "invalid_type_rcvd",
            "addr_list_err",
            "invalid_authtype",
            "authtype_mismatch",
            "auth_failure",
            "pri_zero_rcvd",
            "pri_zero_sent",
        ] {
            whole(stats, key)?;
        }
        data["last_transition"].as_f64().ok_or("last_transition is no number")?;
        data["ifp_ifname"].as_str().ok_or("ifp_ifname is no text")?;
        let vips = data["vips"].as_array().ok_or("vips is no list")?;
        let vips: Vec<String> = vips.iter().filter_map(|vip| vip.as_str().map(str::to_owned)).collect();
        let name = data["iname"].as_str().ok_or("iname is no text")?.to_owned();
        let state = usize::try_from(whole(data, "state")?).map_err(|error| error.to_string())?;
        all.insert(name, (state, whole(stats, "advert_sent")?, vips));
    }
    Ok(all)
}
