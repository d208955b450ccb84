//! stub
use super::Event;
use crate::config::model::Config;
use crate::ipvs::table::Table;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
/// x
pub struct Outputs {
    /// x
    pub table: watch::Sender<Arc<Table>>,
    /// x
    pub events: mpsc::Sender<Event>,
}
/// x
pub async fn run(mut config: watch::Receiver<Arc<Config>>, _seed: u64, _out: Outputs) {
    while config.changed().await.is_ok() {}
}
