//! Run-time changes of real servers, as `ipvsadm` shows them: in the kernel at once, and there after reloads and crashes.

use super::*;

const CONF_2: &str = "real_server 10.0.0.13";

/// What `ipvsadm -Sn` says of the servers of the service: `10.0.0.11:80 -g -w 7`.
fn saved(lab: &Lab) -> Vec<String> {
    let text = lab.command("d1", &["ipvsadm", "-Sn"]);
    let servers = text.lines().filter_map(|line| line.strip_prefix("-a -t 10.0.0.100:80 -r "));
    let mut servers: Vec<String> = servers.map(|line| line.trim().to_owned()).collect();
    servers.sort();
    servers
}

/// A director with the file's two servers, and the commands to it.
struct Scene {
    lab: Lab,
    d1: Director,
    table: TableWatch,
    conf: String,
}

impl Scene {
    fn tandem(&self, words: &str) -> String {
        let socket = self.lab.work().join("d1/control.sock").display().to_string();
        let program = director::tandem().display().to_string();
        let mut argv = vec![program.as_str()];
        argv.extend(words.split(' '));
        argv.extend(["--control", &socket]);
        self.lab.command("d1", &argv)
    }

    #[track_caller]
    fn is(&self, wanted: &[&str]) {
        let mut said = Vec::new();
        let since = now();
        while said != wanted {
            said = saved(&self.lab);
            assert!(since.elapsed() < patience(), "{said:?}, not {wanted:?}: {}", self.d1.said());
            pause(ms(20) * slow().min(4));
        }
    }

    /// The same after a reload that changes another thing, and after a crash: never anything else in between.
    #[track_caller]
    fn stays(&mut self, wanted: &[&str]) {
        self.is(wanted);
        let since = now();
        let mark = self.d1.mark();
        self.conf = if self.conf.contains("delay_loop 2") {
            self.conf.replace("delay_loop 2", "delay_loop 3")
        } else {
            self.conf.replace("delay_loop 3", "delay_loop 2")
        };
        self.d1.reload(&self.conf);
        wait("the reload", patience(), || self.d1.said_since(mark).contains("reloaded"));
        pause(s(1));
        self.is(wanted);
        self.d1.kill();
        self.is(wanted);
        self.d1 = self.d1.again(&self.lab);
        wait("it runs again", patience() * 4, || self.d1.said().contains("1 virtual servers"));
        // All checks have run, and the table was read again.
        pause(s(6));
        self.is(wanted);
        let values: Vec<_> = self.table.all().into_iter().filter(|(at, _)| *at >= since).collect();
        assert!(values.is_empty(), "the table changed: {values:#?}");
        assert!(self.d1.said().contains("overridden by earlier commands"), "{}", self.d1.said());
    }
}

#[test]
fn commands_reach_the_kernel_and_outlive_reload_and_crash() {
    need_ipvs();
    if director::tandem_only("commands at run time") {
        return;
    }
    let lab = dr::lab("overrides");
    let _servers = Nginx::start_all(&lab, ["rs1", "rs2", "rs3"], 80);
    let full = dr_conf("MASTER", 150, TCP, "");
    let third = full.find(CONF_2).expect("rs3");
    let conf = format!("{}}}\n", &full[..third]);
    let d1 = Director::start(&lab, "d1", &conf);
    let table = TableWatch::start(&lab, "d1");
    table.wait("two servers", patience(), |table| table.is(SERVICE, &ALL[..2]));
    let watch = AddressWatch::start(&lab, &["d1"]);
    watch.wait("d1", VIP, true, patience());
    let mut scene = Scene { lab, d1, table, conf };

    scene.tandem("weight 10.0.0.11 7");
    scene.is(&["10.0.0.11:80 -g -w 7", "10.0.0.12:80 -g -w 1"]);
    scene.tandem("drain 10.0.0.12");
    scene.is(&["10.0.0.11:80 -g -w 7", "10.0.0.12:80 -g -w 0"]);
    scene.tandem("add 10.0.0.13:80 --weight 4");
    scene.stays(&["10.0.0.11:80 -g -w 7", "10.0.0.12:80 -g -w 0", "10.0.0.13:80 -g -w 4"]);
    // Traffic goes by it: not to the one that drains.
    let answers = {
        let requests = traffic(&scene.lab, "10.0.0.100:80");
        pause(ms(300) * slow());
        serves(&requests, s(1))
    };
    assert_eq!(answers, ["rs1", "rs3"]);

    scene.tandem("disable 10.0.0.11");
    scene.is(&["10.0.0.12:80 -g -w 0", "10.0.0.13:80 -g -w 4"]);
    scene.tandem("delete 10.0.0.12");
    scene.stays(&["10.0.0.13:80 -g -w 4"]);

    scene.tandem("enable 10.0.0.11");
    scene.tandem("enable 10.0.0.12");
    scene.tandem("delete 10.0.0.13");
    scene.is(&["10.0.0.11:80 -g -w 1", "10.0.0.12:80 -g -w 1"]);
    assert!(scene.tandem("overrides").starts_with("no overrides"));
    scene.d1.kill();
    scene.d1 = scene.d1.again(&scene.lab);
    wait("it runs again", patience() * 4, || scene.d1.said().contains("1 virtual servers"));
    pause(s(6));
    scene.is(&["10.0.0.11:80 -g -w 1", "10.0.0.12:80 -g -w 1"]);
    assert!(scene.d1.stop().success());
    scene.is(&[]);
}
