//! Where dump files go.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::config::model::{Config, Global};

/// The files, and the bits that their modes do not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// State of the instances: `keepalived.data`.
    pub data: PathBuf,
    /// Settings: `keepalived_parent.data`.
    pub parent: PathBuf,
    /// Virtual servers: `keepalived_check.data`.
    pub check: PathBuf,
    /// BFD sessions: `keepalived_bfd.data`.
    pub bfd: PathBuf,
    /// Counters: `keepalived.stats`.
    pub stats: PathBuf,
    /// The JSON dump: `keepalived.json`.
    pub json: PathBuf,
    /// The file mode creation mask.
    pub umask: u32,
}

impl Places {
    /// The places of a configuration. `folder`: where files without a path of their own go. `namespace`: as the command line
    /// names it, in the place of the file's. With `data_use_instance` the names have `instance` and the network namespace of
    /// the file in them (keepalived.conf(5)), whatever the pid file is called.
    pub fn of(config: &Config, folder: &Path, namespace: Option<&str>, umask: u32) -> Self {
        let Global { state_dump_file, stats_dump_file, json_dump_file, data_use_instance, .. } =
            &config.global_defs;
        let namespace = namespace.or(config.net_namespace.as_deref());
        let names = [config.instance.as_deref(), namespace].into_iter().flatten();
        let infix: String = if *data_use_instance == Some(true) {
            names.map(|name| format!(".{name}")).collect()
        } else {
            String::new()
        };
        let state = |part: &str| match state_dump_file {
            Some(path) => beside(Path::new(path), part),
            None => folder.join(format!("keepalived{part}{infix}.data")),
        };
        let named = |path: &Option<String>, name: &str| {
            path.as_ref().map_or_else(|| folder.join(name), PathBuf::from)
        };
        Self {
            data: state(""),
            parent: state("_parent"),
            check: state("_check"),
            bfd: state("_bfd"),
            stats: named(stats_dump_file, "keepalived.stats"),
            json: named(json_dump_file, "keepalived.json"),
            umask,
        }
    }
}

/// `/x/name_part.ext` beside `/x/name.ext`.
fn beside(path: &Path, part: &str) -> PathBuf {
    let mut name = path.file_stem().map(OsString::from).unwrap_or_default();
    name.push(part);
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_keepalived_s() {
        let mut config = Config::default();
        let of = |config: &Config, namespace| Places::of(config, Path::new("/tmp"), namespace, 0o177);
        config.instance = Some("one".to_owned());
        let plain = of(&config, Some("red"));
        assert_eq!(plain.data, Path::new("/tmp/keepalived.data"));
        assert_eq!(plain.parent, Path::new("/tmp/keepalived_parent.data"));
        assert_eq!(plain.stats, Path::new("/tmp/keepalived.stats"));
        config.global_defs.data_use_instance = Some(true);
        let named = of(&config, None);
        assert_eq!(named.data, Path::new("/tmp/keepalived.one.data"));
        assert_eq!(named.check, Path::new("/tmp/keepalived_check.one.data"));
        assert_eq!(named.json, Path::new("/tmp/keepalived.json"));
        assert_eq!(of(&config, Some("red")).data, Path::new("/tmp/keepalived.one.red.data"));
        config.net_namespace = Some("blue".to_owned());
        assert_eq!(of(&config, None).data, Path::new("/tmp/keepalived.one.blue.data"));
        (config.instance, config.net_namespace) = (None, None);
        assert_eq!(of(&config, None).data, plain.data);
        config.global_defs.state_dump_file = Some("/run/x/state.txt".to_owned());
        config.global_defs.json_dump_file = Some("/run/x/j".to_owned());
        let own = of(&config, None);
        assert_eq!(
            (own.data.as_path(), own.bfd.as_path()),
            (Path::new("/run/x/state.txt"), Path::new("/run/x/state_bfd.txt"))
        );
        assert_eq!(own.json, Path::new("/run/x/j"));
    }
}
