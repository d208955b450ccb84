//! `global_defs` and the settings at the root of a file.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::object::object;
use super::{Command, ExtraInterfaces, Fifo, ScriptUser, SmtpServer, VrrpVersion, is_default};
use crate::config::units::Secs;

/// `lvs_flush_on_stop [VS]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FlushOnStop {
    /// The whole table, entries of others included.
    All,
    /// Own services, in one message each.
    Vs,
}

/// `lvs_timeouts tcp N tcpfin N udp N`, seconds (0..=31 days).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LvsTimeouts {
    /// Established TCP connections; the kernel's default is 900.
    #[serde(skip_serializing_if = "is_default")]
    pub tcp: Option<u32>,
    /// After a FIN; 120.
    #[serde(skip_serializing_if = "is_default")]
    pub tcpfin: Option<u32>,
    /// UDP; 300.
    #[serde(skip_serializing_if = "is_default")]
    pub udp: Option<u32>,
}

/// `lvs_sync_daemon IF [[inst] VRRP_INST] [id N] [maxlen N] [port N] [ttl N] [group MCAST]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyncDaemon {
    /// Interface of the multicast messages.
    pub interface: String,
    /// Master daemon while this instance is MASTER, backup daemon while it is BACKUP; without one both run always.
    #[serde(default, skip_serializing_if = "is_default")]
    pub instance: Option<String>,
    /// 0..=255; default the VRID of the instance, or 0.
    #[serde(default, skip_serializing_if = "is_default")]
    pub id: Option<u8>,
    /// Longest message, 1..=65507 bytes.
    #[serde(default, skip_serializing_if = "is_default")]
    pub maxlen: Option<u16>,
    /// UDP port; default 8848.
    #[serde(default, skip_serializing_if = "is_default")]
    pub port: Option<u16>,
    /// Default 1.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ttl: Option<u8>,
    /// Multicast group; default 224.0.0.81.
    #[serde(default, skip_serializing_if = "is_default")]
    pub group: Option<IpAddr>,
}

impl SyncDaemon {
    /// One of which nothing but the interface is written.
    pub fn on(interface: impl Into<String>) -> Self {
        let interface = interface.into();
        Self { interface, instance: None, id: None, maxlen: None, port: None, ttl: None, group: None }
    }
}

object! {
    /// `global_defs`.
    #[derive(Default)]
    #[serde(default)]
    Global {
        ;
        /// Name of this director in mails. Default: the host name. Not part of any packet.
        router_id: Option<String>,
        /// Recipients of alerts.
        notification_email: Vec<String>,
        /// Sender of alerts.
        notification_email_from: Option<String>,
        /// Mail relay, `HOST [PORT]`.
        smtp_server: Option<SmtpServer>,
        /// Name said in HELO.
        smtp_helo_name: Option<String>,
        /// Time to connect to the relay; default 30 s.
        smtp_connect_timeout: Option<Secs>,
        /// Mail only over STARTTLS, with a certificate that is good for the relay's name. Beyond keepalived. Default: on
        /// with `smtp_login`, else off.
        smtp_starttls: Option<bool>,
        /// PEM file with authorities that may vouch for the relay, besides the system's. Beyond keepalived.
        smtp_tls_ca: Option<String>,
        /// User name at the relay. Beyond keepalived.
        smtp_login: Option<String>,
        /// Its password: the words themselves, or `file:PATH` of a file with it. Beyond keepalived.
        smtp_password: Option<super::Secret>,
        /// After a mail, events are collected for so long into one mail, longer and longer while they keep coming, up to
        /// 300 s; 0 = a mail for each event, as keepalived does. Beyond keepalived. Default 10 s.
        smtp_digest: Option<Secs>,
        /// Default of every `smtp_alert`.
        smtp_alert: Option<bool>,
        /// Default of `smtp_alert` in VRRP objects.
        smtp_alert_vrrp: Option<bool>,
        /// Default of `smtp_alert` in real and virtual servers.
        smtp_alert_checker: Option<bool>,
        /// No mail for the FAULT state.
        no_email_faults: bool,
        /// Log every failed check, not only the transition.
        checker_log_all_failures: Option<bool>,
        /// Default `share` of all checkers: equal ones run once and count for all; on when absent. Beyond keepalived.
        checker_share: Option<bool>,
        /// Run before anything else starts.
        startup_script: Option<Command>,
        /// How long it may take, 1..=1000 s; default 10 s.
        startup_script_timeout: Option<Secs>,
        /// Run after everything else has ended.
        shutdown_script: Option<Command>,
        /// How long it may take, 1..=1000 s; default 10 s.
        shutdown_script_timeout: Option<Secs>,
        /// User that scripts run as. Default: `keepalived_script` if that user exists, else the daemon's own.
        script_user: Option<ScriptUser>,
        /// Refuse scripts that run as root and can be changed by others.
        enable_script_security: bool,
        /// Run a script by the path as written, with its symbolic links.
        use_symlink_paths: Option<bool>,
        /// Give scripts the supplementary groups of their user.
        set_supplementary_groups: Option<bool>,
        /// Mask of created files, as a number (in keepalived.conf octal or names of bits); default 0177.
        umask: Option<u16>,
        /// Processes have names of their own.
        process_names: Option<bool>,
        /// Name of the first process, at most 15 characters.
        process_name: Option<String>,
        /// Name of the VRRP process.
        vrrp_process_name: Option<String>,
        /// Name of the checker process.
        checker_process_name: Option<String>,
        /// Name of the BFD process.
        bfd_process_name: Option<String>,
        /// Seed of what is random (start offsets of checks, `${_RANDOM}`).
        random_seed: Option<u32>,

        /// Device of addresses that name none; default `eth0`.
        default_interface: Option<String>,
        /// Interfaces need not exist at start, and may come and go. Tandem always works so.
        dynamic_interfaces: bool,
        /// An interface may come back as one of another type.
        allow_if_changes: bool,
        /// Do not join multicast groups locally.
        disable_local_igmp: bool,
        /// Default VRRP version of IPv4 instances; 2 when absent.
        vrrp_version: Option<VrrpVersion>,
        /// Multicast group of IPv4 adverts; default 224.0.0.18.
        vrrp_mcast_group4: Option<Ipv4Addr>,
        /// Multicast group of IPv6 adverts; default ff02::12.
        vrrp_mcast_group6: Option<Ipv6Addr>,
        /// Strict RFC behaviour; `tandem check` explains what it costs.
        vrrp_strict: Option<bool>,
        /// Skip the comparison of address lists for repeated adverts of one master. Tandem never drops an advert for
        /// its address list.
        vrrp_skip_check_adv_addr: Option<bool>,
        /// Drop unicast adverts whose sender is no configured peer.
        vrrp_check_unicast_src: bool,
        /// Time to the second burst of announcements; default 5 s, 0 = no second burst.
        vrrp_garp_master_delay: Option<Secs>,
        /// Packets a burst; default 5, at least 1.
        vrrp_garp_master_repeat: Option<u32>,
        /// Period of announcements while master; default 0 = off.
        vrrp_garp_master_refresh: Option<Secs>,
        /// Packets each period; default 1.
        vrrp_garp_master_refresh_repeat: Option<u32>,
        /// Second burst after a lower-priority advert; default `vrrp_garp_master_delay`.
        vrrp_garp_lower_prio_delay: Option<Secs>,
        /// Packets of that burst; default `vrrp_garp_master_repeat`.
        vrrp_garp_lower_prio_repeat: Option<u32>,
        /// Least time between two gratuitous ARPs on one interface.
        vrrp_garp_interval: Option<Secs>,
        /// The same for neighbour advertisements.
        vrrp_gna_interval: Option<Secs>,
        /// One announcement, no second burst.
        vrrp_min_garp: Option<bool>,
        /// Announce on further interfaces.
        vrrp_garp_extra_if: Option<ExtraInterfaces>,
        /// Intervals in the master-down timer, 1..=100; default 3.
        vrrp_down_timer_adverts: Option<u8>,
        /// A master stays silent when it hears a lower priority.
        vrrp_lower_prio_no_advert: Option<bool>,
        /// A master that yields to a higher priority sends one last advert.
        vrrp_higher_prio_send_advert: Option<bool>,
        /// An owner (255) ignores all adverts.
        vrrp_owner_ignore_adverts: Option<bool>,
        /// Tell scripts and FIFOs of changed priorities.
        vrrp_notify_priority_changes: Option<bool>,
        /// Version 3 checksum over IPv4 without pseudo header.
        v3_checksum_as_v2: bool,
        /// Chains of iptables for `no_accept`: `[IN [OUT]]`. Old: use `nftables`.
        vrrp_iptables: Option<Vec<String>>,
        /// Names of ipsets, or `off`. Old: use `nftables`.
        vrrp_ipsets: Option<Vec<String>>,
        /// Name of the nftables table: `keepalived` for the bare word; without the word it is `tandem`.
        nftables: Option<String>,
        /// Priority of its chains; default -1.
        nftables_priority: Option<i32>,
        /// Match interfaces by index.
        nftables_ifindex: bool,
        /// Count packets in the rules.
        nftables_counters: bool,
        /// After start ignore adverts and stay out of elections for so long.
        vrrp_startup_delay: Option<Secs>,
        /// The same, counted from the start of the machine.
        vrrp_delay_after_boot: Option<Secs>,
        /// Highest real-time priority that may be taken when timers are late, -1..=99; 0 = never.
        max_auto_priority: Option<i8>,
        /// Lateness that makes it take one step, microseconds; default 1000000.
        min_auto_priority_delay: Option<u32>,
        /// Log adverts of VRIDs that nobody here has.
        log_unknown_vrids: bool,
        /// Prefix of VMAC interface names; default `vrrp`.
        vmac_prefix: Option<String>,
        /// First octets of VMAC addresses; default 00:00:5e:00.
        vmac_addr_prefix: Option<String>,
        /// Receive buffer: `MTU`, `ADVERT` or bytes.
        vrrp_rx_bufs_policy: Option<String>,
        /// How many of these, at least 1; default 3.
        vrrp_rx_bufs_multiplier: Option<u32>,
        /// Netlink buffer of requests, bytes.
        vrrp_netlink_cmd_rcv_bufs: Option<u32>,
        /// Beyond the kernel's limit.
        vrrp_netlink_cmd_rcv_bufs_force: Option<bool>,
        /// Netlink buffer of events, bytes.
        vrrp_netlink_monitor_rcv_bufs: Option<u32>,
        /// Beyond the kernel's limit.
        vrrp_netlink_monitor_rcv_bufs_force: Option<bool>,
        /// Write all states to the FIFO again after a reload.
        fifo_write_vrrp_states_on_reload: bool,

        /// IPVS timeouts.
        lvs_timeouts: Option<LvsTimeouts>,
        /// Empty the IPVS table at start.
        lvs_flush: bool,
        /// Empty the IPVS table at stop.
        lvs_flush_on_stop: Option<FlushOnStop>,
        /// Connection synchronisation.
        lvs_sync_daemon: Option<SyncDaemon>,
        /// Set the kernel settings that a director of these services needs, and put them back at stop; default off: they
        /// are reported.
        director_sysctl: Option<bool>,
        /// Group that may use the control socket beside root; default: nobody else. Beyond keepalived.
        control_group: Option<String>,
        /// Address and port where the status, metrics, events and the page can be read; default: nowhere. Beyond keepalived.
        status_listen: Option<std::net::SocketAddr>,
        /// File with the token that readers must send; mode 600 or 640. Beyond keepalived.
        status_token_file: Option<String>,
        /// Subnets that readers may come from; default: from everywhere with a token, else from this machine. Beyond keepalived.
        status_allow: Vec<crate::config::units::Prefix>,
        /// Where the other director of the pair is asked how it is configured; default: nobody is. Beyond keepalived.
        pair_peer: Option<super::PairPoint>,
        /// Where the other director may ask; default: nowhere. Beyond keepalived.
        pair_listen: Option<super::PairPoint>,
        /// File with the key of the pair, the same on both; mode 600 or 640. Beyond keepalived.
        pair_key_file: Option<String>,
        /// The other director may change weights, drain, disable and enable real servers here; default: it may only compare.
        /// Beyond keepalived.
        pair_accept_changes: Option<bool>,
        /// Where overrides of the running daemon are kept; default `/var/lib/tandem`. Beyond keepalived.
        state_directory: Option<String>,
        /// File that `--persist` writes; default `overrides.conf` beside the configuration. Beyond keepalived.
        override_file: Option<String>,
        /// Netlink buffer of requests, bytes.
        lvs_netlink_cmd_rcv_bufs: Option<u32>,
        /// Beyond the kernel's limit.
        lvs_netlink_cmd_rcv_bufs_force: Option<bool>,
        /// Netlink buffer of events, bytes.
        lvs_netlink_monitor_rcv_bufs: Option<u32>,
        /// Beyond the kernel's limit.
        lvs_netlink_monitor_rcv_bufs_force: Option<bool>,
        /// Table of sets for address ranges; default `keepalived_ipvs`.
        nftables_ipvs: Option<String>,
        /// Priority of its chains.
        nftables_ipvs_priority: Option<i32>,
        /// First firewall mark that is handed out, at least 1; default 1000.
        nftables_ipvs_start_fwmark: Option<u32>,
        /// Run real server scripts for the first state too.
        rs_init_notifies: Option<bool>,
        /// Age of virtual server counters for SNMP, 0.001..=30 s; default 5 s.
        snmp_vs_stats_update_interval: Option<Secs>,
        /// Age of real server counters, 0.001..=30 s; default 0.
        snmp_rs_stats_update_interval: Option<Secs>,

        /// Nice value, -20..=19.
        vrrp_priority: Option<i8>,
        /// Nice value, -20..=19.
        checker_priority: Option<i8>,
        /// Nice value, -20..=19.
        bfd_priority: Option<i8>,
        /// Lock its memory.
        vrrp_no_swap: bool,
        /// Lock its memory.
        checker_no_swap: bool,
        /// Lock its memory.
        bfd_no_swap: bool,
        /// Real-time priority, 1..=99.
        vrrp_rt_priority: Option<u8>,
        /// Real-time priority, 1..=99.
        checker_rt_priority: Option<u8>,
        /// Real-time priority, 1..=99.
        bfd_rt_priority: Option<u8>,
        /// Processors that it may use.
        vrrp_cpu_affinity: Vec<u32>,
        /// Processors that it may use.
        checker_cpu_affinity: Vec<u32>,
        /// Processors that it may use.
        bfd_cpu_affinity: Vec<u32>,
        /// Longest real-time run without a pause, microseconds, at least 2; default 10000.
        vrrp_rlimit_rttime: Option<u32>,
        /// The same.
        checker_rlimit_rttime: Option<u32>,
        /// The same.
        bfd_rlimit_rttime: Option<u32>,
        /// Buffer of process events, bytes.
        process_monitor_rcv_bufs: Option<u32>,
        /// Beyond the kernel's limit.
        process_monitor_rcv_bufs_force: Option<bool>,
        /// Pipe that all events are written to.
        notify_fifo: Option<Fifo>,
        /// Program that reads it.
        notify_fifo_script: Option<Command>,
        /// Pipe of VRRP events.
        vrrp_notify_fifo: Option<Fifo>,
        /// Program that reads it.
        vrrp_notify_fifo_script: Option<Command>,
        /// Pipe of real and virtual server events.
        lvs_notify_fifo: Option<Fifo>,
        /// Program that reads it.
        lvs_notify_fifo_script: Option<Command>,
        /// AgentX socket.
        snmp_socket: Option<String>,
        /// KEEPALIVED-MIB, VRRP part.
        enable_snmp_vrrp: bool,
        /// RFC 2787 and RFC 6527 MIBs.
        enable_snmp_rfc: bool,
        /// RFC 2787 MIB.
        enable_snmp_rfcv2: bool,
        /// RFC 6527 MIB.
        enable_snmp_rfcv3: bool,
        /// KEEPALIVED-MIB, checker part.
        enable_snmp_checker: bool,
        /// SNMP traps.
        enable_traps: bool,
        /// D-Bus interface.
        enable_dbus: bool,
        /// Its name; default org.keepalived.Vrrp1.
        dbus_service_name: Option<String>,
        /// Path part of instances without interface; default `none`.
        dbus_no_interface_name: Option<String>,
        /// Check a new file before a reload, and log to this file. Tandem always checks.
        reload_check_config: Option<String>,
        /// File with the time of the next reload.
        reload_time_file: Option<String>,
        /// Repeat it daily.
        reload_repeat: bool,
        /// File that exists while a reload is under way.
        reload_file: Option<String>,
        /// Folder that keeps each configuration read.
        config_save_dir: Option<String>,
        /// Folder of the merged copy while it is read.
        tmp_config_directory: Option<String>,
        /// Put the instance's name into names of dump files.
        data_use_instance: Option<bool>,
        /// Path of the state dump.
        state_dump_file: Option<String>,
        /// Path of the counters' dump.
        stats_dump_file: Option<String>,
        /// Path of the JSON dump.
        json_dump_file: Option<String>,
        /// Shape of the JSON dump, 1 or 2.
        json_version: Option<u8>,
        /// Where rt_tables and the like are read.
        iproute_usr_dir: Option<String>,
        /// Where rt_tables and the like are read first.
        iproute_etc_dir: Option<String>,
    }
}

object! {
    /// One line of `linkbeat_interfaces`: `IF [MII|ETHTOOL|IOCTL]`.
    Linkbeat {
        /// The interface.
        interface: String,
        ;
        /// How its carrier is asked for.
        method: Option<LinkbeatMethod>,
    }
}

/// How a carrier is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "the kernel's own names")]
pub enum LinkbeatMethod {
    Mii,
    Ethtool,
    Ioctl,
}

object! {
    /// One line of `interface_up_down_delays`: `IF DOWN [UP]`, each 0..=255 s.
    UpDownDelay {
        /// The interface.
        interface: String,
        /// How long it must be down to count as down.
        down: Secs,
        ;
        /// How long it must be up to count as up; default 0.
        up: Option<Secs>,
    }
}

object! {
    /// `SSL`: what SSL_GET shows of us.
    #[derive(Default)]
    #[serde(default)]
    Ssl {
        ;
        /// Password of the key.
        password: Option<super::Secret>,
        /// File with certificate authorities.
        ca: Option<String>,
        /// File with our certificate.
        certificate: Option<String>,
        /// File with its key.
        key: Option<String>,
    }
}
