//! nginx as a real server: one process, its own paths, no access log.

use nix::sys::signal::Signal;

use super::process::Process;
use super::{Lab, patience, s, traffic, wait};

/// nginx in a host. `/` answers with its name, `/health` with `ok`, `/fail` with 503.
pub struct Nginx {
    process: Option<Process>,
    host: String,
    name: String,
    port: u16,
    conf: String,
}

impl Nginx {
    /// Starts nginx and waits until it serves.
    pub fn start(lab: &Lab, host: &str, port: u16) -> Self {
        let mut nginx = Self::prepare(lab, host, host, port);
        nginx.resume(lab);
        nginx
    }

    /// Starts several at once, one in each of these hosts.
    pub fn start_all<const N: usize>(lab: &Lab, hosts: [&str; N], port: u16) -> [Self; N] {
        let mut all = hosts.map(|host| Self::prepare(lab, host, host, port));
        for nginx in &mut all {
            nginx.launch(lab);
        }
        for nginx in &all {
            nginx.wait_until_it_serves(lab);
        }
        all
    }

    fn prepare(lab: &Lab, host: &str, name: &str, port: u16) -> Self {
        let room = lab.work().join(format!("nginx-{host}-{port}"));
        let d = room.display();
        let text = format!(
            "daemon off; master_process off; pid {d}/pid; error_log stderr;
            events {{ worker_connections 256; }}
            http {{
                access_log off; keepalive_timeout 0;
                client_body_temp_path {d}/b; proxy_temp_path {d}/p; fastcgi_temp_path {d}/f;
                uwsgi_temp_path {d}/u; scgi_temp_path {d}/s;
                server {{
                    listen {port} backlog=1024;
                    default_type text/plain;
                    location / {{ return 200 \"{name}\\n\"; }}
                    location /health {{ return 200 \"ok\\n\"; }}
                    location /fail {{ return 503 \"no\\n\"; }}
                }}
            }}\n"
        );
        let conf = lab.file(&format!("nginx-{host}-{port}/nginx.conf"), &text).display().to_string();
        Self { process: None, host: host.to_owned(), name: name.to_owned(), port, conf }
    }

    fn launch(&mut self, lab: &Lab) {
        let argv = ["nginx", "-e", "stderr", "-c", &self.conf];
        self.process = Some(Process::start(lab, &self.host, &format!("nginx on {}", self.host), &argv, &[]));
    }

    fn wait_until_it_serves(&self, lab: &Lab) {
        let target = std::net::SocketAddr::from(([127, 0, 0, 1], self.port));
        wait(&format!("nginx on {} serves", self.host), patience(), || {
            let page = lab.inside(&self.host, || traffic::get(target, "/", s(2)));
            page.is_ok_and(|body| body == self.name)
        });
    }

    /// Stops it at once: its port refuses.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Starts it again (after [`stop`](Self::stop)) and waits until it serves.
    pub fn resume(&mut self, lab: &Lab) {
        self.launch(lab);
        self.wait_until_it_serves(lab);
    }

    /// It still accepts connections but answers nothing.
    pub fn freeze(&self) {
        if let Some(process) = &self.process {
            process.signal(Signal::SIGSTOP);
        }
    }

    /// It answers again.
    pub fn thaw(&self) {
        if let Some(process) = &self.process {
            process.signal(Signal::SIGCONT);
        }
    }
}
