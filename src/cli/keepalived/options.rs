//! keepalived's command line, as `getopt_long` reads it: short options bundled or with their value attached, long ones with
//! `=` or a blank before the value, cut short as long as they stay clear.

use std::path::PathBuf;

use crate::core::options::PidFiles;

/// What an option's value is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    Value,
    /// Only attached.
    Perhaps,
}

/// What an option means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    File,
    Vrrp,
    Check,
    NoBfd,
    All,
    Console,
    Detail,
    Facility,
    LogFile,
    FlushLog,
    NoSyslog,
    Umask,
    KeepVrrp,
    KeepIpvs,
    NoRespawn,
    Foreground,
    DumpConfig,
    Pid,
    VrrpPid,
    CheckersPid,
    BfdPid,
    Namespace,
    CoreDump,
    CorePattern,
    StrictIncludes,
    ConfigId,
    Signum,
    Test,
    IgnoreSigint,
    Version,
    Help,
    /// Taken and told to be without effect.
    Unused(&'static str),
}

use Means::*;
use Takes::*;

const SNMP: &str = "there is no SNMP agent here";
const DEVELOPER: &str = "it is for keepalived's developers";

/// Short and long form, what is taken, what is meant, what the help says.
#[rustfmt::skip]
const OPTIONS: &[(Option<char>, &str, Takes, Means, &str)] = &[
    (Some('f'), "use-file", Value, File, "configuration file (/etc/keepalived/keepalived.conf)"),
    (Some('P'), "vrrp", Nothing, Vrrp, "run the VRRP instances alone"),
    (Some('C'), "check", Nothing, Check, "run the virtual servers alone"),
    (Some('B'), "no_bfd", Nothing, NoBfd, "run no BFD session"),
    (None, "all", Nothing, All, "run everything, as is the rule here"),
    (Some('l'), "log-console", Nothing, Console, "log to standard error, too"),
    (Some('D'), "log-detail", Nothing, Detail, "twice: log everything"),
    (Some('S'), "log-facility", Value, Facility, "syslog facility: 0-7, local0-7, user, daemon"),
    (Some('g'), "log-file", Perhaps, LogFile, "log to a file (/tmp/keepalived.log)"),
    (None, "flush-log-file", Nothing, FlushLog, "as is the rule here: each line is written at once"),
    (Some('G'), "no-syslog", Nothing, NoSyslog, "do not log to syslog"),
    (Some('u'), "umask", Value, Umask, "mask of files that are created, octal"),
    (Some('X'), "release-vips", Nothing, Unused("addresses are always released on failure"), "as is the rule here"),
    (Some('V'), "dont-release-vrrp", Nothing, KeepVrrp, "virtual addresses and routes stay at stop"),
    (Some('I'), "dont-release-ipvs", Nothing, KeepIpvs, "the IPVS table stays at stop"),
    (Some('R'), "dont-respawn", Nothing, NoRespawn, "do not start a dead worker again"),
    (Some('n'), "dont-fork", Nothing, Foreground, "stay in the foreground"),
    (Some('d'), "dump-conf", Nothing, DumpConfig, "log the configuration as it was understood"),
    (Some('p'), "pid", Value, Pid, "pid file of the daemon"),
    (Some('r'), "vrrp_pid", Value, VrrpPid, "pid file of the worker, while it runs instances"),
    (Some('c'), "checkers_pid", Value, CheckersPid, "pid file of the worker, while it runs virtual servers"),
    (Some('b'), "bfd_pid", Value, BfdPid, "pid file of the worker, while it runs BFD sessions"),
    (Some('a'), "address-monitoring", Nothing, Unused("addresses are followed, not logged one by one"), "without effect"),
    (Some('x'), "snmp", Nothing, Unused(SNMP), "without effect"),
    (Some('A'), "snmp-agent-socket", Value, Unused(SNMP), "without effect"),
    (Some('s'), "namespace", Value, Namespace, "run in this network namespace"),
    (Some('m'), "core-dump", Nothing, CoreDump, "leave a core dump on failure"),
    (Some('M'), "core-dump-pattern", Perhaps, CorePattern, "set the kernel's core_pattern, and -m"),
    (Some('e'), "all-config", Nothing, StrictIncludes, "an included file that is missing is an error"),
    (Some('i'), "config-id", Value, ConfigId, "which @ID lines of the file are meant"),
    (None, "signum", Value, Signum, "print a signal's number: STOP, RELOAD, DATA, STATS, STATS_CLEAR, JSON"),
    (Some('t'), "config-test", Perhaps, Test, "check the configuration and leave"),
    (None, "ignore-sigint", Nothing, IgnoreSigint, "do not stop at SIGINT"),
    (None, "perf", Perhaps, Unused(DEVELOPER), "without effect"),
    (None, "debug", Perhaps, Unused(DEVELOPER), "without effect"),
    (None, "no-mem-check", Nothing, Unused(DEVELOPER), "without effect"),
    (Some('L'), "mem-check-log", Nothing, Unused(DEVELOPER), "without effect"),
    (Some('O'), "openssl-mem-check", Nothing, Unused(DEVELOPER), "without effect"),
    (None, "config-fd", Value, Unused(DEVELOPER), "without effect"),
    (Some('v'), "version", Nothing, Version, "print the version"),
    (Some('h'), "help", Nothing, Help, "print this"),
];

/// A command line as it was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub(super) struct Line {
    pub(super) file: PathBuf,
    /// `-P`, `-C`, `-B`.
    pub(super) vrrp: bool,
    pub(super) check: bool,
    pub(super) no_bfd: bool,
    pub(super) all: bool,
    pub(super) console: bool,
    pub(super) detail: u8,
    pub(super) facility: Option<String>,
    pub(super) log_file: Option<PathBuf>,
    pub(super) no_syslog: bool,
    pub(super) umask: Option<u16>,
    pub(super) keep_vrrp: bool,
    pub(super) keep_ipvs: bool,
    pub(super) respawn: bool,
    pub(super) foreground: bool,
    pub(super) dump_config: bool,
    pub(super) pids: PidFiles,
    pub(super) core_dump: bool,
    pub(super) core_pattern: Option<String>,
    pub(super) strict_includes: bool,
    pub(super) config_id: Option<String>,
    pub(super) signum: Option<String>,
    /// `-t`, and the file that the findings go to.
    pub(super) test: Option<Option<PathBuf>>,
    pub(super) ignore_sigint: bool,
    pub(super) version: bool,
    pub(super) help: bool,
    /// What is to be told once there is a log: options without effect, words that are no options.
    pub(super) remarks: Vec<String>,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            file: PathBuf::from("/etc/keepalived/keepalived.conf"),
            vrrp: false,
            check: false,
            no_bfd: false,
            all: false,
            console: false,
            detail: 0,
            facility: None,
            log_file: None,
            no_syslog: false,
            umask: None,
            keep_vrrp: false,
            keep_ipvs: false,
            respawn: true,
            foreground: false,
            dump_config: false,
            pids: PidFiles::default(),
            core_dump: false,
            core_pattern: None,
            strict_includes: false,
            config_id: None,
            signum: None,
            test: None,
            ignore_sigint: false,
            version: false,
            help: false,
            remarks: Vec::new(),
        }
    }
}

/// The help.
pub(super) fn help() -> String {
    let mut text = String::from("Usage: keepalived [OPTION...]\n");
    for (short, long, takes, _, says) in OPTIONS {
        let short = short.map_or("    ".to_owned(), |short| format!("-{short}, "));
        let value = match takes {
            Nothing => "",
            Value => "=VALUE",
            Perhaps => "[=VALUE]",
        };
        text += &format!("  {short}--{:<28} {says}\n", format!("{long}{value}"));
    }
    text + "  -T, --genhash                      fetch a page and print its digest (as the first option)\n"
}

/// Reads a command line. The error is what is to be said of it.
pub(super) fn read(arguments: impl Iterator<Item = String>) -> Result<Line, String> {
    let mut line = Line::default();
    let mut arguments = arguments;
    let mut surplus = Vec::new();
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            surplus.extend(arguments);
            break;
        }
        if let Some(long) = argument.strip_prefix("--") {
            let (name, attached) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (long, None),
            };
            let (long, takes, means) = long_option(name)?;
            let value = match (takes, attached) {
                (Nothing, Some(_)) => return Err(format!("--{long} takes no value")),
                (Value, None) => {
                    Some(arguments.next().ok_or(format!("Missing parameter for option --{long}"))?)
                }
                (_, attached) => attached,
            };
            line.take(means, value, &format!("--{long}"));
        } else if let Some(bundle) = argument.strip_prefix('-').filter(|bundle| !bundle.is_empty()) {
            let mut rest = bundle;
            while let Some(flag) = rest.chars().next() {
                rest = &rest[flag.len_utf8()..];
                let found = OPTIONS.iter().find(|(short, ..)| *short == Some(flag));
                let Some((_, _, takes, means, _)) = found else {
                    return Err(format!("Unknown option -{flag}"));
                };
                let mut value = None;
                if *takes != Nothing && !rest.is_empty() {
                    value = Some(std::mem::take(&mut rest).to_owned());
                } else if *takes == Value {
                    value = Some(arguments.next().ok_or(format!("Missing parameter for option -{flag}"))?);
                }
                line.take(*means, value, &format!("-{flag}"));
            }
        } else {
            surplus.push(argument);
        }
    }
    if !surplus.is_empty() {
        line.remarks.push(format!("Unexpected argument(s): {}", surplus.join(" ")));
    }
    Ok(line)
}

/// The option of that name, or the only one that begins so.
fn long_option(name: &str) -> Result<(&'static str, Takes, Means), String> {
    let with = |exact: bool| {
        OPTIONS.iter().filter(move |(_, long, ..)| if exact { *long == name } else { long.starts_with(name) })
    };
    let mut found = with(true).chain(with(false));
    match (found.next(), with(true).count(), with(false).count()) {
        (Some((_, long, takes, means, _)), 1, _) | (Some((_, long, takes, means, _)), 0, 1) => {
            Ok((long, *takes, *means))
        }
        (Some(_), ..) => Err(format!("Option --{name} is ambiguous")),
        (None, ..) => Err(format!("Unknown option --{name}")),
    }
}

impl Line {
    fn take(&mut self, means: Means, value: Option<String>, called: &str) {
        let path = || value.clone().map(PathBuf::from);
        match means {
            File => self.file = path().unwrap_or_default(),
            Vrrp => self.vrrp = true,
            Check => self.check = true,
            NoBfd => self.no_bfd = true,
            All => self.all = true,
            Console => self.console = true,
            Detail => self.detail = self.detail.saturating_add(1),
            Facility => self.facility = value,
            LogFile => self.log_file = Some(path().unwrap_or_else(|| "/tmp/keepalived.log".into())),
            FlushLog => {}
            NoSyslog => self.no_syslog = true,
            Umask => {
                let value = value.unwrap_or_default();
                match u16::from_str_radix(&value, 8).ok().filter(|mask| *mask <= 0o777) {
                    Some(mask) => self.umask = Some(mask),
                    None => self.remarks.push(format!("Invalid --umask option {value}")),
                }
            }
            KeepVrrp => self.keep_vrrp = true,
            KeepIpvs => self.keep_ipvs = true,
            NoRespawn => self.respawn = false,
            Foreground => self.foreground = true,
            DumpConfig => self.dump_config = true,
            Pid => self.pids.main = path(),
            VrrpPid => self.pids.vrrp = path(),
            CheckersPid => self.pids.checkers = path(),
            BfdPid => self.pids.bfd = path(),
            Namespace => self.pids.namespace = value,
            CoreDump => self.core_dump = true,
            CorePattern => {
                self.core_dump = true;
                self.core_pattern = Some(value.unwrap_or_else(|| "core".to_owned()));
            }
            StrictIncludes => self.strict_includes = true,
            ConfigId => self.config_id = value,
            Signum => self.signum = value,
            Test => self.test = Some(path()),
            IgnoreSigint => self.ignore_sigint = true,
            Version => self.version = true,
            Help => self.help = true,
            Unused(why) => self.remarks.push(format!("option {called} is without effect: {why}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Line, String> {
        read(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn every_spelling_means_the_same() {
        let plain = Line {
            file: "/x".into(),
            console: true,
            detail: 1,
            foreground: true,
            config_id: Some("a".to_owned()),
            pids: PidFiles { main: Some("/p".into()), ..PidFiles::default() },
            ..Line::default()
        };
        for text in [
            "-f /x -l -D -n -i a -p /p",
            "-nlDf/x -ia -p/p",
            "-lnD -p /p -f/x -i a",
            "--use-file=/x --log-console --log-detail --dont-fork --config-id=a --pid=/p",
            "--use-file /x --log-con --log-de --dont-f --config-i a --pid /p",
        ] {
            assert_eq!(of(text).as_ref(), Ok(&plain), "{text}");
        }
    }

    #[test]
    fn every_option_is_taken_in_both_forms() {
        for (short, long, takes, ..) in OPTIONS {
            let value = if *takes == Value { " 077" } else { "" };
            let by_name = of(&format!("--{long}{value}"));
            assert!(by_name.is_ok(), "--{long}: {by_name:?}");
            if let Some(short) = short {
                let remarks = |line: Result<Line, String>| {
                    // The same but for the name that a remark calls it by.
                    let mut line = line.unwrap();
                    line.remarks
                        .iter_mut()
                        .for_each(|text| *text = text.split_once(": ").unwrap().1.to_owned());
                    line
                };
                assert_eq!(remarks(of(&format!("-{short}{value}"))), remarks(by_name), "-{short}");
            }
            if *takes == Nothing {
                assert!(of(&format!("--{long}=x")).is_err(), "--{long}=x");
            }
        }
        assert!(OPTIONS.iter().all(|(_, long, ..)| help().contains(&format!("--{long}"))));
    }

    #[test]
    fn what_is_wrong_is_said_as_keepalived_does() {
        for (text, said) in [
            ("--nonsense", "Unknown option --nonsense"),
            ("-lq", "Unknown option -q"),
            ("-f", "Missing parameter for option -f"),
            ("--config-id", "Missing parameter for option --config-id"),
            ("--log-f", "Option --log-f is ambiguous"),
        ] {
            assert_eq!(of(text), Err(said.to_owned()), "{text}");
        }
        assert_eq!(of("-n extra words").unwrap().remarks, ["Unexpected argument(s): extra words"]);
        assert_eq!(of("-u 999").unwrap().remarks, ["Invalid --umask option 999"]);
        assert_eq!(of("-u 022").unwrap().umask, Some(0o22));
        assert_eq!(of("-x").unwrap().remarks, ["option -x is without effect: there is no SNMP agent here"]);
    }

    #[test]
    fn an_optional_value_is_an_attached_one() {
        assert_eq!(of("-t -f /x").unwrap().test, Some(None));
        assert_eq!(of("-t/log").unwrap().test, Some(Some("/log".into())));
        assert_eq!(of("--config-test=/log").unwrap().test, Some(Some("/log".into())));
        assert_eq!(of("--config-test /log").unwrap().remarks, ["Unexpected argument(s): /log"]);
        assert_eq!(of("-lt -f /x").unwrap().test, Some(None));
        assert_eq!(of("-M").unwrap().core_pattern.as_deref(), Some("core"));
        assert_eq!(of("-DD").unwrap().detail, 2);
    }
}
