//! The daemon itself, the kernel's table, and BFD sessions.

use super::Seen;
use super::stamp::unix;
use super::text::{Family, Labels, Writer};

pub(super) fn write(seen: &Seen, out: &mut Writer) {
    let (status, daemon) = (&seen.status, &seen.status.daemon);
    out.single(Family::gauge("tandem_up", "The daemon answers"), true);
    let version = Labels::of(&[("version", &daemon.tandem)]);
    out.family(Family::info("tandem_build", "The program")).said(&version);
    let who = [
        ("host", daemon.host.as_str()),
        ("daemon_instance", daemon.instance.as_str()),
        ("config_file", daemon.config.as_str()),
    ];
    out.family(Family::info("tandem_daemon", "Where it runs, and what")).said(&Labels::of(&who));
    if !daemon.config_digest.is_empty() {
        let digest = Labels::of(&[("digest", &daemon.config_digest)]);
        out.family(Family::info("tandem_config", "Digest of the configuration in force")).said(&digest);
    }
    if let Some(digest) = &seen.pair_digest {
        let about = "Digest of what both directors of a pair must have alike";
        out.family(Family::info("tandem_pair_config", about)).said(&Labels::of(&[("digest", digest)]));
    }
    if let Some(at) = unix(&status.at) {
        let about = "When the process that answers began, seconds since 1970";
        out.single(Family::seconds("tandem_start_time_seconds", about), at - daemon.running);
    }
    out.family(Family::counter("tandem_reloads", "Reloads since the start, by what became of them"))
        .sample(&Labels::of(&[("result", "taken")]), daemon.reloads)
        .sample(&Labels::of(&[("result", "refused")]), daemon.reloads_refused);
    let about = "The last reload was refused: the configuration in force is not the file's";
    out.single(Family::gauge("tandem_reload_problem", about), daemon.reload_problem.is_some());
    let about = "Maintenance is on by order of a person";
    out.single(Family::gauge("tandem_maintenance", about), daemon.maintenance.is_some());
    let about = "Parts of the daemon that did not answer in time";
    out.single(Family::gauge("tandem_silent_parts", about), daemon.silent.len());
    if let Some(lag) = &daemon.lag {
        let about = "How late the thread that sends adverts woke, the worst of the last minute";
        out.single(Family::seconds("tandem_vrrp_wakeup_delay_seconds", about), lag.worst_lately);
        let about = "How late the thread that sends adverts woke, the worst since the start";
        out.single(Family::seconds("tandem_vrrp_wakeup_delay_worst_seconds", about), lag.worst);
        let about = "How often it was so late that adverts were in danger";
        out.single(Family::counter("tandem_vrrp_late_wakeups", about), lag.late);
    }
    kernel(seen, out);
    out.family(Family::gauge("tandem_bfd_session_up", "A BFD session is up"));
    for session in &status.bfd {
        out.sample(&Labels::of(&[("bfd_session", &session.name)]), session.up);
    }
}

fn kernel(seen: &Seen, out: &mut Writer) {
    let ipvs = &seen.status.ipvs;
    let about = "The kernel's table could be read and is as it should be";
    out.single(Family::gauge("tandem_ipvs_in_order", about), ipvs.in_order);
    let about = "Changes of the kernel's table that the kernel refuses";
    out.single(Family::gauge("tandem_ipvs_errors", about), ipvs.errors.len());
    out.family(Family::gauge("tandem_ipvs_services", "Services in the kernel's table, by whose they are"))
        .sample(&Labels::of(&[("owner", "tandem")]), ipvs.services);
    // None is not "not looked at".
    if let Some(foreign) = ipvs.foreign_services {
        out.sample(&Labels::of(&[("owner", "other")]), foreign);
    }
    let about = "Entries of the kernel's table that somebody else had changed and that were put right";
    out.single(Family::counter("tandem_ipvs_drift_repaired", about), ipvs.repaired);
}
