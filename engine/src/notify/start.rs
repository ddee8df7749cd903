//! Starts the actor that sends notifications.

use std::time::Duration;

use actix::Addr;
use thicket_actors::metrics::Metrics;
use thicket_actors::supervision::{ExitSignal, Intensity, Supervision, start_here};
use thicket_notify::{Notifier, NotifierOptions};
use thicket_store::postgres::postgres_pool;

use crate::config::Config;
use crate::topology::Topology;

/// Maximum number of connections to PostgreSQL. None is held while a receiver is waited for.
const CONNECTIONS: usize = 2;
/// Maximum number of restarts within a minute.
const RESTARTS: usize = 5;
const RESTARTS_WITHIN: Duration = Duration::from_mins(1);

/// Starts the actor. It also runs without routes, to delete old notifications.
pub(crate) fn start(
    config: &Config,
    topology: &Topology,
    metrics: &Metrics,
    exit: &ExitSignal,
) -> anyhow::Result<Addr<Notifier>> {
    let options = NotifierOptions {
        routes: config.notify.routes()?,
        deployment: topology.deployment().to_owned(),
        node: topology.node().clone(),
        keep: config.notify.keep,
        max_waiting: config.notify.max_waiting,
    };
    let supervision = Supervision {
        actor: "notifier",
        intensity: Intensity::new(RESTARTS, RESTARTS_WITHIN),
        exit: exit.clone(),
        restarts: metrics.actor_restarts.with_label_values(&["notifier"]),
    };
    let pool = postgres_pool(config.postgres.server(), CONNECTIONS)?;
    Ok(start_here(Notifier::new(options, pool, metrics.clone()), supervision))
}
