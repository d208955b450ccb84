//! Random values for the round-trip tests: everything follows from one seed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A stream of random choices.
pub(in crate::config) struct Sampler {
    state: u64,
    count: u32,
    /// Names that later objects may refer to, by kind.
    pub(in crate::config) scripts: Vec<String>,
    pub(in crate::config) files: Vec<String>,
    pub(in crate::config) processes: Vec<String>,
    pub(in crate::config) bfds: Vec<String>,
}

impl Sampler {
    pub(in crate::config) fn new(seed: u64) -> Self {
        Self {
            state: seed ^ 0x9e37_79b9_7f4a_7c15,
            count: 0,
            scripts: Vec::new(),
            files: Vec::new(),
            processes: Vec::new(),
            bfds: Vec::new(),
        }
    }

    /// splitmix64.
    pub(in crate::config) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub(in crate::config) fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    pub(in crate::config) fn flip(&mut self) -> bool {
        self.next() & 1 == 1
    }

    /// A number of a range, its ends often.
    pub(in crate::config) fn number(&mut self, low: i64, high: i64) -> i64 {
        let span = high.abs_diff(low);
        match self.below(5) {
            0 => low,
            1 => high,
            _ if span == u64::MAX => low,
            _ => low.wrapping_add_unsigned(self.below(span + 1)),
        }
    }

    pub(in crate::config) fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        if from.is_empty() {
            return None;
        }
        let at = usize::try_from(self.below(from.len() as u64)).unwrap_or(0);
        from.get(at).cloned()
    }

    /// A name that no other object has; some need quotes.
    pub(in crate::config) fn name(&mut self) -> String {
        self.count += 1;
        let odd =
            self.pick(&["", "", "_x", "-1", ".y", " with blank", "#hash", "é", "{b}", "!bang"]).unwrap_or("");
        format!("n{}{odd}", self.count)
    }

    /// Any text that keepalived.conf can carry.
    pub(in crate::config) fn text(&mut self) -> String {
        let parts = ["a", "b c", "#", "!", "{", "}", "/x/y", "ß", "=", "'", "@h", "~", ",", "0", "\\"];
        let n = 1 + self.below(4);
        let text: String = (0..n).filter_map(|_| self.pick(&parts)).collect();
        text.trim().to_owned()
    }

    pub(in crate::config) fn ipv4(&mut self) -> Ipv4Addr {
        Ipv4Addr::from(u32::try_from(self.next() & 0xffff_ffff).unwrap_or(0))
    }

    pub(in crate::config) fn ipv6(&mut self) -> Ipv6Addr {
        let high = u128::from(self.next()) << 64;
        Ipv6Addr::from(high | u128::from(self.next()))
    }

    pub(in crate::config) fn ip(&mut self) -> IpAddr {
        if self.flip() { IpAddr::V4(self.ipv4()) } else { IpAddr::V6(self.ipv6()) }
    }

    pub(in crate::config) fn interface(&mut self) -> String {
        self.pick(&["eth0", "eth1.100", "bond0", "br-lan", "veth@7"]).unwrap_or("eth0").to_owned()
    }

    pub(in crate::config) fn argv(&mut self) -> Vec<String> {
        let words = ["/bin/true", "a b", "-x", "UP", "#1", "{}", "é", "", "=~", "!"];
        let n = self.below(3);
        let mut argv =
            vec![self.pick(&["/etc/check.sh", "/usr/bin/a b", "killall"]).unwrap_or("x").to_owned()];
        argv.extend((0..n).filter_map(|_| self.pick(&words)).map(str::to_owned));
        argv
    }
}
