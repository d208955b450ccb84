//! `tandem genhash`: the MD5 that `digest` of HTTP_GET and SSL_GET wants, in the options and the words of keepalived's
//! genhash. The same under the name `genhash`, and as `keepalived --genhash`.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clap::Parser;

use crate::config::model::HttpProtocol;
use crate::core::genhash::{Fetched, Page, fetch};

/// Fetch a page as a check does and print the MD5 of its body.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Address of the server.
    #[arg(short = 's', long, value_name = "IP")]
    server: IpAddr,
    /// Its port.
    #[arg(short = 'p', long)]
    port: u16,
    /// Path of the page.
    #[arg(short = 'u', long, value_name = "PATH")]
    url: String,
    /// By TLS (SSL_GET).
    #[arg(short = 'S', long)]
    use_ssl: bool,
    /// Say the virtual host as server name in the handshake.
    #[arg(short = 'I', long)]
    use_sni: bool,
    /// Host header.
    #[arg(short = 'V', long, value_name = "HOST")]
    use_virtualhost: Option<String>,
    /// 1.0, 1.0c (1.0 with Connection: close) or 1.1.
    #[arg(short = 'P', long, default_value = "1.0", value_parser = protocol)]
    protocol: HttpProtocol,
    /// Time limit, seconds.
    #[arg(short = 't', long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// Firewall mark of our packets.
    #[arg(short = 'm', long)]
    fwmark: Option<u32>,
    /// Print head and body too.
    #[arg(short = 'v', long)]
    verbose: bool,
}

fn protocol(text: &str) -> Result<HttpProtocol, String> {
    match text {
        "1.0" => Ok(HttpProtocol::V1_0),
        "1.0c" | "1.0C" => Ok(HttpProtocol::V1_0Close),
        "1.1" => Ok(HttpProtocol::V1_1),
        _ => Err("1.0, 1.0c or 1.1".to_owned()),
    }
}

/// Print the MD5 of a web page, as `digest` of HTTP_GET takes it.
#[derive(Parser, Debug)]
#[command(name = "genhash")]
struct Alone {
    #[command(flatten)]
    args: Args,
}

/// True when the program was started as genhash.
pub(super) fn is_called(program: &str) -> bool {
    program.rsplit('/').next() == Some("genhash")
}

/// Runs with arguments of its own (without the program's name); 1 for wrong ones, as keepalived's.
pub(super) fn alone(arguments: impl Iterator<Item = String>) -> i32 {
    match Alone::try_parse_from(std::iter::once("genhash".to_owned()).chain(arguments)) {
        Ok(alone) => run(alone.args),
        Err(error) => {
            // Nothing is left to be done when even this cannot be printed.
            let _ = error.print();
            i32::from(error.use_stderr())
        }
    }
}

/// Runs the subcommand; 1 when there is no page. (keepalived's ends with 0 then.)
pub fn run(args: Args) -> i32 {
    let page = Page {
        address: SocketAddr::new(args.server, args.port),
        tls: args.use_ssl.then_some(args.use_sni),
        path: args.url,
        virtualhost: args.use_virtualhost,
        protocol: args.protocol,
        fwmark: args.fwmark,
        timeout: Duration::from_secs(args.timeout),
        keep: args.verbose,
    };
    let fetched = match fetch(&page) {
        Ok(fetched) => fetched,
        Err(failure) => {
            eprintln!("no page {} from {}: {failure}", page.path, page.address);
            return 1;
        }
    };
    let mut out = Vec::new();
    if args.verbose {
        verbose(&mut out, &page.path, &fetched);
    } else {
        out.extend_from_slice(format!("{}\n", hexadecimal(&fetched.digest)).as_bytes());
    }
    if let Err(error) = io::stdout().write_all(&out) {
        eprintln!("cannot print: {error}");
        return 1;
    }
    if let Some(digest) = fetched.page_digest {
        eprintln!(
            "the page came in chunks, and this is the MD5 of the chunks, as keepalived has it. Of the page alone it is \
             {}: tandem takes both",
            hexadecimal(&digest)
        );
    }
    0
}

fn verbose(out: &mut Vec<u8>, path: &str, fetched: &Fetched) {
    let title = |out: &mut Vec<u8>, text: &str| {
        let rule = "-".repeat(23);
        out.extend_from_slice(format!("{rule}[ {text} ]{rule}\n").as_bytes());
    };
    title(out, "   HTTP Header Buffer   ");
    out.extend_from_slice(dump(&fetched.head).as_bytes());
    title(out, "HTTP Header Ascii Buffer");
    out.extend_from_slice(&fetched.head);
    out.push(b'\n');
    title(out, "       HTML Buffer       ");
    out.extend_from_slice(dump(&fetched.body).as_bytes());
    out.push(b'\n');
    title(out, "   HTML hash resulting   ");
    out.extend_from_slice(dump(&fetched.digest).as_bytes());
    title(out, "HTML hash final resulting");
    let took = fetched.took.as_micros();
    let last =
        format!("{}\n\nGlobal response time for [{path}] = {took} usecs\n", hexadecimal(&fetched.digest));
    out.extend_from_slice(last.as_bytes());
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes sixteen a line: place (decimal), hexadecimal in two halves, and what can be printed of them.
fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (number, line) in bytes.chunks(16).enumerate() {
        // Writing to a String never fails.
        let _ = write!(text, "{:04}  ", number * 16);
        for at in 0..16 {
            if at == 8 {
                text.push_str("- ");
            }
            match line.get(at) {
                Some(byte) => {
                    let _ = write!(text, "{byte:02x} ");
                }
                None => text.push_str("   "),
            }
        }
        text.push_str("  ");
        let shown =
            |byte: &u8| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' };
        let words: String = line.iter().map(shown).collect();
        let _ = writeln!(text, "{words:<16}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Debian's genhash 2.2.7 prints for this page.
    #[test]
    fn the_verbose_form_is_keepalived_s() {
        let mut out = Vec::new();
        let fetched = Fetched {
            head: b"HTTP/1.0 200 OK\r\n\r\n".to_vec(),
            body: b"hello".to_vec(),
            digest: *b"\x5d\x41\x40\x2a\xbc\x4b\x2a\x76\xb9\x71\x9d\x91\x10\x17\xc5\x92",
            page_digest: None,
            took: Duration::from_micros(1530),
        };
        verbose(&mut out, "/", &fetched);
        let wanted = "\
-----------------------[    HTTP Header Buffer    ]-----------------------
0000  48 54 54 50 2f 31 2e 30 - 20 32 30 30 20 4f 4b 0d   HTTP/1.0 200 OK.
0016  0a 0d 0a                -                           ...             \n\
-----------------------[ HTTP Header Ascii Buffer ]-----------------------
HTTP/1.0 200 OK\r\n\r\n
-----------------------[        HTML Buffer        ]-----------------------
0000  68 65 6c 6c 6f          -                           hello           \n
-----------------------[    HTML hash resulting    ]-----------------------
0000  5d 41 40 2a bc 4b 2a 76 - b9 71 9d 91 10 17 c5 92   ]A@*.K*v.q......
-----------------------[ HTML hash final resulting ]-----------------------
5d41402abc4b2a76b9719d911017c592

Global response time for [/] = 1530 usecs
";
        assert_eq!(String::from_utf8(out).unwrap(), wanted);
    }

    #[test]
    fn its_options_are_keepalived_s() {
        let words = "genhash -S -I -s 192.0.2.1 -p 443 -u /p -V www -P 1.0c -t 9 -m 7 -v";
        let args = Alone::try_parse_from(words.split(' ')).unwrap().args;
        assert!(args.use_ssl && args.use_sni && args.verbose);
        assert_eq!((args.port, args.timeout, args.fwmark), (443, 9, Some(7)));
        assert_eq!(args.protocol, HttpProtocol::V1_0Close);
        let long = "genhash --use-ssl --use-sni --server ::1 --port 1 --url / --use-virtualhost h --verbose --fwmark 1 \
                    --protocol 1.1 --timeout 1";
        assert!(Alone::try_parse_from(long.split_whitespace()).is_ok());
        for wrong in ["genhash -s 192.0.2.1 -p 80", "genhash -s host -p 80 -u /", "genhash -s ::1 -p x -u /"]
        {
            assert!(Alone::try_parse_from(wrong.split(' ')).is_err(), "{wrong}");
        }
        assert!(is_called("/usr/bin/genhash") && !is_called("tandem"));
    }
}
