//! Each bad file in tests/config/bad with exactly what `tandem check` prints of it. `UPDATE_GOLDEN=1` writes the
//! expectations anew: read the difference before you commit it.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn bad_files_are_explained_word_by_word() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut checked = 0;
    let mut names: Vec<_> =
        fs::read_dir(root.join("tests/config/bad")).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    for path in names.into_iter().filter(|p| p.extension().is_some_and(|e| e == "conf" || e == "yaml")) {
        let shown = path.strip_prefix(root).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_tandem"))
            .args(["check", "--text-only"])
            .arg(shown)
            .current_dir(root)
            .output()
            .unwrap();
        let mut text = String::from_utf8(output.stdout).unwrap();
        text += &format!("exit status {}\n", output.status.code().unwrap());
        let expected = path.with_extension("expected");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&expected, &text).unwrap();
        }
        let wanted = fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(text, wanted, "{} (UPDATE_GOLDEN=1 writes it anew)", shown.display());
        assert!(!text.contains("far-too-long-a-secret"), "a password was printed");
        checked += 1;
    }
    assert!(checked >= 3, "only {checked} bad files were found");
}
