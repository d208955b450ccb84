//! What keepalived 2.2.7 says, kind by kind: its words, where our finding must stand, and which codes answer it.
//! The one table to edit when a code gets another name.

/// Where the finding that answers a message must stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// On the line that keepalived names.
    Line,
    /// On that line, or inside the block that ends there: keepalived looks at some things at a block's end.
    Block,
    /// On that line, or inside the block around it, and it must name the objects: said once for a whole list.
    Around,
    /// Anywhere, but it must name the objects: keepalived looks at it when all is read, and has no line.
    Object,
    /// Anywhere in the file.
    File,
    /// Nowhere: the message is about the machine that the verdict was made on, or follows from another one.
    Nowhere(&'static str),
}

/// One kind: its name, its messages with `{…}` for what varies (`{o}` = an object that our finding must name),
/// its place, and our codes
/// (`code:word` = a finding with that code whose sentence has that word).
pub(crate) struct Rule {
    pub(crate) kind: Kind,
    pub(crate) patterns: &'static [&'static str],
    pub(crate) at: At,
    pub(crate) codes: &'static [&'static str],
}

macro_rules! kinds {
    ($($kind:ident: $at:expr, [$($code:literal),*], [$($pattern:literal),+ $(,)?];)+) => {
        /// The kinds of messages.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Kind {
            $($kind,)+
            /// No pattern fits: always a disagreement.
            Unclassified,
        }

        pub(crate) const RULES: &[Rule] = &[
            $(Rule { kind: Kind::$kind, at: $at, codes: &[$($code),*], patterns: &[$($pattern),+] },)+
        ];
    };
}

const HOST: At = At::Nowhere("about the machine of the verdict: its scripts, users and names");
const SUMMARY: At = At::Nowhere("sums up other messages");

kinds! {
    // The text.
    UnknownKeyword: At::Line, ["unknown-keyword", "undefined-variable"], ["Unknown keyword '{}'"];
    UnexpectedBrace: At::Line, ["brace-without-keyword", "unknown-keyword", "undefined-variable"],
        ["Unexpected '{{' - ignoring"];
    MissingBrace: At::Line, ["missing-brace", "no-block"], ["Missing '{{' at beginning of configuration block"];
    ExtraBrace: At::Line, ["surplus-brace"], ["Extra '}' found"];
    OpenBrace: At::File, ["missing-brace"], ["There are {} missing '}'s or extra '{{'s"];
    OpenQuote: At::Line, ["open-quote"], ["Unterminated quote {}", "Unmatched quote{}", "String '{}': missing terminating {}"];
    MissingParameter: At::Line, ["missing-value", "no-name", "repeated"],
        ["*** Configuration line starting `{}` is missing a parameter after keyword {}"];
    SurplusWords: At::Line, ["surplus-words"], ["Block {} has extra parameters {}"];
    IncludeMissing: At::Line, ["include-missing"], ["Config files missing '{}'."];
    EmptyBlock: At::Block, ["empty-block", "empty-group"], ["Warning - empty notification_email block", "Warning - sync group {} has empty group block"];
    // Bare numbers: the second of two messages on a line usually says which.
    Number: At::Line, ["bad-value", "out-of-range", "bad-option"],
        ["number '{}' outside {}", "invalid number '{}'", "negative number '{}'"];
    TooManyDecimals: At::Line, ["too-many-decimals"], ["number '{}' has too many decimal places"];
    // global_defs.
    GarpInterval: At::Line, ["bad-value", "out-of-range"],
        ["vrrp_garp_interval '{}' is invalid", "vrrp_gna_interval '{}' is invalid"];
    ProcessPriority: At::Line, ["bad-value", "out-of-range"],
        ["{} process real-time priority '{}' invalid", "{} process real-time priority {} greater than maximum {}",
         "{} process real-time priority {} less than minimum {}", "Invalid {} process priority specified"];
    Iptables: At::Line, ["instead-of-iptables", "deprecated"], ["iptables not supported, using nftables instead. {}"];
    SyncDaemonOption: At::Line, ["bad-value", "out-of-range", "bad-option"],
        ["Invalid lvs_sync_daemon {} ({}) - ignoring", "Invalid syncid ({}) - {}",
         "Unknown option {} specified for lvs_sync_daemon"];
    SmtpServer: At::Line, ["bad-value", "bad-address"], ["Invalid smtp server {}"];
    // Instances, with a line.
    AuthPass: At::Line, ["long-password"], ["Truncating auth_pass to 8 characters"];
    AuthTypeUnknown: At::Line, ["bad-value", "bad-option"], ["({}) unknown authentication type '{}'"];
    State: At::Line, ["bad-value"], ["({}) unknown state '{}', defaulting to BACKUP"];
    Priority: At::Line, ["bad-value", "out-of-range"], ["({}) Priority not valid! {}"];
    Vrid: At::Line, ["bad-value", "bad-vrid", "out-of-range"], ["({}): VRID '{}' not valid {}"];
    AdvertInterval: At::Line, ["bad-value", "out-of-range"], ["({}) Advert interval ({}) not valid! {}"];
    InterfaceName: At::Line, ["bad-value", "bad-name"], ["Interface name '{}' too long - ignoring"];
    Loopback: At::Line, ["bad-value", "loopback"], ["({}) cannot use a loopback interface ({}) for vrrp - ignoring"];
    InstanceTwice: At::Line, ["duplicate-name"], ["vrrp instance {o} already defined", "vrrp sync group {o} already defined"];
    InstanceName: At::Line, ["no-name", "surplus-words", "missing-value"], ["vrrp_instance must have a name", "vrrp_sync_group must have a name - skipping"];
    SourceAddress: At::Line, ["bad-address"],
        ["Configuration error: VRRP instance[{}] malformed src address[{}]. Skipping..."];
    PeerAddress: At::Line, ["bad-address"],
        ["Configuration error: VRRP instance[{}] malformed unicast peer address[{}]. Skipping..."];
    InvalidAddress: At::Line, ["bad-address", "bad-value", "bad-route", "bad-option"], ["VRRP parsed invalid IP {}. skipping IP..."];
    InvalidPrefix: At::Line, ["bad-address", "bad-value", "out-of-range", "bad-option"],
        ["Invalid address prefix len {} for address {} - using {}"];
    Ipv6Label: At::Line, ["bad-option", "ipv6-label", "no-effect"], ["Cannot specify label for IPv6 addresses ({}) - ignoring label"];
    NotifyTwice: At::Line, ["repeated", "already-set"], ["({}) {} script already specified - ignoring {}"];
    SyncDaemonDeprecated: At::Line, ["deprecated", "not-acted-on"],
        ["({}) Specifying lvs_sync_daemon_interface against a vrrp is deprecated.", "Please use global lvs_sync_daemon"];
    SyncDaemonTwice: At::Line, ["repeated", "already-set", "deprecated", "not-acted-on"],
        ["({}) lvs_sync_daemon_interface has already been specified as {} - ignoring"];
    GarpGroupTwice: At::Block, ["repeated", "duplicate-name", "already-set", "two-groups"],
        ["garp_group already specified for {o} - ignoring"];
    LinkbeatInterface: At::Line, ["no-interface", "bad-value"], ["unknown interface {o} specified for linkbeat interface"];
    VmacName: At::Line, ["vmac-name", "bad-value"],
        ["({}) interface {o} already exists and is not a private macvlan; ignoring vmac if_name"];
    UnicastVmac: At::Object, ["vmac-xmit-base"], ["({o}) unicast with use_vmac requires vmac_xmit_base - setting"];
    RouteWithoutInterface: At::Line, ["route-not-tracked", "no-interface", "no-effect"],
        ["Warning - cannot track route {} with no interface specified, not tracking"];
    RouteProtocol: At::Line, ["route-not-tracked", "route-protocol", "no-effect"],
        ["Route cannot be tracked if protocol is not RTPROT_KEEPALIVED({}), resetting protocol"];
    RouteValue: At::Line, ["bad-value", "bad-option", "out-of-range"], ["Invalid rtt {} for route"];
    UnknownTracker: At::Around, ["unknown-tracker", "unknown-script"],
        ["({}) track script {o} not found, ignoring...", "({}) track file {o} not found, ignoring...",
         "({}) track process {o} not found, ignoring...", "({}) track bfd {o} not found, ignoring...",
         "track_file {o} not found"];
    TrackOption: At::Line, ["bad-option", "surplus-words"], ["({}) unknown track script option {} - ignoring", "({}) unknown track_interface {} option {} - ignoring"];
    // Instances, when all is read.
    NoVip: At::Object, ["no-address"], ["({o}) No VIP specified; {}"];
    NoVrid: At::Object, ["bad-vrid", "incomplete-instance"], ["({o}) the virtual router id must be set"];
    NoInterface: At::Object, ["incomplete-instance", "loopback", "missing-value"], ["({o}) Unknown interface!"];
    NopreemptMaster: At::Object, ["nopreempt-ignored"],
        ["({o}) Warning - nopreempt will not work with initial state MASTER - clearing",
         "({o}) nopreempt is incompatible with priority 255. {}"];
    PreemptDelay: At::Object, ["preempt-delay-ignored"],
        ["({o}) Warning - preempt delay will not work with initial state MASTER - clearing",
         "({o}) preempt_delay is incompatible with {} mode - resetting"];
    OwnInterface: At::Object, ["own-interface"], ["({o}) Ignoring track_interface {o} since own interface"];
    TrackedTwice: At::Object, ["tracked-twice"],
        ["({o}) track_interface {o} is configured on VRRP instance and sync group. {}"];
    MasterOwner: At::Object, ["strict:state", "state-priority"], ["({o}) State MASTER must match being address owner"];
    StrictAuth: At::Object, ["strict:authentication", "auth-v3"], ["({o}) Strict mode does not support authentication. Ignoring."];
    AuthV3: At::Object, ["auth-v3"], ["({o}) VRRP version {} does not support authentication. Ignoring."];
    AuthNoPass: At::Object, ["incomplete-auth"], ["({o}) Authentication specified but no password given. Ignoring"];
    UnicastNoPeers: At::Object, ["unicast-without-peers"], ["({o}) A unicast keyword has been specified without any unicast peers. {}"];
    OwnerWeight: At::Object, ["owner-weight"],
        ["({o}) ignoring tracked script {o} with weights due to address_owner",
         "({o}) ignoring tracked file {o} with weight {} due to address_owner",
         "({o}) ignoring {o} tracked interface due to address owner"];
    PromoteSecondaries: At::Object, ["no-effect"], ["({o}) promote_secondaries is automatically set for vmacs - ignoring"];
    SyncOne: At::Object, ["single-member"], ["Sync group {o} has only {} virtual router(s) - this probably isn't what you want"];
    SyncNone: At::Object, ["empty-group"], ["Sync group {o} has no virtual router(s). removing",
         "Sync group {o}, no matching virtual router found in group declaration - removing"];
    SyncUnknown: At::Object, ["unknown-instance"], ["Virtual router {o} specified in sync group {o} doesn't exist - ignoring"];
    VmacWithoutInterface: At::Object, ["incomplete-instance", "vmac-xmit-base"],
        ["({o}): Cannot use VMAC/ipvlan with unicast and no interface - clearing use_vmac"];
    // Trackers.
    NoScript: At::Object, ["no-command"], ["No script set for vrrp_script {o} - removing"];
    ScriptNumber: At::Line, ["bad-value", "out-of-range", "bad-option"],
        ["({}): vrrp script {} '{}' must be between {}", "({}): vrrp script {} value '{}' invalid, defaulting to {}",
         "vrrp_script {} weight {} must be in {}", "({}): vrrp script {} must be greater than 0, setting to 1"];
    NoFile: At::Object, ["no-file"], ["No file set for track_file {o} - ignoring"];
    NoNeighbour: At::Object, ["no-neighbour"], ["Configuration error: BFD instance {o} has no neighbor address set, disabling instance"];
    // Virtual servers, with a line.
    ServerAddress: At::Line, ["bad-address", "bad-port", "bad-value"],
        ["Invalid virtual server IP address/port {} - skipping", "Invalid real server ip address/port {} - skipping"];
    SchedulerUnknown: At::Line, ["bad-value"], ["Invalid lvs_scheduler '{}' - ignoring"];
    MethodUnknown: At::Line, ["bad-value"], ["PARSER : unknown [{}] routing method for {} server."];
    Persistence: At::Line, ["bad-value", "out-of-range"], ["persistence_timeout invalid"];
    Granularity: At::Line, ["bad-value", "out-of-range", "bad-address"], ["Invalid {} persistence_granularity specified - {}"];
    QuorumValue: At::Line, ["bad-value", "out-of-range"], ["Quorum {} must be in {}"];
    Retired: At::Line, ["deprecated"], ["nb_get_retry is deprecated - please use 'retry'"];
    CheckAddress: At::Line, ["bad-address"], ["Invalid bindto address {} - ignoring", "Invalid connect_ip address {} - ignoring"];
    CheckPort: At::Line, ["bad-port", "bad-value", "out-of-range"], ["Invalid checker connect_port '{}'", "Invalid checker bind_port '{}'"];
    CheckNumber: At::Line, ["bad-value", "out-of-range", "bad-option"],
        ["Invalid retry connection value {}", "connect_timeout {} invalid - ignoring"];
    Digest: At::Line, ["bad-value"], ["digest '{}' character length should be 32 rather than {}"];
    FileCheckWithoutFile: At::Block, ["no-file", "unknown-tracker"], ["FILE_CHECK has no track_file specified - ignoring"];
    SslTwice: At::Line, ["repeated", "already-set"], ["SSL {} already specified - replacing"];
    // Virtual servers, when all is read.
    NoProtocol: At::Object, ["no-protocol"], ["Virtual server {o}: no protocol set - defaulting to UDP"];
    MarkProtocol: At::Object, ["mark-protocol"], ["Warning: Virtual server {o}: protocol specified for fwmark - protocol will be ignored"];
    NoScheduler: At::Object, ["no-scheduler"], ["Virtual server {o}: no scheduler set, setting default '{}'"];
    NoMethod: At::Object, ["no-method"], ["Virtual server {o}: no forwarding method set, setting default NAT"];
    Ports: At::Object, ["port-mapping"],
        ["WARNING - virtual server {o} and real server {o} ports don't match - resetting",
         "virtual server {o} and real server {o} ports don't match"];
    MarkPort: At::Object, ["mark-port"],
        ["WARNING - fwmark virtual server {o}, real server {o} has port specified - {}"];
    Quorum: At::Object, ["quorum-unreachable"], ["Warning - quorum {} for {o} exceeds total weight of real servers {}"];
    Hysteresis: At::Object, ["hysteresis-too-wide"], ["Virtual server {o}: hysteresis {} >= quorum {}; {}"];
    NoRealServer: At::Object, ["no-real-server"], ["Virtual server {o} has no real servers - ignoring"];
    RealServerTwice: At::Object, ["duplicate-server"], ["VS {o}: real server {o} is duplicated - removing second rs"];
    ZeroPort: At::Object, ["any-port"], ["Virtual server {o}: zero port only valid for persistent services - setting"];
    // Small files only.
    Rounded: At::Object, ["rounded", "out-of-range"],
        ["({o}) VRRPv2 advertisement interval {} must be an integer. rounding",
         "({o}) VRRPv3 advertisement interval {} is out of range. {}"];
    SyncWeight: At::Object, ["weight-without-effect", "sync-weight"],
        ["({o}) ignoring tracked script {o} with weights due to SYNC group"];
    MulticastAndUnicast: At::Object, ["no-effect"], ["({o}) multicast destination specified with unicast - ignoring"];
    FirstIpv6Address: At::Object, ["strict:link-local", "first-vip"], ["({o}) the first IPv6 VIP address must be link local"];
    VmacXmitBase: At::Object, ["no-effect", "vmac-xmit-base"], ["({o}) vmac_xmit_base is only valid with a vmac"];
    Ipvlan: At::Object, ["ipvlan-source"], ["({o}) IPv4 ipvlan requires a source ip address to be configured. {}"];
    AcceptV2: At::Object, ["strict:accept"], ["({o}) warning - accept mode for VRRP version 2 {}"];
    SyncOwners: At::Object, ["mixed-owners"], ["Sync group {o} has some member(s) as address owner and some not {}"];
    TwoGroups: At::Object, ["two-groups"], ["Virtual router {o} cannot exist in more than one sync group; ignoring {}"];
    VridTwice: At::Object, ["duplicate-vrid"], ["{o} and {o} both use VRID {} with {} on interface {}"];
    OnePacket: At::Object, ["ops-protocol", "no-effect"], ["Virtual server {o}: one packet scheduling requires UDP - resetting"];
    SorryPort: At::Object, ["port-mapping"], ["WARNING - virtual server {o} and sorry server ports don't match - resetting"];
    EmptyServerGroup: At::Object, ["empty-group"], ["virtual server group {o} has no entries - removing"];
    TrackerTwice: At::Around, ["repeated", "duplicate-tracker"], ["({}) duplicate track_{} {o} - ignoring"];
    ServerFamily: At::Object, ["other-family"],
        ["Address family of virtual server and {} server {o} don't match - skipping {}"];
    Family: At::Around, ["other-family", "bad-value"],
        ["{}MUST be of the same family{}", "({}): address family must match VRRP instance [{o}] - ignoring",
         "bindto address {} does not match address family of connect_ip - skipping",
         "Cannot mix IPv4 and IPv6 addresses for route", "rule specification has mixed IPv4 and IPv6",
         "Virtual server specified family {} conflicts with server family"];
    BfdFamily: At::Block, ["other-family"], ["Configuration error: BFD instance {o} source address {} and neighbor {}"];
    BfdTwice: At::Line, ["duplicate-name", "duplicate-neighbour"],
        ["BFD {} already specified", "Configuration error: BFD instance {} already configured - ignoring"];
    BfdNeighbourTwice: At::Block, ["duplicate-neighbour"], ["Configuration error: BFD instance {o} has duplicate neighbor address {}"];
    RulePreference: At::Line, ["no-preference"], ["Rule has no preference specified - setting to {}"];
    RuleAction: At::Line, ["no-action", "bad-value"], ["No action specified for rule - ignoring"];
    AlreadySet: At::Line, ["repeated", "already-set", "duplicate-name", "bad-value"],
        ["{} already specified - ignoring{}", "{} already specified", "Duplicate {} definition {} - ignoring",
         "{} has already been specified as {} - ignoring", "SNMP socket already set to {} - ignoring", "track_group {} already defined"];
    Deprecated: At::Line, ["deprecated", "not-acted-on"],
        ["Keyword \"{}\" is deprecated {}", "({}) global_tracking is deprecated. {}", "({}) 'linkbeat_use_polling' in {}",
         "Please use keyword \"id\" before {}"];
    NoProcess: At::Block, ["no-process", "no-command"], ["track process '{o}' process name not specified"];
    NoCheckCommand: At::Block, ["no-command", "no-path"], ["No script path has been specified for MISC_CHECKER - skipping"];
    BfdCheck: At::Block, ["unknown-tracker", "no-name"],
        ["({}) No name has been specified for BFD_CHECKER - skipping", "({}) BFD_CHECK - BFD {} not configured"];
    QuorumMax: At::Block, ["bad-value", "out-of-range", "quorum-max"], ["quorum_max is less than quorum - ignoring"];
    ReplyLength: At::Block, ["bad-value", "out-of-range"], ["UDP_CHECK min_reply length {} - will always fail"];
    GarpGroupEmpty: At::Block, ["no-effect", "incomplete-group"], ["garp group {} does not have any delay set - removing"];
    UnicastTtl: At::Block, ["unicast-without-peers", "no-effect"], ["({}): Cannot use unicast_ttl without unicast peers - resetting"];
    SorryInhibit: At::Line, ["no-effect", "sorry-inhibit"], ["Ignoring sorry_server inhibit used before or without sorry_server"];
    SchedulerFlag: At::Line, ["sh-port", "sh-fallback", "mh-port", "mh-fallback", "no-effect"], ["{} only applies to {} scheduler - ignoring"];
    NameTaken: At::Line, ["vmac-name", "bad-value"], ["({}) VRRP instance {} is already using {} - ignoring name", "VMAC interface name {}", "VMAC MAC address {}"];
    UnknownTrackGroup: At::Line, ["unknown-group", "unknown-tracker"], ["track_group {} not found"];
    // Scripts as root.
    ScriptSecurity: At::File, ["script-security"],
        ["SECURITY VIOLATION - {}scripts are being executed but script_security not enabled.{}"];
    // Of the machine.
    InterfaceMissing: At::Line, ["no-interface"],
        ["WARNING - interface {o} for vrrp_instance {} doesn't exist"];
    ElementInterface: At::Around, ["no-interface"],
        ["WARNING - interface {o} for ip address {} doesn't exist", "WARNING - interface {o} for VROUTE nexthop doesn't exist",
         "WARNING - interface {o} for rule doesn't exist", "({}) tracked interface {o} doesn't exist"];
    GarpGroupInterface: At::Block, ["no-interface"], ["WARNING - interface {o} specified for garp_group doesn't exist"];
    InterfaceMissingSummary: SUMMARY, [], ["Non-existent interface specified in configuration"];
    ScriptMissing: HOST, [], ["Disabling track script {o} since not found/accessible"];
    ScriptUser: HOST, [],
        ["Unable to set uid/gid for script{}", "Unable to set default user for vrrp script {o} - removing",
         "Unable to set default user{}", "Failed to set uid/gid for misc checker script {}", "Error setting global script uid/gid"];
    // What is left are values that keepalived refuses, in many words.
    Refused: At::Line, ["bad-value", "out-of-range", "bad-option", "bad-address", "bad-port", "bad-name", "surplus-words", "missing-value", "no-effect", "bad-rule", "bad-route", "bad-sequence", "open-quote", "no-interface"],
        ["{}nvalid{}", "{} must be {}", "{}nknown {}", "{} is missing a value", "{} without value {}", "{} too l{}", "{} longer than {}",
         "{}Cannot specify {}", "Can't parse {}", "No {} parameter specified for {}", "{} not multicast{}", "{} is not multicast{}",
         "{} is not valid{}", "{} not valid{}", "{} is outside range{}", "{} malformed {}", "Address range end {}", "extra characters {}",
         "{} process name not specified", "gue tunnels require port{}", "{} name missing{}", "{} truncating", "{}unable to interpret{}",
         "Unable to interpret hex digit {}"];
}

/// The parts of a text that the holes of a pattern stand for: (marked as object, text). `{{` is a plain brace.
pub(crate) fn captures<'t>(pattern: &str, text: &'t str) -> Option<Vec<(bool, &'t str)>> {
    let mut holes = Vec::new();
    let mut rest = text;
    let mut pattern = pattern;
    let mut open: Option<bool> = None;
    loop {
        let (literal, hole, next) = next_part(pattern);
        // The last literal is at the end of the text; the others where they come first.
        let at = match (open, hole, literal.is_empty()) {
            (None, ..) => rest.starts_with(literal.as_str()).then_some(0)?,
            (Some(_), None, true) => rest.len(),
            (Some(_), None, false) => rest.ends_with(literal.as_str()).then(|| rest.len() - literal.len())?,
            (Some(_), Some(_), _) => rest.find(literal.as_str())?,
        };
        if let Some(object) = open {
            holes.push((object, rest.get(..at)?));
        }
        rest = rest.get(at + literal.len()..)?;
        match hole {
            Some(object) => open = Some(object),
            None => return rest.is_empty().then_some(holes),
        }
        pattern = next;
    }
}

/// The literal before the next hole, whether that hole is an object, and what follows it.
fn next_part(pattern: &str) -> (String, Option<bool>, &str) {
    let mut literal = String::new();
    let mut rest = pattern;
    loop {
        let Some(at) = rest.find('{') else {
            literal.push_str(rest);
            return (literal, None, "");
        };
        let (before, after) = rest.split_at(at);
        literal.push_str(before);
        for (hole, object) in [("{}", false), ("{o}", true)] {
            if let Some(next) = after.strip_prefix(hole) {
                return (literal, Some(object), next);
            }
        }
        literal.push('{');
        rest = after.strip_prefix("{{").unwrap_or(&after[1..]);
    }
}

#[test]
fn patterns_find_what_varies() {
    let text = "VS [10.0.0.1]:tcp:80: real server [10.0.0.2]:tcp:80 is duplicated - removing second rs";
    let found = captures("VS {o}: real server {o} is duplicated - {}", text);
    let object = |text| (true, text);
    assert_eq!(
        found,
        Some(vec![object("[10.0.0.1]:tcp:80"), object("[10.0.0.2]:tcp:80"), (false, "removing second rs")])
    );
    assert_eq!(captures("Unexpected '{{' - ignoring", "Unexpected '{' - ignoring"), Some(vec![]));
    assert_eq!(captures("Extra '}' found", "Extra '}' found here"), None);
    assert_eq!(captures("Unknown keyword '{o}'", "Unknown keyword '}'"), Some(vec![object("}")]));
    assert_eq!(captures("a{}", "b"), None);
}
