//! keepalived's words that the model does not have yet: known, reported by name, without effect.

/// At the root of a file.
pub(super) const ROOT_LATER: &[&str] = &[
    "net_namespace", "net_namespace_ipvs", "namespace_with_ipsets", "instance", "use_pid_dir", "child_wait_time",
    "linkbeat_use_polling", "linkbeat_interfaces", "interface_up_down_delays", "track_group", "static_ipaddress",
    "static_routes", "static_rules", "vrrp_sync_group", "garp_group", "vrrp_track_process", "track_file",
    "vrrp_track_file", "bfd_instance", "virtual_server_group", "SSL",
];

/// In `global_defs`.
pub(super) const GLOBAL_LATER: &[&str] = &[
    "no_email_faults", "no_checker_emails", "startup_script", "shutdown_script", "startup_script_timeout",
    "shutdown_script_timeout", "use_symlink_paths", "set_supplementary_groups", "umask", "process_names",
    "process_name", "vrrp_process_name", "checker_process_name", "bfd_process_name", "lvs_process_name",
    "random_seed", "dynamic_interfaces", "disable_local_igmp", "vrrp_mcast_group6", "vrrp_garp_extra_if",
    "vrrp_vmac_garp_intvl", "vrrp_lower_prio_no_advert", "vrrp_higher_prio_send_advert",
    "vrrp_owner_ignore_adverts", "vrrp_notify_priority_changes", "v3_checksum_as_v2", "vrrp_iptables",
    "vrrp_ipsets", "nftables", "nftables_priority", "nftables_ifindex", "nftables_counters", "vrrp_startup_delay",
    "vrrp_delay_after_boot", "max_auto_priority", "min_auto_priority_delay", "log_unknown_vrids", "vmac_prefix",
    "vmac_addr_prefix", "vrrp_rx_bufs_policy", "vrrp_rx_bufs_multiplier", "vrrp_netlink_cmd_rcv_bufs",
    "vrrp_netlink_cmd_rcv_bufs_force", "vrrp_netlink_monitor_rcv_bufs", "vrrp_netlink_monitor_rcv_bufs_force",
    "fifo_write_vrrp_states_on_reload", "lvs_timeouts", "lvs_flush", "lvs_flush_on_stop", "lvs_flush_onstop",
    "lvs_sync_daemon", "lvs_notify_fifo", "lvs_notify_fifo_script", "lvs_netlink_cmd_rcv_bufs",
    "lvs_netlink_cmd_rcv_bufs_force", "lvs_netlink_monitor_rcv_bufs", "lvs_netlink_monitor_rcv_bufs_force",
    "nftables_ipvs", "nftables_ipvs_priority", "nftables_ipvs_start_fwmark", "rs_init_notifies",
    "snmp_vs_stats_update_interval", "snmp_rs_stats_update_interval", "vrrp_priority", "checker_priority",
    "bfd_priority", "vrrp_no_swap", "checker_no_swap", "bfd_no_swap", "vrrp_rt_priority", "checker_rt_priority",
    "bfd_rt_priority", "vrrp_cpu_affinity", "checker_cpu_affinity", "bfd_cpu_affinity", "vrrp_rlimit_rttime",
    "checker_rlimit_rttime", "bfd_rlimit_rttime", "vrrp_rlimit_rtime", "checker_rlimit_rtime",
    "bfd_rlimit_rtime", "process_monitor_rcv_bufs", "process_monitor_rcv_bufs_force", "notify_fifo",
    "notify_fifo_script", "vrrp_notify_fifo", "vrrp_notify_fifo_script", "snmp_socket", "enable_snmp_vrrp",
    "enable_snmp_keepalived", "enable_snmp_rfc", "enable_snmp_rfcv2", "enable_snmp_rfcv3", "enable_snmp_checker",
    "enable_traps", "enable_dbus", "dbus_service_name", "dbus_no_interface_name", "reload_check_config",
    "reload_time_file", "reload_repeat", "reload_file", "config_save_dir", "tmp_config_directory",
    "data_use_instance", "state_dump_file", "stats_dump_file", "json_dump_file", "json_version",
    "iproute_usr_dir", "iproute_etc_dir", "include_check",
];
