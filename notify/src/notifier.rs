//! The actor that sends notifications: a task for the outbox, and one for each route. All its state
//! is in PostgreSQL, so it loses nothing by a panic or the end of the process, and another node
//! goes on.

use std::time::Duration;

use actix::{
    Actor, AsyncContext as _, Context, Handler, ResponseFuture, SpawnHandle, Supervised, WrapFuture as _,
};
use thicket_actors::messages::Drain;
use thicket_actors::metrics::Metrics;
use thicket_store::postgres::{PostgresPool, StoreError, release_routes};
use thicket_store::redis::NodeName;

use crate::route::Route;
use crate::shared::Shared;
use crate::{outbox, sender};

/// How long the release of the routes may take.
const RELEASE: Duration = Duration::from_secs(5);

/// The settings of a notifier.
#[derive(Debug)]
pub struct NotifierOptions {
    /// The routes of the configuration.
    pub routes: Vec<Route>,
    /// Name of the deployment.
    pub deployment: String,
    /// Name of this node.
    pub node: NodeName,
    /// `notify.keep`.
    pub keep: Duration,
    /// `notify.max_waiting`.
    pub max_waiting: u64,
}

/// Sends notifications.
pub struct Notifier {
    shared: Shared,
    tasks: Vec<SpawnHandle>,
}

impl Notifier {
    /// Creates a notifier.
    pub fn new(options: NotifierOptions, pool: PostgresPool, metrics: Metrics) -> Self {
        let NotifierOptions { routes, deployment, node, keep, max_waiting } = options;
        for route in &routes {
            metrics.notifications.begin(&route.config.name);
        }
        let shared = Shared {
            routes: routes.into(),
            deployment: deployment.into(),
            node,
            keep,
            max_waiting,
            pool,
            metrics,
        };
        Self { shared, tasks: Vec::new() }
    }
}

impl Actor for Notifier {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        let outbox = context.spawn(outbox::run(self.shared.clone()).into_actor(self));
        let routes: Vec<Route> = self.shared.routes.to_vec();
        let senders = routes
            .into_iter()
            .map(|route| context.spawn(sender::run(self.shared.clone(), route).into_actor(self)));
        self.tasks = std::iter::once(outbox).chain(senders.collect::<Vec<_>>()).collect();
    }
}

impl Supervised for Notifier {
    fn restarting(&mut self, context: &mut Context<Self>) {
        for task in self.tasks.drain(..) {
            context.cancel_future(task);
        }
    }
}

/// Stops sending, and lets another node send at once. A message that is being sent may arrive and
/// be sent again, with the same key.
impl Handler<Drain> for Notifier {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, context: &mut Context<Self>) -> Self::Result {
        for task in self.tasks.drain(..) {
            context.cancel_future(task);
        }
        let shared = self.shared.clone();
        Box::pin(async move {
            let release = async {
                let mut connection = shared.connection().await?;
                release_routes(&mut connection, shared.node.as_str()).await?;
                Ok::<(), StoreError>(())
            };
            match tokio::time::timeout(RELEASE, release).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "the routes are not released"),
                Err(error) => tracing::debug!(%error, "the routes are not released"),
            }
        })
    }
}
