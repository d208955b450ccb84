//! Each checker's whole way against a real service: it passes, it is answered wrongly, it is not answered, and each time it
//! recovers; with the reason of each failure.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use openssl::hash::MessageDigest;

use tandem::check::status::Status;

use super::tls::Files;
use super::world::{Other, PATIENCE, Running, THEIRS, alone, load, with_other};

/// A service and all its processes, which end with the value.
struct Service(Child);

impl Service {
    fn start(words: &str) -> Self {
        let mut words = words.split_whitespace();
        let program = words.next().unwrap();
        let mut command = Command::new(program);
        command.args(words);
        Self::spawn(&mut command)
    }

    fn spawn(command: &mut Command) -> Self {
        let command = command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(Stdio::null()).spawn();
        Self(child.unwrap_or_else(|error| panic!("{command:?} (a package of tests/lab/setup.sh): {error}")))
    }

    fn signal(&self, signal: Signal) {
        killpg(Pid::from_raw(self.0.id().cast_signed()), signal).unwrap();
    }

    /// Stops all of it, or lets it go on: the kernel still takes connections for it, and nobody answers.
    fn freeze(&self, late: bool) {
        self.signal(if late { Signal::SIGSTOP } else { Signal::SIGCONT });
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = killpg(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

/// A file that is there, or is not.
fn there(path: &Path, yes: bool) {
    if yes { fs::write(path, "x").unwrap() } else { fs::remove_file(path).unwrap() }
}

/// The whole way of a checker. `wrong` makes the service answer wrongly, which is `failed`; `late` makes it silent.
async fn walks(real: &str, check: &str, wrong: impl Fn(bool), failed: &str, late: impl Fn(bool)) {
    let config = load(&format!(
        "virtual_server 192.0.2.1 80 {{\n protocol TCP\n delay_loop 0.1\n delay_before_retry 0.02\n retry 1\n alpha\n \
         connect_timeout 0.7\n real_server {real} {{\n{check}\n}}\n}}\n"
    ));
    let name = check.split_whitespace().next().unwrap();
    let mut running = Running::start(config, Default::default());
    let up = format!("up: {name}");
    for (break_it, reason) in
        [(None, ""), (Some(&wrong as &dyn Fn(bool)), failed), (Some(&late), "no answer within 0.7s")]
    {
        if let Some(break_it) = break_it {
            break_it(true);
            running.weights(&[]).await;
            // A machine that is busy lets a good service run into the time limit now and then: in the end the reason is this.
            let last = |status: &Status| status.services[0].reals[0].last_failure.clone();
            let said = |status: &Status| last(status).is_some_and(|(words, _)| words.contains(reason));
            running.status(reason, said).await;
            while !running.event().await.starts_with("down: ") {}
            break_it(false);
        }
        running.weights(&[1]).await;
        let is_up = |event: &String| event.starts_with(&up);
        while !is_up(&running.event().await) {}
    }
    let failures = running.now().await.failures.clone();
    assert!(failures.contains_key("timeout") && failures.len() >= 2, "{failures:?}");
}

/// In the other host: frozen, its kernel would go on taking connections, so its packets get lost instead.
#[test]
fn tcp_check_of_another_host() {
    with_other("tcp", |other| async move {
        let listen = format!("ip netns exec {} socat TCP-LISTEN:8080,fork,reuseaddr PIPE", other.name());
        let service = std::cell::RefCell::new(Some(Service::start(&listen)));
        let wrong = |yes| {
            let new = if yes { None } else { Some(Service::start(&listen)) };
            *service.borrow_mut() = new;
        };
        let late = |yes| lose(&other, yes);
        walks(&format!("{THEIRS} 8080"), "TCP_CHECK {\n}", wrong, "connection refused", late).await;
    });
}

/// Nobody listens, and the kernel gives the check the same port as its own: the handshake succeeds, with itself.
#[test]
fn a_connection_to_itself_is_none() {
    alone(|| async {
        super::world::set("net/ipv4/ip_local_port_range", "40000 40000");
        for check in
            ["TCP_CHECK {\n}", "TCP_CHECK {\n send_proxy v1\n}", "HTTP_GET {\n url {\n path /\n }\n}"]
        {
            for real in ["127.0.0.1 40000", "::1 40000"] {
                let said = super::world::run_once(&super::world::one(real, check)).await;
                assert_eq!(
                    said, "met_itself: nobody listens there: the connection came back to itself",
                    "{check}"
                );
            }
        }
        let _listens = std::net::TcpListener::bind("127.0.0.1:39999").unwrap();
        let said = super::world::run_once(&super::world::one("127.0.0.1 39999", "TCP_CHECK {\n}")).await;
        assert_eq!(said, "ok");
    });
}

/// What the other host sends us is lost.
fn lose(other: &Other, yes: bool) {
    other.ip(&format!("route {} blackhole 10.9.0.1/32", if yes { "add" } else { "del" }));
}

/// nginx with that server.
fn nginx(files: &Files, server: &str) -> Service {
    fs::create_dir_all(files.0.join("html")).unwrap();
    fs::write(files.0.join("html/page"), "hello").unwrap();
    let here = files.0.display();
    let settings = format!(
        "daemon off; pid {here}/pid; error_log {here}/error.log; worker_processes 1; user root;\nevents {{}}\n\
         http {{ access_log off; client_body_temp_path {here}/b; proxy_temp_path {here}/p; fastcgi_temp_path \
         {here}/f; uwsgi_temp_path {here}/u; scgi_temp_path {here}/s;\nserver {{ root {here}/html; {server} }}\n}}\n"
    );
    fs::write(files.0.join("nginx.conf"), settings).unwrap();
    Service::start(&format!("nginx -c {here}/nginx.conf -p {here}"))
}

#[test]
fn http_get_of_nginx() {
    alone(|| async {
        let files = Files::new("walk-http");
        let nginx = nginx(&files, "listen 127.0.0.1:8080;");
        let page = files.0.join("html/page");
        let check = "HTTP_GET {\n url {\n path /page\n status_code 200\n }\n}";
        let missing = |yes: bool| there(&page, !yes);
        walks("127.0.0.1 8080", check, missing, "status 404, wanted 200", |late| nginx.freeze(late)).await;
        let check = "HTTP_GET {\n url {\n path /page\n regex ^hello$\n }\n}";
        fs::write(&page, "hello").unwrap();
        let other = |yes| fs::write(&page, if yes { "maintenance" } else { "hello" }).unwrap();
        let failed = "regex ^hello$ does not match";
        walks("127.0.0.1 8080", check, other, failed, |late| nginx.freeze(late)).await;
    });
}

#[test]
fn ssl_get_of_nginx() {
    alone(|| async {
        let files = Files::new("walk-ssl");
        files.certificate("good", 2048, MessageDigest::sha256(), false);
        files.certificate("old", 2048, MessageDigest::sha256(), true);
        let here = files.0.display().to_string();
        let tls = |name: &str| {
            fs::copy(files.path(&format!("{name}.pem")), files.path("now.pem")).unwrap();
            fs::copy(files.path(&format!("{name}.key")), files.path("now.key")).unwrap();
        };
        tls("good");
        let server = format!(
            "listen 127.0.0.1:4433 ssl; ssl_certificate {here}/now.pem; ssl_certificate_key {here}/now.key;"
        );
        let nginx = nginx(&files, &server);
        let page = files.0.join("html/page");
        let check = "SSL_GET {\n url {\n path /page\n digest 5d41402abc4b2a76b9719d911017c592\n }\n}";
        let other = |yes| fs::write(&page, if yes { "maintenance" } else { "hello" }).unwrap();
        let failed = "wanted 5d41402abc4b2a76b9719d911017c592";
        walks("127.0.0.1 4433", check, other, failed, |late| nginx.freeze(late)).await;
        // The certificate ends while everything else is well; it is not asked about unless the file says so.
        let expires = |yes: bool| {
            tls(if yes { "old" } else { "good" });
            nginx.signal(Signal::SIGHUP);
        };
        let check = "SSL_GET {\n tls_expiry 1\n url {\n path /page\n }\n}";
        walks("127.0.0.1 4433", check, expires, "certificate of CN=old ended", |late| nginx.freeze(late))
            .await;
    });
}

/// nginx at its worst: 100 MB, a body that drips, one that is reset on the way, a page that sends round in circles, and a
/// head that is too long. Each ends in time with its reason, and nothing is kept.
#[test]
fn bad_pages_of_nginx_have_a_reason() {
    alone(|| async {
        let files = Files::new("walk-bad");
        let long = "x".repeat(2000);
        let heads: String = (0..40).map(|n| format!("add_header X-{n} {long}; ")).collect();
        let nginx = nginx(
            &files,
            &format!(
                "listen 127.0.0.1:8080; location /drip {{ limit_rate 20; }} location /round {{ return 302 /round; }} \
                 location /heads {{ {heads} return 200 x; }}"
            ),
        );
        super::tls::listening(8080);
        let file = fs::File::create(files.0.join("html/large")).unwrap();
        file.set_len(100 << 20).unwrap();
        fs::write(files.0.join("html/drip"), "x".repeat(4000)).unwrap();
        let before = super::hostile::peak();
        let get = async |words: &str| {
            let check = format!("HTTP_GET {{\n url {{\n path {words}\n }}\n}}");
            super::world::run_once(&super::world::one("127.0.0.1 8080", &check)).await
        };
        for (words, wanted) in [
            ("/large\n status_code 200", "ok"),
            ("/large\n regex ready", "body_too_long: regex does not match in the first 1048576 bytes"),
            ("/drip\n regex ready", "timeout: no answer within 1s"),
            ("/drip\n digest 5d41402abc4b2a76b9719d911017c592", "timeout: no answer within 1s"),
            ("/round\n status_code 200", "bad_status: status 302, wanted 200"),
            (
                "/heads\n expect_header X-Ready",
                "protocol: not an HTTP answer: headers of more than 65536 bytes",
            ),
        ] {
            let said = get(words).await;
            assert!(said.starts_with(wanted), "{words}: {said}");
        }
        let grown = super::hostile::peak() - before;
        assert!(grown < 32 * 1024, "the process grew by {grown} KiB");
        let dies = async {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            drop(nginx);
        };
        let (said, ()) = tokio::join!(get("/drip\n regex ready"), dies);
        assert!(said.starts_with("cut: connection cut: "), "{said}");
    });
}

#[test]
fn http_get_of_tomcat() {
    alone(|| async {
        let files = Files::new("walk-tomcat");
        for folder in ["conf", "webapps/ROOT", "logs", "temp", "work"] {
            fs::create_dir_all(files.0.join(folder)).unwrap();
        }
        let server = "<Server port=\"-1\"><Service name=\"Catalina\">\
                      <Connector port=\"8081\" address=\"127.0.0.1\" protocol=\"HTTP/1.1\"/>\
                      <Engine name=\"Catalina\" defaultHost=\"localhost\"><Host name=\"localhost\" appBase=\"webapps\" \
                      autoDeploy=\"false\"/></Engine></Service></Server>";
        fs::write(files.0.join("conf/server.xml"), server).unwrap();
        fs::write(
            files.0.join("conf/context.xml"),
            "<Context><Resources cachingAllowed=\"false\"/></Context>",
        )
        .unwrap();
        fs::copy("/etc/tomcat10/web.xml", files.0.join("conf/web.xml")).expect("package tomcat10");
        let page = files.0.join("webapps/ROOT/page.html");
        fs::write(&page, "hello").unwrap();
        let mut command = Command::new("/usr/share/tomcat10/bin/catalina.sh");
        command.arg("run").env("CATALINA_HOME", "/usr/share/tomcat10").env("CATALINA_BASE", &files.0);
        command.env("CATALINA_OPTS", "-Xmx64m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC");
        let tomcat = Service::spawn(&mut command);
        // Where others work beside it, Java takes its time.
        let began = std::time::Instant::now();
        while std::net::TcpStream::connect("127.0.0.1:8081").is_err() {
            assert!(began.elapsed() < PATIENCE * 4, "tomcat does not start");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let check =
            "HTTP_GET {\n http_protocol 1.1\n url {\n path /page.html\n status_code 200\n regex hello\n }\n}";
        let missing = |yes: bool| {
            if yes { fs::remove_file(&page).unwrap() } else { fs::write(&page, "hello").unwrap() }
        };
        walks("127.0.0.1 8081", check, missing, "status 404, wanted 200", |late| tomcat.freeze(late)).await;
    });
}

#[test]
fn smtp_check_of_exim() {
    alone(|| async {
        let files = Files::new("walk-smtp");
        let here = files.0.display();
        let settings = format!(
            "primary_hostname = mail.example\ndaemon_smtp_ports = 2525\nlocal_interfaces = 127.0.0.1\n\
             spool_directory = {here}/spool\nlog_file_path = {here}/spool/%slog\npid_file_path = {here}/spool/pid\n\
             host_lookup =\ntls_advertise_hosts =\nrfc1413_query_timeout = 0s\nkeep_environment =\n\
             smtp_accept_max = 0\nacl_smtp_connect = gate\nbegin acl\ngate:\n drop condition = ${{if \
             exists{{{here}/closed}}}}\n message = closed for today\n accept\n"
        );
        fs::write(files.0.join("exim.conf"), settings).unwrap();
        let spool = files.0.join("spool");
        fs::create_dir(&spool).unwrap();
        // It writes there as a user of its own.
        fs::set_permissions(&spool, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let exim = Service::start(&format!("exim4 -bdf -C {here}/exim.conf"));
        let closed: PathBuf = files.0.join("closed");
        walks(
            "127.0.0.1 2525",
            "SMTP_CHECK {\n helo_name check.example\n}",
            |yes| there(&closed, yes),
            "the connection was answered with 550, wanted 220",
            |late| exim.freeze(late),
        )
        .await;
    });
}

#[test]
fn dns_check_of_dnsmasq() {
    alone(|| async {
        let files = Files::new("walk-dns");
        let hosts = files.0.join("hosts");
        fs::write(&hosts, "192.0.2.7 www.example\n").unwrap();
        let dnsmasq = Service::start(&format!(
            "dnsmasq --keep-in-foreground --conf-file=/dev/null --pid-file --no-resolv --no-hosts --port=5353 --user=root \
             --listen-address=127.0.0.1 --bind-interfaces --local=/example/ --addn-hosts={}",
            hosts.display()
        ));
        let unknown = |yes| {
            fs::write(&hosts, if yes { "" } else { "192.0.2.7 www.example\n" }).unwrap();
            dnsmasq.signal(Signal::SIGHUP);
        };
        let check = "DNS_CHECK {\n type A\n name www.example\n}";
        let failed = "DNS answer with rcode 3 (NXDOMAIN)";
        walks("127.0.0.1 5353", check, unknown, failed, |late| dnsmasq.freeze(late)).await;
    });
}

#[test]
fn udp_check_of_an_echo() {
    alone(|| async {
        let files = Files::new("walk-udp");
        let wrong = files.0.join("wrong");
        let mut command = Command::new("socat");
        let answer = format!("SYSTEM:if [ -e {} ]; then echo no; else cat; fi", wrong.display());
        let echo = Service::spawn(command.args(["UDP4-RECVFROM:7007,fork", &answer]));
        let check = "UDP_CHECK {\n payload 68656c6c6f\n require_reply 68656c6c6f\n}";
        let failed = "reply differs from require_reply at byte 0";
        walks("127.0.0.1 7007", check, |yes| there(&wrong, yes), failed, |late| echo.freeze(late)).await;
    });
}

/// What is refused by a router on the way, and what nobody answers.
#[test]
fn ping_check_of_another_host() {
    with_other("icmp", |other| async move {
        other.ip("address add 10.9.1.2/32 dev lo");
        other.set("net.ipv4.ip_forward", "1");
        other.set("net.ipv4.icmp_ratelimit", "0");
        super::world::run("ip route add 10.9.1.0/24 via 10.9.0.2");
        let far = |yes| {
            let (go, come) = if yes { ("del", "add") } else { ("add", "del") };
            if yes {
                other.ip(&format!("address {go} 10.9.1.2/32 dev lo"));
                other.ip(&format!("route {come} unreachable 10.9.1.0/24"));
            } else {
                other.ip(&format!("route {come} unreachable 10.9.1.0/24"));
                other.ip(&format!("address {go} 10.9.1.2/32 dev lo"));
            }
        };
        walks("10.9.1.2 80", "PING_CHECK {\n}", far, "host unreachable", |late| lose(&other, late)).await;
    });
}

#[test]
fn misc_check_of_a_program() {
    alone(|| async {
        let files = Files::new("walk-misc");
        let (wrong, late) = (files.0.join("wrong"), files.0.join("late"));
        let script = files.0.join("check");
        let text = format!(
            "#!/bin/sh\n[ -e {} ] && exit 3\n[ -e {} ] && sleep 60\nexit 0\n",
            wrong.display(),
            late.display()
        );
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let check = format!("MISC_CHECK {{\n misc_path {}\n misc_timeout 0.7\n}}", script.display());
        let failed = "program ended with status 3";
        walks("127.0.0.1 80", &check, |yes| there(&wrong, yes), failed, |yes| there(&late, yes)).await;
    });
}
