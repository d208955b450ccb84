//! Configuration files of the scenarios.

/// One instance, as most pairs on the Internet have it.
#[derive(Clone)]
pub(crate) struct Conf {
    pub(crate) state: &'static str,
    pub(crate) priority: u8,
    pub(crate) advert: &'static str,
    /// Lines of `virtual_ipaddress`.
    pub(crate) addresses: Vec<String>,
    /// Further lines of the instance.
    pub(crate) lines: Vec<String>,
    /// Text before the instance.
    pub(crate) head: String,
}

impl Conf {
    pub(crate) fn new(state: &'static str, priority: u8) -> Self {
        Self {
            state,
            priority,
            advert: "1",
            addresses: vec![format!("{}/24", super::VIP)],
            lines: Vec::new(),
            head: String::new(),
        }
    }

    pub(crate) fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    pub(crate) fn head(mut self, text: &str) -> Self {
        self.head += text;
        self
    }

    pub(crate) fn advert(mut self, interval: &'static str) -> Self {
        self.advert = interval;
        self
    }

    pub(crate) fn address(mut self, address: &str) -> Self {
        self.addresses.push(address.to_owned());
        self
    }

    pub(crate) fn text(&self) -> String {
        format!(
            "global_defs {{\n    router_id lab\n    script_user root\n}}\n{}\nvrrp_instance VI_1 {{
    state {}
    interface eth0
    virtual_router_id 51
    priority {}
    advert_int {}
    {}
    virtual_ipaddress {{\n        {}\n    }}\n}}\n",
            self.head,
            self.state,
            self.priority,
            self.advert,
            self.lines.join("\n    "),
            self.addresses.join("\n        ")
        )
    }
}
