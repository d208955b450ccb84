//! What people and programs see of the daemon: values that the rooms fill in, and their renderings. Nothing here knows
//! vrrp or check; `core` brings what they say into these forms.
//!
//! Here so far: keepalived's dump files, in the layouts of its 2.2.7 (and `json_version 2` of its later versions), so that
//! exporters and checks that read them go on working. Labels that programs read are keepalived's; what has no meaning here
//! (file descriptors, thread addresses) is left out.
//!
//! | file | signal | rendered by |
//! | --- | --- | --- |
//! | `keepalived.data` | SIGUSR1 | [`data::topology`] |
//! | `keepalived_parent.data` | SIGUSR1 | [`page::Page::settings`] alone |
//! | `keepalived_check.data` | SIGUSR1 | [`services::topology`] |
//! | `keepalived_bfd.data` | SIGUSR1 | [`bfd::topology`] |
//! | `keepalived.stats` | SIGUSR2, SIGRTMAX-1 | [`stats::render`] |
//! | `keepalived.json` | SIGRTMIN+2 | [`json::render`] |

pub mod bfd;
pub mod data;
pub mod instance;
pub mod json;
pub mod page;
pub mod services;
pub mod stamp;
pub mod stats;
