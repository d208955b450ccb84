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
    (
        None,
        Kind::ScriptNumber,
        "must be between 1 and 4294",
        "later versions take fractions and longer times, and so do we",
    ),
    (None, Kind::ScriptNumber, "timeout must be greater than 0", "0 means the default here"),
    (None, Kind::Refused, "smtp_connect_timeout", "fractions of a second are taken here"),
    (None, Kind::Refused, "smtp_conect_timeout", "0 means no time limit of its own here"),
    (
        None,
        Kind::Refused,
        "_repeat must be greater than 0",
        "0 is taken as 1, as in keepalived, without a word",
    ),
    (
        None,
        Kind::InterfaceMissing,
        "",
        "of a line that a later one replaces, or of an instance that is dropped: that is said instead",
    ),
    (
        Some("045.conf"),
        Kind::GarpGroupTwice,
        "",
        "keepalived names the wrong interface of a group that names one twice; we name the right one",
    ),
    (
        Some("045.conf"),
        Kind::GarpGroupInterface,
        "",
        "the interface is named twice in the group, and reported once",
    ),
    (
        Some("garp_group both"),
        Kind::GarpGroupTwice,
        "",
        "named by its interface at the group, not at its end",
    ),
    (
        None,
        Kind::Hysteresis,
        "hysteresis 0 >= quorum 0",
        "follows from a sum of weights of 0, which is reported",
    ),
    (None, Kind::InstanceName, "", "words behind the name are named and passed over; the instance stays"),
    (
        Some("prios"),
        Kind::Refused,
        "cpu_id",
        "the processors of the machine are looked at when the daemon starts",
    ),
    (
        Some("missing } of virtual_ipaddress"),
        Kind::InvalidAddress,
        "eth1",
        "the block below the first such line is passed over with it",
    ),
    (Some("sorry inhibit early"), Kind::SorryInhibit, "", "the order of the lines does not matter here"),
    (Some("sync weights global_tracking"), Kind::Deprecated, "", "it has no effect, in keepalived as well"),
    (Some("garp abc"), Kind::Refused, "extra_if", "0 turns it off, and is taken"),
    (Some("iface delays"), Kind::Refused, "unknown interface", "said of the block, not of its line"),
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
    (
        None,
        "drops-traffic",
        "keepalived makes a director drop what is sent to its own virtual server without a word",
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
    (
        None,
        "undefined-variable",
        "keepalived leaves the text as it is, mostly without a word; it is hardly meant",
    ),
    (
        None,
        "duplicate-name",
        "keepalived takes a second object of the name without a word, and uses one of them",
    ),
    (None, "duplicate-server", "two blocks of one service fight over one entry of the kernel's table"),
    (None, "unknown-group", "keepalived runs nothing for it, without a word"),
    (None, "strict", "keepalived removes it without a word where it says nothing"),
    (None, "preempt-delay-ignored", "keepalived clears it without a word"),
    (None, "sync-weight", "keepalived drops the tracker, sometimes without a word"),
    (None, "auth-v3", "keepalived clears it without a word under strict"),
    (None, "incomplete-group", "a garp_group whose interval is refused does nothing"),
    (None, "unknown-instance", "keepalived says it of groups that it uses only"),
    (Some("iface delays"), "no-interface", "said of the block, not of its line"),
    (Some("066.conf"), "unknown-tracker", NO_BFD),
    (Some("145.conf"), "unknown-tracker", NO_BFD),
    (Some("230.conf"), "unknown-tracker", NO_BFD),
    (Some("414.conf"), "unknown-tracker", NO_BFD),
    (Some("bfd bad ip"), "no-neighbour", NO_BFD),
    (Some("bfd bad ip"), "bad-address", NO_BFD),
    (Some("243.conf"), "no-protocol", "of a virtual server that both drop for want of real servers"),
    (Some("missing open"), "incomplete-instance", NO_BRACE),
    (Some("missing open 2"), "unknown-keyword", NO_BRACE),
    (Some("194.conf"), "bad-option", "keepalived lets the second of two priorities win without a word"),
    (
        Some("089.conf"),
        "missing-value",
        "keepalived takes a bare param_match for an exact match; there is no word for that",
    ),
    (None, "bad-pattern", "keepalived -t does not compile patterns"),
    (Some("121.conf"), "bad-value", "no hardware address: keepalived takes the line without a look"),
    (None, "bad-value", "keepalived takes the value without a word, or cuts it to what it can use"),
];

/// Files that we refuse and keepalived takes: the file, why.
pub(crate) const REFUSED: &[(&str, &str)] = &[(
    "http regex",
    "keepalived compiles a pattern when its checker starts, logs that it is none, and runs without it; its -t says nothing",
)];

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

/// Keywords whose lack of a value we judge otherwise, and why.
pub(crate) const BARE: &[(&[&str], &str)] = &[
    (
        &[
            "smtp_helo_name",
            "param_match",
            "status_code",
            "regex",
            "regex_options",
            "regex_min_offset",
            "regex_max_offset",
            "script",
            "misc_path",
        ],
        "keepalived takes the bare word in silence; nothing sensible can be meant by it",
    ),
    (&["debug"], "it has no effect, in keepalived as well"),
    (&["authentication"], "a block without its brace"),
    (&["use_ipvlan"], "keepalived says the same of the instance, without a line"),
    (
        &[
            "linkbeat_use_polling",
            "global_tracking",
            "sh-port",
            "sh-fallback",
            "mh-port",
            "mh-fallback",
            "sorry_server_inhibit",
        ],
        "what keepalived says is of deprecation or of other lines; nothing acts on most of them yet, which is said",
    ),
];
