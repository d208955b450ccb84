use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::super::farm::{Farm, Lane};
use super::super::outcome::{Outcome, Success};
use super::super::plan::Plan;
use super::Planner;
use crate::clock;
use crate::config::model::Config;
use crate::config::rereader::Rereader;
use crate::config::resolve::Facts;

/// A small file: a service for each number, whose first real server has that weight.
fn text(services: &[(u8, u8)], global: &str) -> String {
    let mut text = format!("global_defs {{\n    {global}\n}}\n");
    text += "virtual_server_group g {\n    10.1.0.1 80\n    10.0.0.3 80\n}\n";
    for (n, weight) in services {
        // One of them is a group, which has an address that another one may have before it.
        let name = if *n == 5 { "group g".to_owned() } else { format!("10.0.0.{n} 80") };
        text += &format!(
            "virtual_server {name} {{\n    delay_loop 6\n    lb_algo wrr\n    lb_kind NAT\n    protocol TCP\n    \
             real_server 192.0.2.{n} 80 {{\n        weight {weight}\n        TCP_CHECK {{\n        }}\n    }}\n    \
             real_server 192.0.2.99 80 {{\n        weight 1\n        TCP_CHECK {{\n        }}\n    }}\n}}\n"
        );
    }
    text
}

fn load(rereader: &mut Rereader, text: &str) -> Config {
    rereader.load_text(Path::new("t.conf"), text.as_bytes(), &Facts::default()).config
}

#[test]
fn what_has_not_changed_is_the_same_object() {
    let (mut rereader, mut planner) = (Rereader::default(), Planner::default());
    let mut plan =
        |services: &[(u8, u8)], global: &str| planner.plan(&load(&mut rereader, &text(services, global)));
    let first = plan(&[(1, 1), (2, 1), (3, 1)], "");
    let same = |plan: &Plan| {
        let old = |new: &&Arc<_>| first.services.iter().any(|old| Arc::ptr_eq(old, new));
        plan.services.iter().filter(old).count()
    };
    assert_eq!(same(&plan(&[(1, 1), (2, 7), (3, 1)], "")), 2);
    assert_eq!(same(&plan(&[(4, 1), (3, 1), (1, 1)], "")), 2);
    // Read and planned again, and nothing came of it.
    assert_eq!(same(&plan(&[(1, 1), (3, 1)], "router_id a")), 2);
    assert_eq!(same(&plan(&[(1, 1), (3, 1)], "checker_share off")), 0);
}

#[test]
fn a_changed_weight_restarts_no_check() {
    let now = clock::now();
    let (mut rereader, mut planner) = (Rereader::default(), Planner::default());
    let mut plan =
        |weight| planner.plan(&load(&mut rereader, &text(&[(1, 1), (2, weight), (3, 1), (5, 1)], "")));
    let (mut farm, _) = Farm::start(plan(1), 1, now);
    let later = now + Duration::from_secs(3600);
    let mut begun = Vec::new();
    while let Some(job) = farm.due(Lane::Connections, later) {
        begun.push(job);
    }
    // That of the server that all have, and one of each own.
    assert_eq!(begun.len(), 5);
    for weight in 2..100 {
        let before = farm.table();
        let reaction = farm.reload(plan(weight), later);
        assert_eq!((reaction.gone.len(), reaction.events.len(), reaction.notes.len()), (0, 0, 0));
        assert!(farm.due(Lane::Connections, later + Duration::from_secs(3600)).is_none(), "all of them run");
        let changed = before.iter().zip(&farm.table()).filter(|(old, new)| old != new).count();
        assert_eq!(changed, 1);
    }
    // Those that were under way count, each once.
    let outcome = Outcome { result: Ok(Success::default()), took: Duration::ZERO };
    begun.iter().for_each(|job| drop(farm.observe(job.id, &outcome, later)));
    assert_eq!((farm.status().checks, farm.status().late_results), (5, 0));
}

proptest! {
    /// Plans do not depend on those before them, nor does what a farm makes of them.
    #[test]
    fn a_plan_never_depends_on_those_before_it(
        files in prop::collection::vec(
            (
                prop::collection::vec((1u8..7, 1u8..3), 0..6),
                prop::sample::select(vec!["", "router_id a", "checker_share off"]),
            ),
            1..8,
        ),
    ) {
        let now = clock::now();
        let (mut rereader, mut planner) = (Rereader::default(), Planner::default());
        let (mut farm, _) = Farm::start(Plan::default(), 1, now);
        let outcome = Outcome { result: Ok(Success::default()), took: Duration::ZERO };
        for (n, (services, global)) in (1u32..).zip(files) {
            let now = now + Duration::from_secs(3600) * n;
            let config = load(&mut rereader, &text(&services, global));
            let plan = planner.plan(&config);
            prop_assert_eq!(&plan, &Plan::new(&config));
            farm.reload(plan, now);
            // All that are to run are there, once each, and count.
            let later = now + Duration::from_secs(1800);
            let (mut jobs, late) = (Vec::new(), farm.status().late_results);
            while let Some(job) = farm.due(Lane::Connections, later) {
                jobs.push(job);
            }
            jobs.iter().for_each(|job| drop(farm.observe(job.id, &outcome, later)));
            prop_assert_eq!(farm.status().late_results, late);
            let (fresh, _) = Farm::start(Plan::new(&config), 1, now);
            prop_assert_eq!(farm.table(), fresh.table());
        }
    }
}
