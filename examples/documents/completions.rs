//! Shell completions, from the definition of the command line.

use std::fs;
use std::io;
use std::path::Path;

use clap_complete::Shell;

/// Where each shell looks for them, below `/usr/share`.
const PLACES: [(Shell, &str); 3] = [
    (Shell::Bash, "bash-completion/completions/tandem"),
    (Shell::Zsh, "zsh/vendor-completions/_tandem"),
    (Shell::Fish, "fish/vendor_completions.d/tandem.fish"),
];

/// Writes them below that directory, as they stand below `/usr/share`.
///
/// # Errors
/// What the file system says.
pub(crate) fn write(directory: &Path) -> io::Result<()> {
    for (shell, place) in PLACES {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut tandem::cli::command(), "tandem", &mut text);
        let path = directory.join(place);
        fs::create_dir_all(path.parent().unwrap_or(directory))?;
        fs::write(path, text)?;
    }
    Ok(())
}
