//! Anomalies and labels through HTTP, for a dashboard's button or another program. Sensors' names contain slashes, so they stand
//! in the query or the body, never in the path.
//!
//! | request | answer |
//! |---|---|
//! | `GET /api/anomalies?sensor=PATTERN&since=TIME&unlabelled=true&limit=N` | a list, the newest first |
//! | `POST /api/labels`, body `{"sensor", "started", "label", "note", "author"}` | the anomaly |
//! | `DELETE /api/labels?sensor=NAME&started=TIME` | the anomaly |
//!
//! An error is `{"error": "…"}` with 400 (the request is wrong), 404 (no such anomaly), 503 (PostgreSQL is away).

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Json, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use serde::Deserialize;
use serde_json::json;
use thicket_actors::checkpoint::PostgresPool;
use thicket_detector::Label;

use super::table::{self, Anomaly, Filter, LabelError, NewLabel};
use crate::sensors::SensorError;
use crate::when;

const PATIENCE: Duration = Duration::from_secs(5);
const DEFAULT_LIMIT: i64 = 50;
const MAX_LIMIT: i64 = 1_000;
/// Longest body of a request.
const MAX_BYTES: usize = 16 << 10;

/// Adds the routes below `/api`.
pub(crate) fn routes(config: &mut ServiceConfig, pool: &PostgresPool) {
    let scope = web::scope("/api")
        .app_data(Data::new(pool.clone()))
        .app_data(
            web::JsonConfig::default()
                .limit(MAX_BYTES)
                .error_handler(|error, _| Refused::wrong(&error).into()),
        )
        .app_data(web::QueryConfig::default().error_handler(|error, _| Refused::wrong(&error).into()))
        .route("/anomalies", web::get().to(list))
        .route("/labels", web::post().to(set))
        .route("/labels", web::delete().to(clear))
        .default_service(web::to(nowhere));
    config.service(scope);
}

/// An answer that is no success.
#[derive(Debug)]
struct Refused {
    status: StatusCode,
    error: String,
}

impl Refused {
    fn wrong(error: &dyn std::fmt::Display) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: error.to_string() }
    }

    fn away(error: &dyn std::fmt::Display) -> Self {
        let error = format!("postgresql does not answer: {error}");
        Self { status: StatusCode::SERVICE_UNAVAILABLE, error }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.error)
    }
}

impl ResponseError for Refused {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status).json(json!({ "error": self.error }))
    }
}

impl From<diesel::result::Error> for Refused {
    /// Whatever a statement fails by here is PostgreSQL's state, not the request's: the connection is gone, the tables are missing, or it
    /// takes too long.
    fn from(error: diesel::result::Error) -> Self {
        Self::away(&error)
    }
}

impl From<LabelError> for Refused {
    fn from(error: LabelError) -> Self {
        match error {
            LabelError::Database(error) | LabelError::Sensor(SensorError::Database(error)) => {
                Self::away(&error)
            }
            LabelError::Sensor(SensorError::BadName(_)) => Self::wrong(&error),
            LabelError::Sensor(SensorError::Unknown { .. }) | LabelError::NoAnomaly { .. } => {
                Self { status: StatusCode::NOT_FOUND, error: error.to_string() }
            }
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    sensor: Option<String>,
    since: Option<String>,
    unlabelled: Option<String>,
    limit: Option<i64>,
}

async fn list(pool: Data<PostgresPool>, query: Query<ListQuery>) -> Result<Json<Vec<Anomaly>>, Refused> {
    let ListQuery { sensor, since, unlabelled, limit } = query.into_inner();
    let since = since.as_deref().map(when::parse).transpose();
    let unlabelled = match unlabelled.as_deref() {
        Some("" | "true" | "1") => true,
        None | Some("false" | "0") => false,
        Some(other) => {
            return Err(Refused::wrong(&format!("unlabelled is {other:?}, but must be true or false")));
        }
    };
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Refused::wrong(&format!("limit is {limit}, but must be 1 to {MAX_LIMIT}")));
    }
    let since = since.map_err(|error| Refused::wrong(&format!("since: {error}")))?;
    let filter = Filter { sensors: sensor.filter(|pattern| !pattern.is_empty()), since, unlabelled, limit };
    within_patience(async {
        let mut postgres = pool.get().await.map_err(|error| Refused::away(&error))?;
        Ok(Json(table::list(&mut postgres, &filter).await?))
    })
    .await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LabelBody {
    sensor: String,
    started: String,
    label: Label,
    #[serde(default)]
    note: String,
    #[serde(default)]
    author: String,
}

async fn set(pool: Data<PostgresPool>, body: Json<LabelBody>) -> Result<Json<Anomaly>, Refused> {
    let LabelBody { sensor, started, label, note, author } = body.into_inner();
    change(&pool, &sensor, &started, Some(NewLabel { label, note: &note, author: &author })).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClearQuery {
    sensor: String,
    started: String,
}

async fn clear(pool: Data<PostgresPool>, query: Query<ClearQuery>) -> Result<Json<Anomaly>, Refused> {
    change(&pool, &query.sensor, &query.started, None).await
}

async fn change(
    pool: &PostgresPool,
    sensor: &str,
    started: &str,
    label: Option<NewLabel<'_>>,
) -> Result<Json<Anomaly>, Refused> {
    let started = when::parse_exact(started).map_err(|error| Refused::wrong(&format!("started: {error}")))?;
    within_patience(async {
        let mut postgres = pool.get().await.map_err(|error| Refused::away(&error))?;
        Ok(Json(table::label(&mut postgres, sensor, started, label).await?))
    })
    .await
}

async fn nowhere(request: HttpRequest) -> HttpResponse {
    let error = format!("there is no {} {}", request.method(), request.path());
    Refused { status: StatusCode::NOT_FOUND, error }.error_response()
}

async fn within_patience<T>(answer: impl Future<Output = Result<T, Refused>>) -> Result<T, Refused> {
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|elapsed| Err(Refused::away(&elapsed)))
}
