//! Man pages: tandem(8) and one page a subcommand from the definition of the command line, tandem.conf(5) from the keyword
//! tables. What no table knows (files, signals, how it all begins) stands in `deploy/man/`.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_mangen::Man;

use super::words;

/// Goes to the end of tandem(8).
const TANDEM_END: &str = include_str!("../../deploy/man/tandem.8.end");
/// tandem.conf(5); the line [`WORDS`] is where the tables go.
const CONF: &str = include_str!("../../deploy/man/tandem.conf.5");
const WORDS: &str = ".\\\" WORDS\n";

/// What the exit codes of a subcommand mean; the last line is for all that are not named.
const EXIT_STATUS: [(&str, &[(&str, &str)]); 8] = [
    (
        "run",
        &[
            ("0", "orderly stop"),
            ("1", "could not start or go on; the last line says why"),
            ("3", "the configuration cannot be read"),
        ],
    ),
    (
        "check",
        &[
            ("0", "no problem, or only advice"),
            ("1", "warnings"),
            ("2", "errors (with --strict: or warnings)"),
            ("3", "a file cannot be read"),
        ],
    ),
    (
        "convert",
        &[
            ("0", "converted"),
            ("1", "converted; the file has warnings"),
            ("2", "converted without what is wrong; the file has errors"),
            ("3", "the file cannot be read"),
            ("4", "cannot be said in the other form, or not be written"),
        ],
    ),
    (
        "release",
        &[
            ("0", "done, or nothing to do"),
            ("1", "the kernel refuses, and the last line says why"),
            ("2", "the daemon runs: nothing was done"),
        ],
    ),
    (
        "plan",
        &[
            ("0", "nothing would change now"),
            ("1", "something would change now"),
            ("2", "the file has errors"),
            ("3", "a file cannot be read"),
            ("4", "the kernel could not be read; what could be is printed"),
        ],
    ),
    ("schema", &[("0", "always")]),
    ("genhash", &[("0", "the digest is printed"), ("1", "the page could not be had")]),
    (
        "",
        &[
            ("0", "done"),
            ("1", "no daemon answers, or what it answers cannot be read"),
            ("2", "refused; the reason is printed"),
            ("3", "drain --wait: there are still connections"),
        ],
    ),
];

/// Writes all pages to `man/man8` and `man/man5` below that directory.
///
/// # Errors
/// What the file system says.
pub(crate) fn write(directory: &Path) -> io::Result<()> {
    let (man8, man5) = (directory.join("man/man8"), directory.join("man/man5"));
    fs::create_dir_all(&man8)?;
    fs::create_dir_all(&man5)?;
    let mut command = tandem::cli::command();
    command.build();
    fs::write(man8.join("tandem.8"), main_page(&command)?)?;
    for subcommand in subcommands(&command) {
        let name = format!("tandem-{}", subcommand.get_name());
        fs::write(man8.join(format!("{name}.8")), subcommand_page(subcommand, &name)?)?;
    }
    fs::write(
        man5.join("tandem.conf.5"),
        CONF.replace(WORDS, &words::sections()).replace("@VERSION@", VERSION),
    )
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn subcommands(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|sub| sub.get_name() != "help" && !sub.is_hide_set())
}

/// The frame of a page; `date` stays empty, so that the same source gives the same bytes.
fn man(command: Command) -> Man {
    Man::new(command).section("8").source(format!("tandem {VERSION}")).manual("Tandem").date("")
}

fn main_page(command: &Command) -> io::Result<Vec<u8>> {
    let man = man(command.clone());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    writeln!(page, ".SH COMMANDS")?;
    for sub in subcommands(command) {
        let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
        writeln!(
            page,
            ".TP\n\\fBtandem\\-{}\\fR(8)\n{}",
            words::escaped(sub.get_name()),
            words::prose(&about)
        )?;
    }
    page.extend_from_slice(TANDEM_END.as_bytes());
    Ok(page)
}

fn subcommand_page(command: &Command, name: &str) -> io::Result<Vec<u8>> {
    let notes = command.get_after_help().map(ToString::to_string);
    // A page of its own is named "tandem-run" and shows "tandem run" in its synopsis.
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let man = man(command.clone().bin_name(name.replacen('-', " ", 1))).title(name);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    writeln!(page, ".SH NAME\n{} \\- {}", words::escaped(name), words::prose(first_sentence(&about)))?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    // Where the help text tells of exit codes, it does so in words of its own: they stand below, once.
    if let Some(notes) = notes.filter(|notes| !notes.starts_with("Exit status")) {
        writeln!(page, ".SH NOTES\n{}", words::prose(&notes))?;
    }
    writeln!(page, ".SH EXIT STATUS")?;
    for (code, meaning) in exit_codes(command.get_name()) {
        writeln!(page, ".TP\n\\fB{code}\\fR\n{}", words::prose(meaning))?;
    }
    writeln!(page, ".TP\n\\fB64\\fR\nwrong command line")?;
    writeln!(page, ".SH SEE ALSO\n.BR tandem (8),\n.BR tandem.conf (5)")?;
    Ok(page)
}

/// What `whatis` shows: one line without its full stop.
fn first_sentence(about: &str) -> &str {
    about.split_once(". ").map_or(about, |(first, _)| first).trim_end_matches('.')
}

fn exit_codes(name: &str) -> &'static [(&'static str, &'static str)] {
    let found = EXIT_STATUS.iter().find(|(of, _)| *of == name || of.is_empty());
    found.map_or(&[], |(_, codes)| codes)
}
