//! The local door: HTTP/1.1 with JSON over a unix socket. `routes` and `answer` are pure: bytes of a request to a
//! [`Request`], an [`Answer`] to bytes; `server` carries them, `client` is what the commands use. What is answered is decided
//! elsewhere: requests go out through a channel, each with who asks, and come back as an [`Answer`]. The same server lets
//! others read over the network where the configuration says so; `page` is what a browser gets.

pub mod answer;
pub mod client;
pub mod openapi;
mod page;
pub mod routes;
pub mod server;
pub mod socket;
pub mod view;

pub use answer::{Answer, Failure};
pub use routes::Request;
