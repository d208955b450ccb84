//! The words of `docs/configuration-yaml.md`, in both forms: they must say the same.

use std::path::Path;

use tandem::config::diagnostic::Level;
use tandem::config::load_text;
use tandem::config::model::Config;
use tandem::config::resolve::Facts;

const CONF: &str = r#"
global_defs { 
 router_id lb1
 script_user nobody nogroup
 enable_script_security
 vrrp_check_unicast_src
}
vrrp_script chk {
 script "/a/check.sh x y"
 user nobody
 interval 2
 timeout 2
 weight -60
 fall 2
 rise 2
}
vrrp_instance VI_1 {
 state BACKUP
 interface eth0
 virtual_router_id 51
 priority 150
 advert_int 0.5
 version 3
 virtual_ipaddress {
 10.0.0.254/32 dev eth1
 }
 unicast_src_ip 10.0.0.1
 unicast_peer { 
 10.0.0.2
 }
 track_script {
 chk weight -20
 }
 track_interface {
 eth1
 }
 preempt_delay 5
 notify /a/notify.sh
}
virtual_server 10.0.0.100 80 {
 delay_loop 2
 lvs_sched rr
 lvs_method NAT
 protocol TCP
 persistence_timeout 1800
 quorum_down "/a/n.sh DOWN on yes"
 sorry_server 10.0.0.20 80
 real_server 10.0.0.11 80 {
  weight 2
  inhibit_on_failure
  TCP_CHECK {
  }
  MISC_CHECK {
   misc_path "/a/c.sh x"
   misc_timeout 3
   misc_dynamic
  }
  HTTP_GET {
   url {
    path /
    status_code 200 301-303
   }
   virtualhost www.example.com
   connect_timeout 2
   retry 1
   delay_before_retry 1
  }
 }
}
virtual_server fwmark 7 {
 real_server 10.0.0.11 {
 }
}
"#;

const YAML: &str = r#"
global_defs: { router_id: lb1, script_user: { user: nobody, group: nogroup }, enable_script_security: true, vrrp_check_unicast_src: true }
vrrp_script:
  - name: chk
    script: { argv: [/a/check.sh, x, "y"], user: { user: nobody } }
    interval: 2s
    timeout: 2s
    weight: -60
    fall: 2
    rise: 2
vrrp_instance:
  - name: VI_1
    state: BACKUP
    interface: eth0
    virtual_router_id: 51
    priority: 150
    advert_int: 500ms
    version: 3
    virtual_ipaddress:
      - 10.0.0.254/32 dev eth1
    unicast_src_ip: 10.0.0.1
    unicast_peer: [{ address: 10.0.0.2 }]
    track_script: [{ name: chk, weight: -20 }]
    track_interface: [{ name: eth1 }]
    preempt_delay: 5s
    notify: { argv: [/a/notify.sh] }
virtual_server:
  - address: 10.0.0.100
    port: 80
    delay_loop: 2s
    lb_algo: rr
    lb_kind: NAT
    protocol: TCP
    persistence_timeout: 1800
    quorum_down: { argv: [/a/n.sh, DOWN, on, yes] }
    sorry_server: { address: 10.0.0.20, port: 80 }
    real_server:
      - address: 10.0.0.11
        port: 80
        weight: 2
        inhibit_on_failure: true
        tcp_check: [{}]
        misc_check: [{ misc_path: { argv: [/a/c.sh, x] }, misc_timeout: 3s, misc_dynamic: true }]
        http_get: [{ url: [{ path: /, status_code: [200, "301-303"] }], virtualhost: www.example.com, connection: {connect_timeout: 2}, pace: {retry: 1, delay_before_retry: 1s} }]
  - fwmark: 7
    real_server: [{ address: 10.0.0.11 }]
"#;

fn load(name: &str, text: &str) -> Config {
    let loaded = load_text(Path::new(name), text.as_bytes(), &Facts::default());
    // The page's servers stand on addresses of nobody, and leave defaults unsaid: that is advice, and all there is.
    let findings: Vec<_> = loaded.diagnostics.iter().filter(|d| d.level != Level::Advice).collect();
    assert!(findings.is_empty(), "{name}: {findings:?}");
    loaded.config
}

#[test]
fn both_columns_of_the_page_say_the_same() {
    assert_eq!(load("page.conf", CONF), load("page.yaml", YAML));
}

#[test]
fn a_wrong_word_refuses_the_whole_file_and_says_where() {
    let text = YAML.replace("    priority:", "    prioriti:");
    let loaded = load_text(Path::new("page.yaml"), text.as_bytes(), &Facts::default());
    assert_eq!(loaded.config, Config::default());
    let [finding] = loaded.diagnostics.as_slice() else { panic!("{:?}", loaded.diagnostics) };
    let line = text.lines().position(|line| line.contains("prioriti:")).map(|n| n as u64 + 1);
    assert_eq!(finding.place.as_ref().map(|place| u64::from(place.line)), line);
    assert!(finding.problem.contains("prioriti"), "{}", finding.problem);
}
