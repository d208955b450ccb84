//! Orders in a file, so that they outlive the daemon and the machine's next start. A file that cannot be understood is put
//! aside and named; it never keeps the daemon from running.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::{Now, Orders};
use crate::core::kept::replace;

/// The file.
#[derive(Debug)]
pub struct Keeper {
    path: PathBuf,
    /// Number of the newest value that was written: values may arrive out of order.
    written: Mutex<u64>,
}

impl Keeper {
    /// The file of a daemon of that instance name (empty for the only one).
    pub fn new(directory: &Path, instance: &str) -> Self {
        let name = match instance {
            "" => "orders.json".to_owned(),
            name => format!("orders-{}.json", name.replace(['/', '\0'], "_")),
        };
        Self { path: directory.join(name), written: Mutex::default() }
    }

    /// What was kept, and what is wrong with it.
    pub fn read(&self, at: Now) -> (Orders, Option<String>) {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return (Orders::default(), None),
            Err(error) => {
                let problem = format!("{} cannot be read: {error}", self.path.display());
                return (Orders::default(), Some(problem));
            }
        };
        let (orders, problem) = Orders::parse(&text, at);
        let Some(problem) = problem else { return (orders, None) };
        let mut aside = self.path.clone().into_os_string();
        aside.push(".damaged");
        let kept = match fs::copy(&self.path, &aside) {
            Ok(_) => format!("it is kept as {}", PathBuf::from(aside).display()),
            Err(error) => format!("it cannot be copied: {error}"),
        };
        (orders, Some(format!("{} is damaged: {problem}; {kept}", self.path.display())))
    }

    /// Keeps these orders, unless newer ones are kept already. After a crash there is the old file or the new one, whole.
    ///
    /// # Errors
    /// The file system's, with the file's name.
    pub fn write(&self, orders: &Orders, at: Now) -> Result<(), String> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if orders.number() <= *written {
            return Ok(());
        }
        let result = if orders.is_empty() && !self.path.exists() {
            // Nothing to say, and nothing to take back.
            Ok(())
        } else {
            replace(&self.path, &orders.text(at), 0o600)
        };
        result.map_err(|error| format!("{}: {error}", self.path.display()))?;
        *written = orders.number();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::vrrp::machine::{Order, OrderKind};

    fn some() -> Orders {
        let mut orders = Orders::default();
        let order = Order { kind: OrderKind::StepDown, by: "x".to_owned(), at: Duration::ZERO, until: None };
        orders.give(&["VI_1".to_owned()], order);
        orders
    }

    #[test]
    fn what_is_kept_comes_back_and_what_is_damaged_is_put_aside() {
        let folder = std::env::temp_dir().join(format!("tandem-orders-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let at = Now { now: Instant::now(), wall: Duration::from_secs(9) };
        let keeper = Keeper::new(&folder, "two/x");
        assert_eq!(keeper.read(at), (Orders::default(), None));
        let mut orders = some();
        keeper.write(&orders, at).unwrap();
        let (back, problem) = Keeper::new(&folder, "two/x").read(at);
        assert_eq!((back.of("VI_1"), problem), (orders.of("VI_1"), None));
        let old = orders.clone();
        orders.take_back(&["VI_1".to_owned()]);
        keeper.write(&orders, at).unwrap();
        keeper.write(&old, at).unwrap();
        assert!(Keeper::new(&folder, "two/x").read(at).0.is_empty(), "one that was overtaken");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing is left beside it");
        let file = folder.join("orders-two_x.json");
        fs::write(&file, "{\"version\":1,").unwrap();
        let (orders, problem) = keeper.read(at);
        assert!(orders.is_empty() && problem.unwrap().contains("is damaged"));
        assert!(folder.join("orders-two_x.json.damaged").exists());
        fs::remove_dir_all(&folder).unwrap();
        fs::write(&folder, "a file, no folder").unwrap();
        assert!(Keeper::new(&folder, "").write(&some(), at).unwrap_err().contains("orders.json"));
        fs::remove_file(&folder).unwrap();
    }
}
