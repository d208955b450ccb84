//! The files that are read: many virtual servers, each real server with a check.

use std::fmt::Write as _;

/// How a file is made.
pub(crate) struct Shape {
    /// File name without its ending.
    pub(crate) name: &'static str,
    pub(crate) virtual_servers: usize,
    /// Of all virtual servers together, spread evenly.
    pub(crate) real_servers: usize,
}

/// The first is the size of a large real installation, the second has more and smaller services, the others grow.
pub(crate) const SHAPES: &[Shape] = &[
    Shape { name: "farm", virtual_servers: 2_277, real_servers: 37_205 },
    Shape { name: "wide", virtual_servers: 10_000, real_servers: 40_000 },
    Shape { name: "growth-1x", virtual_servers: 1_000, real_servers: 10_000 },
    Shape { name: "growth-2x", virtual_servers: 2_000, real_servers: 20_000 },
    Shape { name: "growth-4x", virtual_servers: 4_000, real_servers: 40_000 },
];

impl Shape {
    /// The file.
    pub(crate) fn text(&self) -> String {
        let mut text = String::from("global_defs {\n    router_id bench\n}\n\n");
        let (each, more) =
            (self.real_servers / self.virtual_servers, self.real_servers % self.virtual_servers);
        let mut number = 0;
        for server in 0..self.virtual_servers {
            let (high, low) = (server / 250, server % 250 + 1);
            writeln!(text, "virtual_server 10.0.{high}.{low} 80 {{").unwrap();
            text += "    delay_loop 6\n    lb_algo wrr\n    lb_kind NAT\n    protocol TCP\n\n";
            for _ in 0..each + usize::from(server < more) {
                let (a, b, c) = (number / 62_500 + 1, number / 250 % 250, number % 250 + 1);
                writeln!(text, "    real_server 10.{a}.{b}.{c} 80 {{\n        weight {}", number % 9 + 1)
                    .unwrap();
                text += if number % 2 == 0 { TCP } else { HTTP };
                text += "    }\n";
                number += 1;
            }
            text += "}\n\n";
        }
        text
    }
}

const TCP: &str = "        TCP_CHECK {
            connect_timeout 3
            connect_port 80
        }
";

const HTTP: &str = "        HTTP_GET {
            url {
                path /health
                status_code 200
            }
            connect_timeout 3
            retry 2
            delay_before_retry 1
        }
";
