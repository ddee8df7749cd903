//! The HTTP server: `/metrics`, `/healthz`, `/readyz`, and anomalies and their labels below `/api`.

mod connections;
mod one_by_one;

use std::sync::Arc;
use std::time::Duration;

use actix_http::HttpService;
use actix_http::error::DispatchError;
use actix_server::Server;
use actix_service::{ServiceFactoryExt as _, fn_service, map_config};
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{Data, resource};
use actix_web::{App, HttpResponse};
use anyhow::Context as _;
use prometheus::{Encoder as _, Registry, TextEncoder};
use thicket_actors::metrics::Metrics;
use thicket_store::complaints;
use thicket_store::postgres::postgres_pool;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::anomalies;
use crate::config::Config;
use crate::readiness::{Phase, Readiness};
use crate::stores_watch::StoresWatch;
use connections::{Connections, MAX_CONNECTIONS};

/// Maximum number of connections for `/api`. Each is made when it is first needed.
const API_CONNECTIONS: usize = 2;
/// How long a client may take for the handshake of TLS, and then for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request may take, with its body and its answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may stay open without a request. Prometheus scrapes more often.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a client may take to close a connection.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Number of connections that are closed but have not ended, beyond which no connection is accepted
/// until one ends. A connection takes up to two descriptors.
const MAX_CLOSING: usize = 64;
/// Number of connections that wait until the server accepts them.
const BACKLOG: u32 = 4_096;

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
    let access = Data::new(config.http.access()?);
    let connections = Connections::default();
    let health = Data::new(Health { registry, metrics: Arc::new(metrics), phase, stores });
    let app = move || {
        App::new()
            .wrap(from_fn(within_timeout))
            .app_data(health.clone())
            .service(resource("/metrics").get(metrics_text).head(metrics_text))
            .service(resource("/healthz").get(healthz).head(healthz))
            .service(resource("/readyz").get(readyz).head(readyz))
            .configure(|routes| anomalies::routes(routes, &pool, &access))
    };
    let tls = config.http.tls.server_config()?.map(|tls| TlsAcceptor::from(Arc::new(tls)));
    let has_tls = tls.is_some();
    let service = move || {
        let (connections, tls) = (connections.clone(), tls.clone());
        let accept = move |stream: TcpStream| connections.clone().accept(stream, tls.clone(), HEAD_TIMEOUT);
        let http = HttpService::build()
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(HEAD_TIMEOUT)
            .client_disconnect_timeout(CLOSE_TIMEOUT)
            .h1(map_config(app(), |()| AppConfig::default()));
        fn_service(accept).map_err(drop).and_then(http.map_err(|error| note_closed(&error)))
    };
    let server = Server::build()
        .workers(1)
        .backlog(BACKLOG)
        .max_concurrent_connections(MAX_CONNECTIONS + MAX_CLOSING)
        .disable_signals()
        .bind("http", listen, service)
        .with_context(|| format!("http.listen: {listen} cannot be bound (does another engine run here?)"))?;
    tracing::info!(%listen, tls = has_tls, "serving /metrics, /healthz, /readyz and /api");
    actix_rt::spawn(server.run());
    Ok(())
}

/// Logs why a connection was closed. Any client can cause it, as often as it likes.
fn note_closed(error: &DispatchError) {
    if let Some(repeated) = complaints::due("serve an HTTP client", error) {
        tracing::info!(%error, repeated, "a connection to the HTTP server was closed");
    }
}

/// Ends a request that takes too long, such as one whose body never ends.
async fn within_timeout(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    match tokio::time::timeout(REQUEST_TIMEOUT, next.call(request)).await {
        Ok(answer) => answer,
        Err(_) => Err(actix_web::error::ErrorRequestTimeout("the request took too long\n")),
    }
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
        Readiness::Standby => {
            HttpResponse::Ok().body("standby: other nodes hold the subscriptions and own the partitions\n")
        }
        Readiness::NotReady(reasons) => HttpResponse::ServiceUnavailable().body(reasons.join("\n") + "\n"),
    }
}
