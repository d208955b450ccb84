//! `config_save_dir`: each configuration that was read, as one file without includes and variables, and how things stood before
//! and after each reload: to find out afterwards what a reload has done. Nothing is ever removed there.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::clock;
use crate::config::model::Config;
use crate::config::{self, is_yaml, yaml};
use crate::core::dump::Places;
use crate::core::dumper::What;

use super::Worker;

/// Names in the folder end with the number of the process and of the reading, from 0 on, as under keepalived.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Saves {
    readings: u64,
}

impl Worker {
    /// Saves a configuration that was read; `said`: what became of it. Nobody waits for the disk.
    pub(super) fn save(&mut self, config: Arc<Config>, said: &str) {
        let number = self.upkeep.saves.readings;
        self.upkeep.saves.readings += 1;
        let folder = config.global_defs.config_save_dir.as_ref();
        let Some(folder) = folder.or(self.config.global_defs.config_save_dir.as_ref()) else { return };
        let file = self.options.config.clone();
        let path = place(Path::new(folder), &file, number);
        let at = clock::utc(clock::wall());
        let head =
            format!("# {} as it was understood at {at}: {}\n", file.display(), said.replace('\n', " "));
        drop(tokio::task::spawn_blocking(move || {
            if let Err(error) = text(&file, &config).and_then(|text| write(&path, &(head + &text))) {
                tracing::error!("config_save_dir: {}: {error}", path.display());
            }
        }));
    }

    /// Saves how things stand; `when`: `pre` or `post` of the next reading, or of the last.
    pub(super) fn save_state(&mut self, when: &str) {
        let Some(folder) = self.config.global_defs.config_save_dir.clone() else { return };
        let next = u64::from(when == "pre");
        let number = (self.upkeep.saves.readings + next).saturating_sub(1);
        let folder = Path::new(&folder);
        if let Err(error) = make(folder) {
            tracing::error!("config_save_dir: {}: {error}", folder.display());
            return;
        }
        let of =
            |part: &str| folder.join(format!("keepalived_{part}.{}.{number}.{when}", std::process::id()));
        let places = Places {
            data: of("vrrp"),
            parent: of("parent"),
            check: of("check"),
            bfd: of("bfd"),
            stats: of("stats"),
            json: of("json"),
            umask: 0o177,
        };
        self.dump_to(What::Data, places);
    }
}

/// The file of a reading: named like the configuration.
fn place(folder: &Path, file: &Path, number: u64) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.{number}", std::process::id()));
    folder.join(name)
}

/// In the form of the file, or in YAML what keepalived.conf has no way to say.
fn text(file: &Path, config: &Config) -> io::Result<String> {
    let plain = if is_yaml(file) { None } else { config::to_conf(config).ok() };
    plain.map_or_else(|| yaml::to_yaml(config).map_err(io::Error::other), Ok)
}

/// The folder itself, not those above it: it holds passwords.
fn make(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        make(folder)?;
    }
    // An earlier process of that number may have left one.
    let _ = fs::remove_file(path);
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::resolve::Facts;

    #[test]
    fn what_is_saved_is_the_same_configuration() {
        let folder = std::env::temp_dir().join(format!("tandem-saves-{}", std::process::id()));
        let source = b"$R=7\nvrrp_instance A {\n interface eth0\n virtual_router_id $R\n virtual_ipaddress { 10.0.0.1 }\n}\n";
        let config = config::load_text(Path::new("x.conf"), source, &Facts::default()).config;
        for file in ["/etc/tandem/x.conf", "y.yaml"] {
            let path = place(&folder.join("saved"), Path::new(file), 3);
            let written = text(Path::new(file), &config).unwrap();
            assert!(write(&path, &written).is_err(), "folders above it are not made");
            fs::create_dir_all(&folder).unwrap();
            write(&path, &written).unwrap();
            write(&path, &written).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            assert!(name.ends_with(&format!(".{}.3", std::process::id())), "{name}");
            // Its name does not say which form it is in.
            let form = Path::new(file).file_name().unwrap();
            let again = config::load_text(Path::new(form), &fs::read(&path).unwrap(), &Facts::default());
            assert!(again.config == config && again.readable, "{written}");
            fs::remove_dir_all(&folder).unwrap();
        }
    }
}
