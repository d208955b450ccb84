//! What checkers can do beyond keepalived's: look at certificates, headers and JSON, speak first with a PROXY header,
//! ask gRPC servers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::object::object;
use super::{Connection, Pace, is_default};

/// What is asked of a server's certificate, beyond keepalived. Without a word nothing is: expired, self-signed and
/// foreign certificates are as good as any.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CertificateRules {
    /// Whose signature it must have: `system` for the machine's authorities, else the name of a PEM file with
    /// certificates of authorities. The name in it is checked as well.
    #[serde(skip_serializing_if = "is_default")]
    pub tls_verify: Option<String>,
    /// The name that it must have, with `tls_verify`; default the server name (SNI), else the virtual host, else the address.
    #[serde(skip_serializing_if = "is_default")]
    pub tls_verify_name: Option<String>,
    /// The check fails when it ends within so many days, 0..=3650; 0: when it has ended.
    #[serde(skip_serializing_if = "is_default")]
    pub tls_expiry: Option<u32>,
    /// A warning in the log, once a day, when it ends within so many days, 1..=3650.
    #[serde(skip_serializing_if = "is_default")]
    pub tls_expiry_warn: Option<u32>,
}

/// `send_proxy [v1|v2] [local]`: the PROXY header that a check's connection begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SendProxy {
    /// One line of text with the addresses of the check's own connection.
    V1,
    /// `PROXY UNKNOWN`.
    V1Local,
    /// Binary, with the addresses of the check's own connection.
    V2,
    /// Binary, LOCAL: a connection of the proxy's own, on nobody's behalf.
    V2Local,
}

/// `expect_json PATH [VALUE]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectJson {
    /// `a.b.0`, or a JSON pointer (RFC 6901) `/a/b/0`.
    pub path: String,
    /// What stands there: a text without quotes, a number, true, false or null; absent: anything.
    #[serde(default, skip_serializing_if = "is_default")]
    pub value: Option<String>,
}

object! {
    /// `GRPC_CHECK`: grpc.health.v1.Health/Check answers SERVING.
    #[derive(Default)]
    #[serde(default)]
    GrpcCheck {
        ;
        /// Target and source.
        connection: Connection,
        /// Timing.
        pace: Pace,
        /// Name of the service that is asked about; default "", the whole server.
        service: Option<String>,
        /// Authority of the request; else the real server's virtual host, the virtual server's, address:port.
        virtualhost: Option<String>,
        /// By TLS rather than in the clear.
        tls: bool,
        /// With `tls`: server name (SNI); default the virtual host, where it is a name.
        sni_name: Option<String>,
        /// With `tls`: what is asked of the certificate.
        server_certificate: CertificateRules,
        /// A PROXY header first.
        send_proxy: Option<SendProxy>,
    }
}
