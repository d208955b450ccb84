//! What many servers of a plan share.

use super::super::common::Pool;
use super::super::plan::{Manner, RealRules, TlsPlan, UrlPlan, Way};

/// What servers have alike is kept once, from the beginning: ten thousand copies that are let go again leave holes in
/// memory.
#[derive(Debug, Default)]
pub(in crate::check) struct Pools {
    pub(super) reals: Pool<RealRules>,
    pub(super) manners: Pool<Manner>,
    pub(super) ways: Pool<Way>,
    pub(super) urls: Pool<Vec<UrlPlan>>,
    pub(super) tls: Pool<TlsPlan>,
}
