//! Files with certificates and keys that checks need, and that are not there or cannot be read.

use std::collections::BTreeSet;
use std::path::Path;

use super::Resolver;
use crate::config::diagnostic::Level;
use crate::config::model::{Config, Origin};

/// What becomes of checks that need such a file: as under keepalived, whose checker does not start.
const CONSEQUENCE: &str = "each check that needs it fails, and its real server is taken out";

impl Resolver<'_> {
    /// Each file once, where it is named first.
    pub(super) fn certificates(&mut self, config: &Config) {
        let reals = || config.virtual_server.iter().flat_map(|server| &server.real_server);
        let by_tls =
            reals().any(|real| !real.ssl_get.is_empty() || real.grpc_check.iter().any(|one| one.tls));
        if let Some(ssl) = config.ssl.as_ref().filter(|_| by_tls) {
            for (word, file) in [("ca", &ssl.ca), ("certificate", &ssl.certificate), ("key", &ssl.key)] {
                if let Some(file) = file {
                    self.file(&ssl.origin, word, &format!("SSL: {word}"), file);
                }
            }
        }
        let mut seen = BTreeSet::new();
        let pages = reals().flat_map(|real| &real.ssl_get).map(|one| (&one.server_certificate, &one.origin));
        let calls = reals()
            .flat_map(|real| &real.grpc_check)
            .filter(|one| one.tls)
            .map(|one| (&one.server_certificate, &one.origin));
        for (rules, origin) in pages.chain(calls) {
            let Some(file) = rules.tls_verify.as_ref().filter(|file| *file != "system") else { continue };
            if seen.insert(file) {
                self.file(origin, "tls_verify", "tls_verify", file);
            }
        }
    }

    fn file(&mut self, origin: &Origin, word: &'static str, what: &str, file: &str) {
        let Some((problem, fix)) = self.facts.file_problem(Path::new(file)) else { return };
        let problem = format!("{what} {file}: {problem}");
        self.find(Level::Warning, origin, word, "file-unusable", problem, CONSEQUENCE, &fix);
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Facts, load_text};

    #[test]
    fn files_that_cannot_be_read_are_named_once() {
        let folder = std::env::temp_dir().join(format!("tandem-certificates-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let at = |name: &str| folder.join(name).display().to_string();
        std::fs::write(at("good"), "-----BEGIN CERTIFICATE-----").unwrap();
        std::fs::write(at("empty"), "").unwrap();
        let check = |words: &str| format!("SSL_GET {{\n{words}\nurl {{\npath /\n}}\n}}\n");
        let text = format!(
            "SSL {{\n certificate {}\n key {}\n}}\nvirtual_server 192.0.2.1 80 {{\n protocol TCP\n real_server 192.0.2.2 \
             443 {{\n{}{}{}{}{}GRPC_CHECK {{\n tls_verify /no/such/too\n}}\n}}\n}}\n",
            at("good"),
            at(""),
            check(&format!("tls_verify {}", at("good"))),
            check("tls_verify /no/such/file"),
            check("tls_verify /no/such/file"),
            check("tls_verify"),
            check(&format!("tls_verify {}", at("empty"))),
        );
        let said = |text: &str, look_at_files: bool| -> Vec<String> {
            let facts = Facts { look_at_files, ..Facts::default() };
            let loaded = load_text("t.conf".as_ref(), text.as_bytes(), &facts);
            let unusable = loaded.diagnostics.iter().filter(|one| one.code == "file-unusable");
            unusable.map(|one| format!("{}: {}", one.place.as_ref().unwrap().line, one.problem)).collect()
        };
        let wanted = [
            format!("3: SSL: key {}: it is no file", at("")),
            "15: tls_verify /no/such/file: no such file or directory".to_owned(),
            format!("33: tls_verify {}: it is empty", at("empty")),
        ];
        assert_eq!(said(&text, true), wanted);
        assert_eq!(said(&text, false), [""; 0]);
        // Nobody shows that certificate to anybody.
        assert_eq!(said(text.split("virtual_server").next().unwrap_or_default(), true), [""; 0]);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
