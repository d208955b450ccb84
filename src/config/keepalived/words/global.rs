//! `global_defs`.

use crate::config::keepalived::form::{
    Capped, Choice, Flag, FlagSwitch, IPV4, IPV6, LONGEST, Number, Packets, Seconds, Short, Switch, Text,
    TextOr, WholeSeconds,
};
use crate::config::keepalived::forms::{Cmd, ExtraIf, Names, Numbers, Pipe, User, Words};
use crate::config::keepalived::keyword::{Block, Table, keywords, origin};
use crate::config::keepalived::reader::Reader;
use crate::config::keepalived::tree::Node;
use crate::config::model::{Global, VrrpVersion};

use super::global_forms::{
    AutoPriority, BufferPolicy, Dynamic, Flush, IncludeCheck, NoCheckerEmails, Octets, Relay, SecretText,
    Spacing, Synchronised, Timeouts, Umask,
};
use super::pair_forms::End;
use super::status_forms::{LISTEN, Subnets};

#[cfg(test)]
use crate::config::keepalived::sample::Sampler;

pub(super) const VERSION: Choice<VrrpVersion> =
    Choice(&[("2", VrrpVersion::V2), ("3", VrrpVersion::V3)], "the line is passed over");

const GLOBAL: Table<Global> = keywords! { Global:
    "router_id" => { router_id: Text };
    "notification_email" => { notification_email: Names };
    "notification_email_from" => { notification_email_from: Text };
    "smtp_server" => { smtp_server: Relay };
    "smtp_helo_name" => { smtp_helo_name: Text };
    "smtp_connect_timeout" => { smtp_connect_timeout: Seconds(0.0, LONGEST) };
    "smtp_starttls" => { smtp_starttls: Switch };
    "smtp_tls_ca" => { smtp_tls_ca: Text };
    "smtp_login" => { smtp_login: Text };
    "smtp_password" => { smtp_password: SecretText };
    "smtp_digest" => { smtp_digest: Seconds(0.0, 300.0) };
    "smtp_alert" => { smtp_alert: Switch };
    "smtp_alert_vrrp" => { smtp_alert_vrrp: Switch };
    "smtp_alert_checker" => { smtp_alert_checker: Switch };
    "no_checker_emails" => { * NoCheckerEmails };
    "no_email_faults" => { no_email_faults: Flag };
    "checker_log_all_failures" => { checker_log_all_failures: Switch };
    "checker_share" => { checker_share: Switch };
    "startup_script" => { startup_script: Cmd };
    "startup_script_timeout" => { startup_script_timeout: WholeSeconds(1, 1000) };
    "shutdown_script" => { shutdown_script: Cmd };
    "shutdown_script_timeout" => { shutdown_script_timeout: WholeSeconds(1, 1000) };
    "script_user" => { script_user: User };
    "enable_script_security" => { enable_script_security: FlagSwitch };
    "use_symlink_paths" => { use_symlink_paths: Switch };
    "set_supplementary_groups" => { set_supplementary_groups: Switch };
    "umask" => { umask: Umask };
    "process_names" => { process_names: Switch };
    "process_name" => { process_name: Short(15) };
    "vrrp_process_name" => { vrrp_process_name: Short(15) };
    "checker_process_name" ~ "lvs_process_name" => { checker_process_name: Short(15) };
    "bfd_process_name" => { bfd_process_name: Short(15) };
    "random_seed" => { random_seed: Number(0, u32::MAX) };

    "default_interface" => { default_interface: Short(15) };
    "dynamic_interfaces" => { * Dynamic };
    "disable_local_igmp" => { disable_local_igmp: Flag };
    "vrrp_version" => { vrrp_version: VERSION };
    "vrrp_mcast_group4" => { vrrp_mcast_group4: IPV4 };
    "vrrp_mcast_group6" => { vrrp_mcast_group6: IPV6 };
    "vrrp_strict" => { vrrp_strict: Switch };
    "vrrp_skip_check_adv_addr" => { vrrp_skip_check_adv_addr: Switch };
    "vrrp_check_unicast_src" => { vrrp_check_unicast_src: FlagSwitch };
    "vrrp_garp_master_delay" => { vrrp_garp_master_delay: Seconds(0.0, LONGEST) };
    "vrrp_garp_master_repeat" => { vrrp_garp_master_repeat: Packets };
    "vrrp_garp_master_refresh" => { vrrp_garp_master_refresh: Seconds(0.0, LONGEST) };
    "vrrp_garp_master_refresh_repeat" => { vrrp_garp_master_refresh_repeat: Packets };
    "vrrp_garp_lower_prio_delay" => { vrrp_garp_lower_prio_delay: Seconds(0.0, LONGEST) };
    "vrrp_garp_lower_prio_repeat" => { vrrp_garp_lower_prio_repeat: Number(0, u32::MAX) };
    "vrrp_garp_interval" => { vrrp_garp_interval: Spacing };
    "vrrp_gna_interval" => { vrrp_gna_interval: Spacing };
    "vrrp_min_garp" => { vrrp_min_garp: Switch };
    "vrrp_garp_extra_if" ~ "vrrp_vmac_garp_intvl" => { vrrp_garp_extra_if: ExtraIf };
    "vrrp_down_timer_adverts" => { vrrp_down_timer_adverts: Number(1, 100) };
    "vrrp_lower_prio_no_advert" => { vrrp_lower_prio_no_advert: Switch };
    "vrrp_higher_prio_send_advert" => { vrrp_higher_prio_send_advert: Switch };
    "vrrp_owner_ignore_adverts" => { vrrp_owner_ignore_adverts: Switch };
    "vrrp_notify_priority_changes" => { vrrp_notify_priority_changes: Switch };
    "v3_checksum_as_v2" => { v3_checksum_as_v2: Flag };
    "vrrp_iptables" => { vrrp_iptables: Words(true) };
    "vrrp_ipsets" => { vrrp_ipsets: Words(true) };
    "nftables" => { nftables: TextOr("keepalived") };
    "nftables_priority" => { nftables_priority: Number(i32::MIN, i32::MAX) };
    "nftables_ifindex" => { nftables_ifindex: Flag };
    "nftables_counters" => { nftables_counters: Flag };
    "vrrp_startup_delay" => { vrrp_startup_delay: Seconds(0.001, LONGEST) };
    "vrrp_delay_after_boot" => { vrrp_delay_after_boot: Seconds(0.0, LONGEST) };
    "max_auto_priority" => { max_auto_priority: AutoPriority };
    "min_auto_priority_delay" => { min_auto_priority_delay: Number(1, 10_000_000) };
    "log_unknown_vrids" => { log_unknown_vrids: Flag };
    "vmac_prefix" => { vmac_prefix: Short(12) };
    "vmac_addr_prefix" => { vmac_addr_prefix: Octets };
    "vrrp_rx_bufs_policy" => { vrrp_rx_bufs_policy: BufferPolicy };
    "vrrp_rx_bufs_multiplier" => { vrrp_rx_bufs_multiplier: Number(1, u32::MAX) };
    "vrrp_netlink_cmd_rcv_bufs" => { vrrp_netlink_cmd_rcv_bufs: Number(1, u32::MAX) };
    "vrrp_netlink_cmd_rcv_bufs_force" => { vrrp_netlink_cmd_rcv_bufs_force: Switch };
    "vrrp_netlink_monitor_rcv_bufs" => { vrrp_netlink_monitor_rcv_bufs: Number(1, u32::MAX) };
    "vrrp_netlink_monitor_rcv_bufs_force" => { vrrp_netlink_monitor_rcv_bufs_force: Switch };
    "fifo_write_vrrp_states_on_reload" => { fifo_write_vrrp_states_on_reload: Flag };

    "lvs_timeouts" => { lvs_timeouts: Timeouts };
    "lvs_flush" => { lvs_flush: Flag };
    "lvs_flush_on_stop" ~ "lvs_flush_onstop" => { lvs_flush_on_stop: Flush };
    "lvs_sync_daemon" => { lvs_sync_daemon: Synchronised };
    "director_sysctl" => { director_sysctl: Switch };
    "lvs_netlink_cmd_rcv_bufs" => { lvs_netlink_cmd_rcv_bufs: Number(1, u32::MAX) };
    "lvs_netlink_cmd_rcv_bufs_force" => { lvs_netlink_cmd_rcv_bufs_force: Switch };
    "lvs_netlink_monitor_rcv_bufs" => { lvs_netlink_monitor_rcv_bufs: Number(1, u32::MAX) };
    "lvs_netlink_monitor_rcv_bufs_force" => { lvs_netlink_monitor_rcv_bufs_force: Switch };
    "nftables_ipvs" => { nftables_ipvs: TextOr("keepalived_ipvs") };
    "nftables_ipvs_priority" => { nftables_ipvs_priority: Number(i32::MIN, i32::MAX) };
    "nftables_ipvs_start_fwmark" => { nftables_ipvs_start_fwmark: Number(1, u32::MAX) };
    "control_group" => { control_group: Text };
    "status_listen" => { status_listen: LISTEN };
    "status_token_file" => { status_token_file: Text };
    "status_allow" => { status_allow: Subnets };
    "pair_peer" => { pair_peer: End };
    "pair_listen" => { pair_listen: End };
    "pair_key_file" => { pair_key_file: Text };
    "pair_accept_changes" => { pair_accept_changes: Switch };
    "state_directory" => { state_directory: Text };
    "override_file" => { override_file: Text };
    "rs_init_notifies" => { rs_init_notifies: Switch };
    later "snmp_vs_stats_update_interval" => { snmp_vs_stats_update_interval: Seconds(0.001, 30.0) };
    later "snmp_rs_stats_update_interval" => { snmp_rs_stats_update_interval: Seconds(0.001, 30.0) };

    "vrrp_priority" => { vrrp_priority: Number(-20, 19) };
    "checker_priority" => { checker_priority: Number(-20, 19) };
    "bfd_priority" => { bfd_priority: Number(-20, 19) };
    "vrrp_no_swap" => { vrrp_no_swap: Flag };
    "checker_no_swap" => { checker_no_swap: Flag };
    "bfd_no_swap" => { bfd_no_swap: Flag };
    "vrrp_rt_priority" => { vrrp_rt_priority: Capped(1, 99) };
    "checker_rt_priority" => { checker_rt_priority: Capped(1, 99) };
    "bfd_rt_priority" => { bfd_rt_priority: Capped(1, 99) };
    "vrrp_cpu_affinity" => { vrrp_cpu_affinity: Numbers };
    "checker_cpu_affinity" => { checker_cpu_affinity: Numbers };
    "bfd_cpu_affinity" => { bfd_cpu_affinity: Numbers };
    "vrrp_rlimit_rttime" ~ "vrrp_rlimit_rtime" => { vrrp_rlimit_rttime: Number(2, u32::MAX) };
    "checker_rlimit_rttime" ~ "checker_rlimit_rtime" => { checker_rlimit_rttime: Number(2, u32::MAX) };
    "bfd_rlimit_rttime" ~ "bfd_rlimit_rtime" => { bfd_rlimit_rttime: Number(2, u32::MAX) };
    "process_monitor_rcv_bufs" => { process_monitor_rcv_bufs: Number(1, u32::MAX) };
    "process_monitor_rcv_bufs_force" => { process_monitor_rcv_bufs_force: Switch };
    "notify_fifo" => { notify_fifo: Pipe };
    "notify_fifo_script" => { notify_fifo_script: Cmd };
    "vrrp_notify_fifo" => { vrrp_notify_fifo: Pipe };
    "vrrp_notify_fifo_script" => { vrrp_notify_fifo_script: Cmd };
    "lvs_notify_fifo" => { lvs_notify_fifo: Pipe };
    "lvs_notify_fifo_script" => { lvs_notify_fifo_script: Cmd };
    later "snmp_socket" => { snmp_socket: Text };
    later "enable_snmp_vrrp" | "enable_snmp_keepalived" => { enable_snmp_vrrp: Flag };
    later "enable_snmp_rfc" => { enable_snmp_rfc: Flag };
    later "enable_snmp_rfcv2" => { enable_snmp_rfcv2: Flag };
    later "enable_snmp_rfcv3" => { enable_snmp_rfcv3: Flag };
    later "enable_snmp_checker" => { enable_snmp_checker: Flag };
    later "enable_traps" => { enable_traps: Flag };
    later "enable_dbus" => { enable_dbus: Flag };
    later "dbus_service_name" => { dbus_service_name: Text };
    later "dbus_no_interface_name" => { dbus_no_interface_name: Text };
    "reload_check_config" => { reload_check_config: TextOr("/dev/null") };
    "reload_time_file" => { reload_time_file: Text };
    "reload_repeat" => { reload_repeat: Flag };
    "reload_file" => { reload_file: TextOr("") };
    "config_save_dir" => { config_save_dir: Text };
    "tmp_config_directory" => { tmp_config_directory: Text };
    "data_use_instance" => { data_use_instance: Switch };
    "state_dump_file" => { state_dump_file: Text };
    "stats_dump_file" => { stats_dump_file: Text };
    "json_dump_file" => { json_dump_file: Text };
    "json_version" => { json_version: Number(1, 2) };
    "iproute_usr_dir" => { iproute_usr_dir: Text };
    "iproute_etc_dir" => { iproute_etc_dir: Text };
    "include_check" => { * IncludeCheck };
};

impl Block for Global {
    const WHAT: &'static str = "global_defs";
    origin!();

    fn table() -> Table<Self> {
        GLOBAL
    }

    fn open(_: &mut Reader, _: &Node<'_>) -> Option<Self> {
        Some(Self::default())
    }

    #[cfg(test)]
    fn blank(_: &mut Sampler) -> Self {
        Self::default()
    }
}
