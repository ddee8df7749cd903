//! The HTTP server: `/metrics`, `/healthz`, `/readyz`, and anomalies and their labels below `/api`.

use std::sync::Arc;

use actix_web::web::{Data, get};
use actix_web::{App, HttpResponse, HttpServer};
use anyhow::Context as _;
use prometheus::{Encoder as _, Registry, TextEncoder};
use thicket_actors::metrics::Metrics;
use thicket_store::postgres::postgres_pool;
use tokio::sync::watch;

use crate::anomalies;
use crate::config::Config;
use crate::readiness::{Phase, Readiness};
use crate::stores_watch::StoresWatch;

/// Maximum number of connections for `/api`. Each is made when it is first needed.
const API_CONNECTIONS: usize = 2;

struct Health {
    registry: Registry,
    metrics: Arc<Metrics>,
    phase: watch::Receiver<Phase>,
    stores: StoresWatch,
}

/// Starts the server on the current arbiter.
pub(crate) fn serve(
    config: &Config,
    registry: Registry,
    metrics: Metrics,
    phase: watch::Receiver<Phase>,
    stores: StoresWatch,
) -> anyhow::Result<()> {
    let listen = config.http.listen;
    let pool = postgres_pool(config.postgres.server(), API_CONNECTIONS)?;
    let health = Data::new(Health { registry, metrics: Arc::new(metrics), phase, stores });
    let app = move || {
        App::new()
            .app_data(health.clone())
            .route("/metrics", get().to(metrics_text))
            .route("/healthz", get().to(healthz))
            .route("/readyz", get().to(readyz))
            .configure(|routes| anomalies::routes(routes, &pool))
    };
    let server = HttpServer::new(app)
        .workers(1)
        .disable_signals()
        .bind(listen)
        .with_context(|| format!("http.listen: {listen} cannot be bound (does another engine run here?)"))?
        .run();
    tracing::info!(%listen, "serving /metrics, /healthz, /readyz and /api");
    actix_rt::spawn(server);
    Ok(())
}

async fn metrics_text(health: Data<Health>) -> HttpResponse {
    health.metrics.refresh();
    health.stores.set_gauges(&health.metrics);
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    match encoder.encode(&health.registry.gather(), &mut text) {
        Ok(()) => HttpResponse::Ok().content_type(encoder.format_type()).body(text),
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
}

/// Answers if the process is alive and its arbiter is not blocked.
async fn healthz() -> HttpResponse {
    HttpResponse::Ok().body("ok\n")
}

/// Answers 200 if readings flow, or if this node is a standby, and else 503 with the reasons.
async fn readyz(health: Data<Health>) -> HttpResponse {
    let phase = *health.phase.borrow();
    match Readiness::of(phase, &health.metrics, &health.stores.away()) {
        Readiness::Active => HttpResponse::Ok().body("ready\n"),
        Readiness::Standby => HttpResponse::Ok().body("standby: another node holds the subscriptions\n"),
        Readiness::NotReady(reasons) => HttpResponse::ServiceUnavailable().body(reasons.join("\n") + "\n"),
    }
}
