//! The program that goes on: this one again, or what lies in its place by now.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use crate::clock;
use crate::core::error::Error;
use crate::core::lifeline::{AGAIN, BELL, NAME, VARIABLE};

/// How long a new program may take to say its version.
pub(super) const TRIAL: Duration = Duration::from_secs(5);

/// The program with our own arguments, by the name that it was called by, in the folder that it was called in.
pub(super) fn again(program: &Path) -> Command {
    let mut arguments = std::env::args_os();
    let mut command = Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    if let Some(folder) = FOLDER.get() {
        // By its descriptor: its name may mean another folder by now.
        command.current_dir(format!("/proc/self/fd/{}", folder.as_raw_fd()));
    }
    command.args(arguments).env_remove(VARIABLE).env_remove(AGAIN).env_remove(BELL);
    command
}

/// Where our program lies, also when another one gets its name.
pub(super) fn program() -> Result<PathBuf, Error> {
    let path = std::env::current_exe()?;
    let text = path.to_string_lossy();
    Ok(text.strip_suffix(" (deleted)").map_or_else(|| path.clone(), PathBuf::from))
}

/// Runs `PROGRAM --version`; what it says, or why it is no program to go on with.
pub(super) fn trial(program: &Path) -> Result<String, String> {
    let named = |why: String| format!("{}: {why}", program.display());
    let mut command = Command::new(program);
    command.arg0("tandem").arg("--version").env_remove(VARIABLE).env_remove(AGAIN).env_remove(BELL);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| named(error.to_string()))?;
    let limit = clock::now() + TRIAL;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if clock::now() < limit => std::thread::park_timeout(Duration::from_millis(5)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(named(format!("--version does not end within {} s", TRIAL.as_secs())));
            }
            Err(error) => return Err(named(error.to_string())),
        }
    };
    let mut said = String::new();
    if let Some(output) = child.stdout.take() {
        let _ = output.take(4096).read_to_string(&mut said);
    }
    let said = said.trim().to_owned();
    if status.success() && said.starts_with("tandem ") {
        Ok(said)
    } else {
        Err(named(format!("--version ends with {status} and says {said:?}: it is no Tandem")))
    }
}

/// The folder that workers start in, where that is not ours.
static FOLDER: OnceLock<File> = OnceLock::new();

/// Workers start in the folder that this process is in now, whatever folder it goes to: names in their arguments begin there.
pub fn start_workers_here() {
    if let Ok(folder) = File::open(".") {
        let _ = FOLDER.set(folder);
    }
}

/// This process is called by the name that its command line has first: it was started by another one.
pub(in crate::core) fn take_name() {
    let name = std::env::args().next().unwrap_or_default();
    let name = name.rsplit('/').next().unwrap_or_default();
    if let Ok(name) = std::ffi::CString::new(name) {
        let _ = nix::sys::prctl::set_name(&name);
    }
}

/// Puts a program in the place of this process, which keeps its number; signals that wait go on waiting. Where that cannot be,
/// the one that runs begins anew. `name`: what the daemon is called. Returns only when neither can: the log has ended by then.
pub(super) fn go_on(program: &Path, name: Option<&str>) -> io::Error {
    let said = name.map_or_else(|| "1".to_owned(), |name| format!("{NAME}{name}"));
    let begin = |program: &Path| again(program).env(AGAIN, &said).exec();
    let error = begin(program);
    // Standard error may be gone, too.
    let _ = writeln!(
        io::stderr(),
        "{} cannot go on in our place: {error}; the program that runs begins anew",
        program.display()
    );
    begin(Path::new("/proc/self/exe"))
}
