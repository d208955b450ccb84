//! A headless Chromium, driven by its own protocol over two pipes: no port, no driver program.
#![allow(dead_code, reason = "each test program uses its own part")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Programs that are it, the smallest one first.
const PROGRAMS: [&str; 3] = ["chromium-headless-shell", "chromium", "google-chrome"];

/// The one of this machine.
pub(crate) fn program() -> Option<&'static str> {
    let there = |name: &&&str| {
        let found = Command::new("sh").args(["-c", "command -v \"$0\"", name]).stdout(Stdio::null()).status();
        found.is_ok_and(|status| status.success())
    };
    PROGRAMS.iter().find(there).copied()
}

/// A browser with one page.
pub(crate) struct Browser {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    folder: std::path::PathBuf,
    session: Option<String>,
    number: u64,
    /// What it said of itself meanwhile.
    pub(crate) events: Vec<Value>,
}

impl Browser {
    /// `scheme`: `light` or `dark`.
    pub(crate) fn open(program: &str, width: u32, height: u32, scheme: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("tandem-browser-{}-{width}-{scheme}", std::process::id()));
        // Pipe 3 is what it reads, 4 what it writes: those are our two standard streams.
        let line = format!(
            "exec {program} --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars \
             --no-first-run --user-data-dir={} --remote-debugging-pipe about:blank 3<&0 4>&1 0</dev/null 1>/dev/null",
            folder.display()
        );
        let mut child = Command::new("sh")
            .args(["-c", &line])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let to = child.stdin.take().unwrap();
        let from = BufReader::new(child.stdout.take().unwrap());
        let mut browser = Self { child, to, from, folder, session: None, number: 0, events: Vec::new() };
        let target =
            browser.call("Target.createTarget", &json!({ "url": "about:blank" }))["targetId"].clone();
        let attached = browser.call("Target.attachToTarget", &json!({ "targetId": target, "flatten": true }));
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        browser.call("Emulation.setDeviceMetricsOverride", &size);
        let wish = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        browser.call("Emulation.setEmulatedMedia", &wish);
        browser
    }

    /// One command, and its answer.
    pub(crate) fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.number += 1;
        let mut command = json!({ "id": self.number, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        let mut bytes = command.to_string().into_bytes();
        bytes.push(0);
        self.to.write_all(&bytes).unwrap();
        loop {
            let mut message = Vec::new();
            let count = self.from.read_until(0, &mut message).unwrap();
            assert!(count > 0, "the browser ended at {method}");
            message.pop();
            let message: Value = serde_json::from_slice(&message).unwrap();
            if message["id"] == self.number {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
            self.events.push(message);
        }
    }

    /// What a line of script comes to.
    pub(crate) fn value(&mut self, script: &str) -> Value {
        let ask = json!({ "expression": script, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", &ask);
        assert!(answer["exceptionDetails"].is_null(), "{script}: {answer}");
        answer["result"]["value"].clone()
    }

    /// The text of the first element that a selector finds; empty without one.
    pub(crate) fn text(&mut self, selector: &str) -> String {
        let script = format!("(document.querySelector({selector:?}) || {{}}).innerText || ''");
        self.value(&script).as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn open_page(&mut self, url: &str) {
        self.call("Page.navigate", &json!({ "url": url }));
    }

    /// Waits until a script is true.
    pub(crate) fn until(&mut self, script: &str) {
        let begun = Instant::now();
        // While the page comes there is nothing to look at.
        let tried = format!("(() => {{ try {{ return !!({script}) }} catch (_) {{ return false }} }})()");
        while self.value(&tried) != true {
            if begun.elapsed() > Duration::from_secs(60) {
                let (text, error) = (self.text("body"), self.value("(window.tandem || {}).error || ''"));
                panic!("not within 60 s: {script}\n{error}\n{text}");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// A key with its name, as the keyboard sends it.
    pub(crate) fn press(&mut self, key: &str) {
        let text = if key.chars().count() == 1 { key } else { "" };
        let code = match key {
            "Enter" => 13,
            "Escape" => 27,
            "ArrowLeft" => 37,
            "ArrowUp" => 38,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            _ => 0,
        };
        let down = json!({ "type": "keyDown", "key": key, "text": text, "windowsVirtualKeyCode": code });
        self.call("Input.dispatchKeyEvent", &down);
        self.call(
            "Input.dispatchKeyEvent",
            &json!({ "type": "keyUp", "key": key, "windowsVirtualKeyCode": code }),
        );
    }

    /// Errors of scripts, of the console and of what the page was refused (its Content-Security-Policy among it).
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        self.value("1");
        let loud = |event: &&Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => event["params"]["type"] == "error",
            Some("Log.entryAdded") => event["params"]["entry"]["level"] == "error",
            _ => false,
        };
        self.events.iter().filter(loud).map(|event| event["params"].to_string()).collect()
    }

    /// Hosts that were asked for anything.
    pub(crate) fn asked(&self) -> Vec<String> {
        let requests = self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        requests.filter_map(|event| event["params"]["request"]["url"].as_str().map(str::to_owned)).collect()
    }

    /// A picture of what is seen.
    pub(crate) fn picture(&mut self, path: &Path) {
        let picture = self.call("Page.captureScreenshot", &json!({ "format": "png" }));
        let bytes = openssl::base64::decode_block(picture["data"].as_str().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
