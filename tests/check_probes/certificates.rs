//! `tls_verify` and `tls_expiry` against OpenSSL's own server, with an authority of the test's own.

use std::fs;
use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509NameBuilder};

use tandem::check::checkers::Tools;
use tandem::check::plan::Plan;
use tandem::check::status::Status;

use super::tls::{Files, get, s_server};
use super::world::{Running, alone, load};

const DAY: i64 = 86_400;

struct Authority {
    certificate: X509,
    key: PKey<Private>,
}

fn begin(name: &str, key: &PKey<Private>, from: i64, to: i64) -> X509Builder {
    let mut subject = X509NameBuilder::new().unwrap();
    subject.append_entry_by_text("CN", name).unwrap();
    let mut builder = X509Builder::new().unwrap();
    builder.set_version(2).unwrap();
    let serial = BigNum::from_u32(7).unwrap().to_asn1_integer().unwrap();
    builder.set_serial_number(&serial).unwrap();
    builder.set_subject_name(&subject.build()).unwrap();
    builder.set_pubkey(key).unwrap();
    let now = now();
    builder.set_not_before(&Asn1Time::from_unix(now + from).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(now + to).unwrap()).unwrap();
    builder
}

/// Seconds since 1970.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed()
}

impl Authority {
    fn new(files: &Files, name: &str) -> Self {
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let mut builder = begin(name, &key, -DAY, 3650 * DAY);
        builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
        let mut issuer = X509NameBuilder::new().unwrap();
        issuer.append_entry_by_text("CN", name).unwrap();
        builder.set_issuer_name(&issuer.build()).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        let certificate = builder.build();
        fs::write(files.path(&format!("{name}.pem")), certificate.to_pem().unwrap()).unwrap();
        Self { certificate, key }
    }

    /// Signs `NAME.pem` with the key `NAME.key`, good from then to then (seconds from now).
    fn sign(&self, files: &Files, name: &str, names: &[&str], from: i64, to: i64, digest: MessageDigest) {
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let mut builder = begin(name, &key, from, to);
        builder.set_issuer_name(self.certificate.subject_name()).unwrap();
        if !names.is_empty() {
            let mut all = SubjectAlternativeName::new();
            for name in names {
                if name.parse::<IpAddr>().is_ok() {
                    all.ip(name)
                } else {
                    all.dns(name)
                };
            }
            let all = all.build(&builder.x509v3_context(Some(&self.certificate), None)).unwrap();
            builder.append_extension(all).unwrap();
        }
        builder.sign(&self.key, digest).unwrap();
        fs::write(files.path(&format!("{name}.pem")), builder.build().to_pem().unwrap()).unwrap();
        fs::write(files.path(&format!("{name}.key")), key.private_key_to_pem_pkcs8().unwrap()).unwrap();
    }
}

#[test]
fn certificates_are_verified_where_the_file_says_so() {
    alone(|| async {
        let files = Files::new("verify");
        let (ours, other) = (Authority::new(&files, "ours"), Authority::new(&files, "other"));
        let sha256 = MessageDigest::sha256();
        let www = ["www.example.org", "*.in.example.org", "127.0.0.1"];
        ours.sign(&files, "good", &www, -DAY, 90 * DAY, sha256);
        ours.sign(&files, "named", &["www.example.org"], -DAY, 90 * DAY, sha256);
        ours.sign(&files, "old", &www, -9 * DAY, -2 * DAY, sha256);
        ours.sign(&files, "early", &www, 2 * DAY, 90 * DAY, sha256);
        ours.sign(&files, "weak", &www, -DAY, 90 * DAY, MessageDigest::sha1());
        other.sign(&files, "foreign", &www, -DAY, 90 * DAY, sha256);
        let ca = format!("tls_verify {}", files.path("ours.pem"));
        let verify = |more: &str| format!("{ca}\n{more}");
        let cases: &[(&str, String, &str)] = &[
            // Without a word nothing is verified.
            ("old", String::new(), "ok"),
            ("foreign", "virtualhost elsewhere.example.org".to_owned(), "ok"),
            // The name: that of the handshake, of the page, of the file; else the address.
            ("good", verify(""), "ok"),
            ("good", verify("virtualhost www.example.org:4433"), "ok"),
            ("good", verify("virtualhost a.in.example.org"), "ok"),
            ("good", verify("sni_name www.example.org\nvirtualhost elsewhere.example.org"), "ok"),
            ("good", verify("virtualhost elsewhere.example.org\ntls_verify_name www.example.org"), "ok"),
            ("good", verify("virtualhost 127.0.0.1:4433"), "ok"),
            (
                "good",
                verify("virtualhost elsewhere.example.org"),
                "untrusted: certificate of CN=good names www.example.org, *.in.example.org, 127.0.0.1, not \
                 elsewhere.example.org: write tls_verify_name with a name that it has, or renew it",
            ),
            ("good", verify("virtualhost a.b.in.example.org"), "untrusted: certificate of CN=good names"),
            (
                "named",
                verify(""),
                "untrusted: certificate of CN=named names www.example.org, not 127.0.0.1: write tls_verify_name",
            ),
            ("old", verify(""), "untrusted: certificate of CN=old ended at "),
            ("early", verify(""), "untrusted: certificate of CN=early is not valid yet: set the clocks"),
            ("weak", verify(""), "untrusted: certificate of CN=weak is refused: "),
            ("foreign", verify(""), "untrusted: certificate of CN=foreign is of no authority that we know ("),
            (
                "good",
                "tls_verify".to_owned(),
                "untrusted: certificate of CN=good is of no authority that we know (unable to get local issuer \
                 certificate): write tls_verify FILE with its authority",
            ),
            (
                "good",
                "tls_verify /no/such/file".to_owned(),
                "certificate: cannot use the authorities of tls_verify /no/such/file: No such file",
            ),
            (
                "good",
                format!("tls_verify {}", files.path("good.key")),
                "certificate: cannot use the authorities of tls_verify ",
            ),
            // The end, with or without an authority.
            ("good", verify("tls_expiry 30"), "ok"),
            ("good", "tls_expiry_warn 100".to_owned(), "ok"),
            ("good", verify("tls_expiry 91"), "certificate_ends: certificate of CN=good ends at "),
            ("foreign", "tls_expiry 100".to_owned(), "certificate_ends: certificate of CN=foreign ends at "),
            ("old", "tls_expiry 0".to_owned(), "certificate_ends: certificate of CN=old ended at "),
            ("old", "tls_expiry_warn 14".to_owned(), "ok"),
        ];
        for name in ["good", "named", "old", "early", "weak", "foreign"] {
            let _server = s_server(&files, name, "-cipher ALL:@SECLEVEL=0");
            for (_, check, wanted) in cases.iter().filter(|(certificate, ..)| *certificate == name) {
                let said = get("", check, "").await;
                let good = if *wanted == "ok" { said == "ok" } else { said.starts_with(wanted) };
                assert!(good, "{name} {check}: {said}");
            }
        }
    });
}

/// A log that is read again.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_log_warns_once_of_a_certificate_that_ends_soon() {
    alone(|| async {
        let files = Files::new("warns");
        let ours = Authority::new(&files, "ours");
        ours.sign(&files, "good", &["www.example.org"], -DAY, 10 * DAY + 60, MessageDigest::sha256());
        let server = s_server(&files, "good", "");
        let log = Log::default();
        let writer = log.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let config = load(
            "virtual_server 192.0.2.1 80 {\n protocol TCP\n connect_timeout 3\n real_server 127.0.0.1 4433 {\n\
             SSL_GET {\n delay_loop 0.1\n tls_expiry 2\n tls_expiry_warn 14\n url {\n path /\n}\n}\n}\n}\n",
        );
        let plan = Plan::new(&config).services[0].reals[0].checkers[0].clone();
        let mut tools = Tools::default();
        for _ in 0..3 {
            assert!(tools.run(&plan, 0).await.result.is_ok());
        }
        let said = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<&str> = said.lines().filter(|line| line.contains("WARN")).collect();
        assert_eq!(lines.len(), 1, "{said}");
        for part in
            ["127.0.0.1:4433: certificate of CN=good ends at ", ", in 10 days (tls_expiry_warn 14): renew it"]
        {
            assert!(lines[0].contains(part), "{said}");
        }

        // Whoever asks finds it beside the server, until the certificate is renewed.
        let running = Running::start(config, Default::default());
        let warning = |status: &Status| status.services[0].reals[0].warning.clone();
        let soon = ", in 10 days (tls_expiry_warn 14): renew it";
        running.status("the warning", |status| warning(status).is_some_and(|one| one.ends_with(soon))).await;
        // Its end is told with it, to the second as far as the certificate says it.
        let ends = |status: &Status| status.services[0].reals[0].certificate_ends;
        let within = |days: i64| {
            let wanted = now() + days * DAY;
            move |ends: i64| (wanted - 60..=wanted + 60).contains(&ends)
        };
        running.status("its end", |status| ends(status).is_some_and(within(10))).await;
        drop(server);
        ours.sign(&files, "good", &["www.example.org"], -DAY, 100 * DAY, MessageDigest::sha256());
        let server = s_server(&files, "good", "");
        running.status("no warning", |status| warning(status).is_none()).await;
        running.status("the new end", |status| ends(status).is_some_and(within(100))).await;

        // Nobody need ask for it, and one that has ended long ago is told as well.
        drop((running, server));
        ours.sign(&files, "good", &["www.example.org"], -20 * DAY, -3 * DAY, MessageDigest::sha256());
        let _server = s_server(&files, "good", "");
        let plain = "virtual_server 192.0.2.1 80 {\n protocol TCP\n real_server 127.0.0.1 4433 {\n SSL_GET {\n delay_loop 0.1\n \
                     url {\n path /\n}\n}\n}\n real_server 127.0.0.1 4434 {\n TCP_CHECK {\n delay_loop 0.1\n}\n}\n}\n";
        let running = Running::start(load(plain), Default::default());
        let old = |status: &Status| ends(status).is_some_and(within(-3)) && status.services[0].reals[0].up;
        running.status("the old end", old).await;
        let other = |status: &Status| status.services[0].reals[1].certificate_ends.is_none();
        running.status("a check without TLS is shown none", other).await;
    });
}
