//! Small things that several objects are made of.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::is_default;
use crate::config::units::Secs;

/// `smtp_server HOST [PORT]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SmtpServer {
    /// Address or name.
    pub host: String,
    /// Port; 25 when the file names none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub port: Option<u16>,
}

/// `ADDRESS[%INTERFACE] [PORT]`: one end of the channel of a pair. In YAML the same text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairPoint {
    /// Its address.
    pub address: std::net::IpAddr,
    /// The interface of a link-local one, behind `%`.
    pub interface: Option<String>,
    /// Its port, 1..=65535; 9651 when the file names none.
    pub port: Option<u16>,
}

/// `USER [GROUP]` of a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScriptUser {
    /// User name.
    pub user: String,
    /// Group name; the user's own group when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub group: Option<String>,
}

/// A user's program: its words, never run through a shell, and whom to run it as.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The program and its arguments, already split (quotes and escapes resolved). Never empty.
    pub argv: Vec<String>,
    /// User named beside the command; else `script_user`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub user: Option<ScriptUser>,
}

/// `notify_fifo PATH [USER [GROUP]]`: a named pipe and its owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fifo {
    /// Absolute path; created when it is not there.
    pub path: String,
    /// Its owner; else `script_user`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub user: Option<ScriptUser>,
}

/// VRRP protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum VrrpVersion {
    /// RFC 3768.
    V2,
    /// RFC 9568 (and RFC 5798).
    V3,
}

impl TryFrom<u8> for VrrpVersion {
    type Error = String;
    fn try_from(n: u8) -> Result<Self, String> {
        match n {
            2 => Ok(Self::V2),
            3 => Ok(Self::V3),
            other => Err(format!("VRRP version {other} does not exist: write 2 or 3")),
        }
    }
}

impl From<VrrpVersion> for u8 {
    fn from(v: VrrpVersion) -> Self {
        match v {
            VrrpVersion::V2 => 2,
            VrrpVersion::V3 => 3,
        }
    }
}

impl JsonSchema for VrrpVersion {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "VrrpVersion".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "description": "VRRP protocol version.", "enum": [2, 3] })
    }
}

/// A secret whose text never reaches a log or a dump: `Debug` masks it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("XXXXXX")
    }
}

/// One element of a `track_…` block: `NAME [weight N [reverse|noreverse]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Track {
    /// Name of the script, interface, file, process, BFD instance or virtual server.
    pub name: String,
    /// Overrides the tracker's own weight; interface default 0 (= FAULT when down). −253..=253, files and processes
    /// −254..=254.
    #[serde(default, skip_serializing_if = "is_default")]
    pub weight: Option<i16>,
    /// Overrides the sense.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reverse: Option<bool>,
}

/// `garp_extra_if [all] SECS`: announce also on other interfaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtraInterfaces {
    /// On all of them, not just those that belong to a VMAC.
    #[serde(default, skip_serializing_if = "is_default")]
    pub all: bool,
    /// How often; 0 = off.
    pub interval: Secs,
}
