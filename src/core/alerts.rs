//! The mail relay that the configuration names. Which events are mailed is `telling.rs`' to say.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::model::Global;
use crate::notify::mail::{Login, Password, Relay, Security};
use crate::notify::outbox::WINDOW;

/// Before the path of a file that holds a password.
const FILE: &str = "file:";

/// The relay that `global_defs` names; `None` without a server or without recipients: then nothing is mailed.
pub fn relay(global: &Global, host_name: &str) -> Option<Relay> {
    let server = global.smtp_server.as_ref()?;
    if global.notification_email.is_empty() {
        return None;
    }
    let login = match (&global.smtp_login, &global.smtp_password) {
        (Some(user), Some(password)) => Some(Login {
            user: user.clone(),
            password: match password.0.strip_prefix(FILE) {
                Some(path) => Password::File(PathBuf::from(path)),
                None => Password::Words(password.0.clone()),
            },
        }),
        _ => None,
    };
    // A password never travels in the clear unless the file says so in so many words.
    let starttls = global.smtp_starttls.unwrap_or(login.is_some());
    let ca = global.smtp_tls_ca.as_ref().map(PathBuf::from);
    // A host may be called what no mail domain can be.
    let domain: String =
        host_name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    // keepalived lets a bare user name through; a relay wants a whole address.
    let whole = |name: &String| if name.contains('@') { name.clone() } else { format!("{name}@{domain}") };
    Some(Relay {
        host: server.host.clone(),
        port: server.port.unwrap_or(25),
        helo: global.smtp_helo_name.clone().unwrap_or_else(|| host_name.to_owned()),
        timeout: global
            .smtp_connect_timeout
            .map_or(Duration::from_secs(30), |s| s.0.max(Duration::from_secs(1))),
        from: global.notification_email_from.as_ref().map_or_else(|| format!("root@{domain}"), whole),
        to: global.notification_email.iter().map(whole).collect(),
        router_id: global.router_id.clone().unwrap_or_else(|| host_name.to_owned()),
        security: if starttls { Security::Starttls { ca } } else { Security::Plain },
        login,
    })
}

/// How long events are collected after a mail; 0 = a mail for each.
pub fn window(global: &Global) -> Duration {
    global.smtp_digest.map_or(WINDOW, |secs| secs.0)
}

/// The name of this machine, for mails that name nobody else.
pub fn host_name() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "director".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::{Secret, SmtpServer};

    #[test]
    fn mail_needs_a_server_and_a_recipient() {
        let mut global = Global::default();
        assert!(relay(&global, "d1").is_none());
        global.smtp_server = Some(SmtpServer { host: "192.0.2.1".to_owned(), port: None });
        assert!(relay(&global, "d1").is_none());
        global.notification_email = vec!["a@example.com".to_owned(), "root".to_owned()];
        let relay = relay(&global, "d1").unwrap();
        assert_eq!((relay.port, relay.router_id.as_str(), relay.from.as_str()), (25, "d1", "root@d1"));
        assert_eq!(relay.to, ["a@example.com", "root@d1"]);
        assert_eq!((relay.security, relay.login), (Security::Plain, None), "plain, as under keepalived");
        let odd = super::relay(&global, "my_director").unwrap();
        assert_eq!((odd.from.as_str(), odd.helo.as_str()), ("root@my-director", "my_director"));
    }

    #[test]
    fn a_login_brings_encryption_unless_the_file_forbids_it() {
        let mut global = Global {
            smtp_server: Some(SmtpServer { host: "relay".to_owned(), port: Some(587) }),
            notification_email: vec!["a@example.com".to_owned()],
            smtp_login: Some("lvs".to_owned()),
            ..Global::default()
        };
        assert_eq!(relay(&global, "d1").unwrap().login, None, "half a login is none");
        global.smtp_password = Some(Secret("file:/etc/relay.password".to_owned()));
        let with = relay(&global, "d1").unwrap();
        assert_eq!(with.security, Security::Starttls { ca: None });
        let file = Password::File("/etc/relay.password".into());
        assert_eq!(with.login, Some(Login { user: "lvs".to_owned(), password: file }));
        global.smtp_starttls = Some(false);
        assert_eq!(relay(&global, "d1").unwrap().security, Security::Plain);
    }
}
