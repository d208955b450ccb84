//! `make demo`: two Tandem directors in front of three nginx, a client with steady requests, and what happens when a real
//! server dies, a director is killed, a director loses its power, and all come back. Prints a timeline and a verdict; the
//! exit status is 0 only if every step did what it should. Run it by `make demo`: it needs root and `ip_vs`.

mod lab;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lab::*;

const VIP: &str = "10.0.0.100";
const SERVICE: &str = "TCP 10.0.0.100:80";
const ALL: [&str; 3] = ["10.0.0.11:80", "10.0.0.12:80", "10.0.0.13:80"];
const WITHOUT_2: [&str; 2] = ["10.0.0.11:80", "10.0.0.13:80"];
/// From `config/examples/lvs-dr-pair`: delay_loop 2, connect_timeout 2, one retry 1 s later.
const DELAY_LOOP: Duration = Duration::from_secs(2);
const RETRIES: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    // Test runners ask every test program for its list; this one is a demonstration and has none.
    if std::env::args().any(|word| word == "--list") {
        return ExitCode::SUCCESS;
    }
    need_ipvs();
    let mut story = Story::begin();
    story.play();
    story.verdict()
}

struct Story {
    lab: Lab,
    begun: Instant,
    steps: Vec<(bool, String)>,
}

impl Story {
    fn begin() -> Self {
        println!("Hosts (network namespaces) on one LAN 10.0.0.0/24:");
        println!(
            "  client .200   directors d1 .1, d2 .2   real servers rs1 .11, rs2 .12, rs3 .13 (nginx, LVS-DR)"
        );
        println!(
            "  virtual address {VIP}; directors run config/examples/lvs-dr-pair, d1 with priority 150, d2 with 100"
        );
        if slow() > 1 {
            println!(
                "  this machine is emulated, about {} times slower than a real one: delays are, too",
                slow()
            );
        }
        let mut hosts = vec![
            host("client").nic("eth0", "lan", "10.0.0.200/24"),
            host("d1").nic("eth0", "lan", "10.0.0.1/24"),
            host("d2").nic("eth0", "lan", "10.0.0.2/24"),
        ];
        for number in 1..=3 {
            let address = format!("10.0.0.1{number}/24");
            hosts.push(host(&format!("rs{number}")).nic("eth0", "lan", &address).real_server_of(VIP));
        }
        Self { lab: Lab::build("demo", &["lan"], &hosts), begun: now(), steps: Vec::new() }
    }

    /// A line of the timeline.
    fn say(&self, text: &str) {
        println!("{:>7.2} s  {text}", self.begun.elapsed().as_secs_f64());
    }

    /// A step's outcome: told now, and again in the verdict.
    fn step(&mut self, good: bool, text: String) {
        self.say(&format!("{} {text}", if good { "ok    " } else { "FAILED" }));
        self.steps.push((good, text));
    }

    fn director(&self, name: &str) -> Director {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples/lvs-dr-pair");
        let number = name.trim_start_matches('d');
        let config: PathBuf = folder.join(format!("director-{number}.conf"));
        let notify = fs::read_to_string(folder.join("scripts/notify.sh")).unwrap_or_default();
        let etc = [("tandem/scripts/notify.sh", notify.as_str())];
        Director::run(&self.lab, name, Kind::Tandem, &config, &etc)
    }

    fn show_table(&self, host: &str) {
        self.say(&format!("IPVS table of {host} (ipvsadm -Ln):"));
        for line in self.lab.command(host, &["ipvsadm", "-Ln"]).lines().skip(1) {
            println!("             {line}");
        }
    }

    fn play(&mut self) {
        let watch = Arc::new(AddressWatch::start(&self.lab, &["d1", "d2"]));
        let wire = Wire::start(&self.lab);
        let [_rs1, mut rs2, _rs3] = Nginx::start_all(&self.lab, ["rs1", "rs2", "rs3"], 80);
        self.say("three nginx serve; starting Tandem on both directors");
        let mut d1 = self.director("d1");
        let mut d2 = self.director("d2");
        let tables = ["d1", "d2"].map(|host| TableWatch::start(&self.lab, host));
        watch.wait_holders(VIP, &["d1"], patience() * 4);
        for table in &tables {
            table.wait("all real servers", patience() * 4, |t| t.is(SERVICE, &ALL));
        }
        self.step(
            true,
            format!("d1 (priority 150) is master and holds {VIP}; both tables hold all real servers"),
        );
        self.show_table("d1");

        let every = ms(20) * slow().min(5);
        let traffic =
            Arc::new(Traffic::start(&self.lab, "client", "10.0.0.100:80", every, ms(500) * slow().min(4)));
        let ticker = Ticker::start(self.begun, Arc::clone(&traffic), Arc::clone(&watch));
        let from = now();
        pause(s(4));
        let (good, bad) = traffic.count(from, now());
        let servers = traffic.servers(from, now());
        let fine = good > 20 && bad == 0 && servers.len() == 3;
        self.step(
            fine,
            format!(
                "steady traffic: {good} good, {bad} failed requests, answered by {} servers",
                servers.len()
            ),
        );

        self.real_server(&mut rs2, &tables[0], &traffic);
        self.daemon_killed(&mut d1, &watch, &wire, &traffic);
        d1 = self.back("d1", &watch, &traffic);
        self.power_loss(&mut d1, &watch, &wire, &traffic);
        self.say("d1 boots again: what its kernel held is gone, its cable is back");
        if watch.has("d1", VIP) {
            self.lab.ip("d1", &format!("address del {VIP}/32 dev eth0"));
        }
        self.lab.command("d1", &["ipvsadm", "-C"]);
        self.lab.plug("d1", "eth0");
        d1 = self.back("d1", &watch, &traffic);
        drop(ticker);

        self.say("SIGTERM for both directors");
        let ended = [d2.stop(), d1.stop()];
        let clean = ["d1", "d2"].iter().all(|host| Table::read(&self.lab, host).0.is_empty());
        let gone = watch.holders(VIP).is_empty();
        let fine = clean && gone && ended.iter().all(std::process::ExitStatus::success);
        self.step(fine, "orderly stop: exit status 0, the address is gone, both tables are empty".to_owned());
        if self.steps.iter().any(|(good, _)| !good) {
            println!("\n--- log of d1\n{}--- log of d2\n{}", d1.said(), d2.said());
        }
    }

    /// A real server dies and comes back.
    fn real_server(&mut self, rs2: &mut Nginx, table: &TableWatch, traffic: &Traffic) {
        self.say("nginx on rs2 is stopped");
        let from = now();
        rs2.stop();
        let out = table.wait("rs2 out", patience() * 4, |t| t.is(SERVICE, &WITHOUT_2));
        let took = out.saturating_duration_since(from);
        pause(s(2));
        let (_, bad) = traffic.count(from, now());
        let (_, later) = traffic.count(out + ms(200) * slow(), now());
        let limit = DELAY_LOOP + RETRIES + grace(ms(200));
        let text = format!(
            "rs2 left the table after {} ms (limit {}); {bad} requests failed until then, {later} afterwards; outage {} ms",
            took.as_millis(),
            limit.as_millis(),
            traffic.outage(from, now()).as_millis()
        );
        self.step(took <= limit && later == 0, text);
        self.show_table("d1");

        self.say("nginx on rs2 is started");
        let from = now();
        rs2.resume(&self.lab);
        let back = table.wait("rs2 back", patience() * 4, |t| t.is(SERVICE, &ALL));
        let took = back.saturating_duration_since(from);
        let limit = DELAY_LOOP + grace(ms(200));
        let text =
            format!("rs2 is in the table again after {} ms (limit {})", took.as_millis(), limit.as_millis());
        self.step(took <= limit, text);
        pause(s(2));
    }

    /// The daemon alone is killed: the kernel goes on balancing while the peer takes over.
    fn daemon_killed(&mut self, d1: &mut Director, watch: &AddressWatch, wire: &Wire, traffic: &Traffic) {
        self.say("SIGKILL for the master's daemon (d1)");
        let from = now();
        d1.kill();
        self.takeover("the daemon of d1 was killed", from, watch, wire, traffic, Duration::ZERO);
    }

    /// The whole director dies: no process, no cable.
    fn power_loss(&mut self, d1: &mut Director, watch: &AddressWatch, wire: &Wire, traffic: &Traffic) {
        self.say("power loss of the master director (d1): its cable is cut and its daemon killed");
        let from = now();
        self.lab.cut("d1", "eth0");
        d1.kill();
        self.takeover("d1 lost its power", from, watch, wire, traffic, down_interval(s(1), 100));
    }

    fn takeover(
        &mut self,
        what: &str,
        from: Instant,
        watch: &AddressWatch,
        wire: &Wire,
        traffic: &Traffic,
        expected_outage: Duration,
    ) {
        let taken = watch.wait("d2", VIP, true, patience() * 4);
        let (heard, _) = wire.last_advert("d1").unwrap_or((from, 0));
        let took = taken.saturating_duration_since(heard);
        let limit = down_interval(s(1), 100) + grace(ms(100));
        pause(s(3));
        let outage = traffic.outage(from, now());
        let (_, bad) = traffic.count(from, now());
        let (good, later) = traffic.count(taken + s(1), now());
        // Requests come one by one and are given up after a while: that much is the ruler's, not the outage's.
        let outage_limit = expected_outage + grace(ms(500));
        let text = format!(
            "{what}: d2 took over {} ms after the last advert (limit {}); outage {} ms (limit {}), {bad} requests failed",
            took.as_millis(),
            limit.as_millis(),
            outage.as_millis(),
            outage_limit.as_millis(),
        );
        self.step(took <= limit && outage <= outage_limit && good > 10 && later == 0, text);
        self.show_table("d2");
    }

    /// A director comes back and preempts.
    fn back(&mut self, name: &str, watch: &AddressWatch, traffic: &Traffic) -> Director {
        self.say(&format!("Tandem on {name} is started again"));
        let from = now();
        let director = self.director(name);
        watch.wait_holders(VIP, &[name], patience() * 4);
        let took = now().saturating_duration_since(from);
        pause(s(2));
        let outage = traffic.outage(from, now());
        let (_, bad) = traffic.count(from, now());
        let limit = grace(ms(500));
        let text = format!(
            "{name} is master again {} ms after its start; longest gap between answers {} ms (limit {}), {bad} requests \
             failed",
            took.as_millis(),
            outage.as_millis(),
            limit.as_millis(),
        );
        self.step(outage <= limit, text);
        director
    }

    fn verdict(self) -> ExitCode {
        println!("\nVERDICT");
        for (good, text) in &self.steps {
            println!("  {} {text}", if *good { "ok    " } else { "FAILED" });
        }
        let failed = self.steps.iter().filter(|(good, _)| !good).count();
        println!("{} steps as they should be, {failed} not", self.steps.len() - failed);
        if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Prints each second who holds the address and how the requests fared.
struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Ticker {
    fn start(begun: Instant, traffic: Arc<Traffic>, watch: Arc<AddressWatch>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut from = now();
            while !until.load(Ordering::Relaxed) {
                pause(s(1).saturating_sub(from.elapsed()));
                let to = now();
                let (good, bad) = traffic.count(from, to);
                let holders = watch.holders(VIP).join("+");
                let holders = if holders.is_empty() { "nobody".to_owned() } else { holders };
                println!(
                    "{:>7.2} s  {VIP} on {holders:<6} ok {good:>3}  failed {bad:>2}",
                    begun.elapsed().as_secs_f64()
                );
                from = to;
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
