//! Where we differ from keepalived on purpose, each with the reason. Whatever is merely missing does not belong here.

use super::kinds::Kind;

/// A problem of keepalived's that we do not report: the file (`None` = all), the kind, a part of its message, why.
pub(crate) type NotReported = (Option<&'static str>, Kind, &'static str, &'static str);

pub(crate) const NOT_REPORTED: &[NotReported] = &[
    (
        None,
        Kind::UnknownKeyword,
        "'vrrp_ipsets'",
        "a keyword of keepalived's; Debian's package is built without it, which is nothing wrong with the file",
    ),
    (
        Some("297.conf"),
        Kind::ScriptSecurity,
        "",
        "the file names a user for its scripts; the verdict's machine had given that name the rights of root",
    ),
    (
        Some("373.conf"),
        Kind::VmacName,
        "",
        "the verdict's machine had an ordinary interface of the name that the VMAC is to have",
    ),
    (None, Kind::UnknownKeyword, "'auth_hmac'", NEWER),
    (None, Kind::UnknownKeyword, "'json_version'", NEWER),
    (None, Kind::UnknownKeyword, "'no_virtual_ipaddress'", NEWER),
    (None, Kind::UnknownKeyword, "'owner_ignore_adverts'", NEWER),
    (None, Kind::UnknownKeyword, "'snmp_vs_stats_update_interval'", NEWER),
    (None, Kind::UnknownKeyword, "'state_dump_file'", NEWER),
    (None, Kind::UnknownKeyword, "'thread_timer_expired'", NEWER),
    (None, Kind::UnknownKeyword, "'use_symlink_paths'", NEWER),
    (None, Kind::UnknownKeyword, "'v3_checksum_as_v2'", NEWER),
    (None, Kind::UnknownKeyword, "'vrrp_delay_after_boot'", NEWER),
    (Some("excluded no vip"), Kind::NoVip, "", NEWER),
    (
        Some("script user none"),
        Kind::UnknownTracker,
        "",
        "users are looked for on the machine, not in the text",
    ),
    (Some("smtp host unresolved"), Kind::SmtpServer, "", "names are looked up when mail is sent"),
];

const NEWER: &str = "a keyword that keepalived has had since a version after 2.2.7";

/// A warning or an error of ours that keepalived has no message for: the file (`None` = all), our code, why.
pub(crate) type Extra = (Option<&'static str>, &'static str, &'static str);

pub(crate) const EXTRA: &[Extra] = &[
    (None, "not-acted-on", "keepalived does it, and this program not yet: silence would be a lie"),
    (
        None,
        "surplus-mask",
        "keepalived cuts the mask without a word; whoever wrote it may have meant another address",
    ),
    (
        None,
        "unquoted-arguments",
        "keepalived drops the arguments of a command without a word: the script does not do what is written",
    ),
    (
        None,
        "shared-address",
        "keepalived does not look whether two instances, or two lines, carry one address",
    ),
    (None, "duplicate-peer", "keepalived drops the second of two equal peers without a word"),
    (
        Some("auth no type"),
        "incomplete-auth",
        "keepalived takes a password without a type as none, without a word",
    ),
    (Some("052.conf"), "unknown-tracker", NO_BFD),
    (Some("bfd no neighbor"), "unknown-tracker", NO_BFD),
    (Some("302.conf"), "unknown-tracker", NO_BFD),
    (Some("159.conf"), "no-protocol", NO_BRACE),
    (Some("159.conf"), "no-real-server", NO_BRACE),
];

const NO_BFD: &str =
    "names a BFD instance that both drop, for want of a neighbour; keepalived says it of that one only";
const NO_BRACE: &str = "both lose the virtual server for want of its brace; keepalived names the lines only";

/// Files that keepalived did not read to the end, so what we find in them cannot be compared the other way round.
pub(crate) const STOPPED: &[(&str, &str)] =
    &[("251.conf", NAMESPACE), ("267.conf", NAMESPACE), ("268.conf", NAMESPACE), ("306.conf", NAMESPACE)];

const NAMESPACE: &str =
    "the network namespace of the file is not there: keepalived stops behind global_defs, and ends with 0";

/// The same for every file with a fatal mistake.
pub(crate) const FATAL: &str = "keepalived stops at the first keyword without its value";
