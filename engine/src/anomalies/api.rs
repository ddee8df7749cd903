//! Anomalies and labels through HTTP, for a button of a dashboard or another program. Names of
//! sensors contain slashes, so they are in the query or the body, never in the path.
//!
//! | request | answer |
//! |---|---|
//! | `GET /api/anomalies?sensor=PATTERN&since=TIME&unlabelled=true&limit=N` | a list, the newest first |
//! | `POST /api/labels`, body `{"sensor", "started", "label", "note", "author"}` | the anomaly |
//! | `DELETE /api/labels?sensor=NAME&started=TIME` | the anomaly |
//!
//! An error is `{"error": "…"}` with 400 (the request is wrong), 401 and 403 (no access), 404 (no
//! such anomaly), 421 (`Host` names another server) or 503 (PostgreSQL does not answer).

use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::WWW_AUTHENTICATE;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Data, Json, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use serde::Deserialize;
use serde_json::json;
use thicket_detector::Label;
use thicket_store::postgres::{Anomaly, AnomalyFilter, NewLabel, PostgresPool, QueryError, list_anomalies};

use super::label::{LabelError, change_label_of};
use crate::access::{Access, Refusal};
use crate::sensors::{self, SensorError};
use crate::time_arg;

/// How long PostgreSQL may take for an answer.
const TIMEOUT: Duration = Duration::from_secs(5);
const DEFAULT_LIMIT: i64 = 50;
const MAX_LIMIT: i64 = 1_000;
/// Maximum length of a request body in bytes.
const MAX_BYTES: usize = 16 << 10;

/// Adds the routes below `/api`.
pub(crate) fn routes(config: &mut ServiceConfig, pool: &PostgresPool, access: &Data<Access>) {
    let scope = web::scope("/api")
        .app_data(access.clone())
        .app_data(Data::new(pool.clone()))
        .app_data(
            web::JsonConfig::default()
                .limit(MAX_BYTES)
                .error_handler(|error, _| ApiError::bad_request(&error).into()),
        )
        .app_data(web::QueryConfig::default().error_handler(|error, _| ApiError::bad_request(&error).into()))
        .route("/anomalies", web::get().to(list))
        .route("/labels", web::post().to(set))
        .route("/labels", web::delete().to(clear))
        .default_service(web::to(not_found))
        .wrap(from_fn(check_access));
    config.service(scope);
}

async fn check_access(
    access: Data<Access>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let changes = !request.method().is_safe();
    match access.check(request.headers(), changes) {
        Ok(()) => Ok(next.call(request).await?.map_into_boxed_body()),
        Err(refusal) => Ok(request.into_response(ApiError::from(refusal).error_response())),
    }
}

/// An answer with an error status.
#[derive(Debug)]
struct ApiError {
    status: StatusCode,
    error: String,
}

impl ApiError {
    fn bad_request(error: &dyn std::fmt::Display) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: error.to_string() }
    }

    fn unavailable(error: &dyn std::fmt::Display) -> Self {
        let error = format!("postgresql does not answer: {error}");
        Self { status: StatusCode::SERVICE_UNAVAILABLE, error }
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.error)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, "Bearer"));
        }
        response.json(json!({ "error": self.error }))
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self { status: refusal.status(), error: refusal.to_string() }
    }
}

impl From<QueryError> for ApiError {
    /// A statement fails here because of PostgreSQL, not because of the request: the connection is
    /// lost, the tables are missing, or it takes too long.
    fn from(error: QueryError) -> Self {
        Self::unavailable(&error)
    }
}

impl From<LabelError> for ApiError {
    fn from(error: LabelError) -> Self {
        match error {
            LabelError::Database(error) | LabelError::Sensor(SensorError::Database(error)) => {
                Self::unavailable(&error)
            }
            LabelError::Sensor(SensorError::BadName(_)) => Self::bad_request(&error),
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
    limit: Option<String>,
}

async fn list(pool: Data<PostgresPool>, query: Query<ListQuery>) -> Result<Json<Vec<Anomaly>>, ApiError> {
    let ListQuery { sensor, since, unlabelled, limit } = query.into_inner();
    check_text("sensor", sensor.as_deref().unwrap_or_default())?;
    let since = since.as_deref().map(time_arg::parse).transpose();
    let unlabelled = match unlabelled.as_deref() {
        Some("" | "true" | "1") => true,
        None | Some("false" | "0") => false,
        Some(other) => {
            return Err(ApiError::bad_request(&format!(
                "unlabelled is {other:?}, but must be true or false"
            )));
        }
    };
    let limit = limit_of(limit.as_deref())?;
    let since = since.map_err(|error| ApiError::bad_request(&format!("since: {error}")))?;
    let filter =
        AnomalyFilter { sensors: sensor.filter(|pattern| !pattern.is_empty()), since, unlabelled, limit };
    within_timeout(async {
        let mut postgres = pool.get().await.map_err(|error| ApiError::unavailable(&error))?;
        Ok(Json(list_anomalies(&mut postgres, &filter).await?))
    })
    .await
}

/// Reads the maximum number of results. The error of a number that is read with the query would not
/// name it.
fn limit_of(text: Option<&str>) -> Result<i64, ApiError> {
    let Some(text) = text else { return Ok(DEFAULT_LIMIT) };
    let limit = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| ApiError::bad_request(&format!("limit is {text:?}, but must be 1 to {MAX_LIMIT}")))
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

async fn set(pool: Data<PostgresPool>, body: Json<LabelBody>) -> Result<Json<Anomaly>, ApiError> {
    let LabelBody { sensor, started, label, note, author } = body.into_inner();
    check_text("note", &note)?;
    check_text("author", &author)?;
    change(&pool, &sensor, &started, Some(NewLabel { label, note: &note, author: &author })).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClearQuery {
    sensor: String,
    started: String,
}

async fn clear(pool: Data<PostgresPool>, query: Query<ClearQuery>) -> Result<Json<Anomaly>, ApiError> {
    change(&pool, &query.sensor, &query.started, None).await
}

async fn change(
    pool: &PostgresPool,
    sensor: &str,
    started: &str,
    new: Option<NewLabel<'_>>,
) -> Result<Json<Anomaly>, ApiError> {
    let started = time_arg::parse_exact(started)
        .map_err(|error| ApiError::bad_request(&format!("started: {error}")))?;
    within_timeout(async {
        let mut postgres = pool.get().await.map_err(|error| ApiError::unavailable(&error))?;
        // Without a search for similar names, which takes seconds with many sensors.
        let found = sensors::find_exactly(&mut postgres, sensor).await.map_err(LabelError::from)?;
        Ok(Json(change_label_of(&mut postgres, &found, started, new).await?))
    })
    .await
}

/// Refuses a text that PostgreSQL cannot hold.
fn check_text(member: &str, text: &str) -> Result<(), ApiError> {
    if text.contains('\0') {
        return Err(ApiError::bad_request(&format!(
            "{member} contains NUL (U+0000); leave the character out"
        )));
    }
    Ok(())
}

async fn not_found(request: HttpRequest) -> HttpResponse {
    let error = format!("there is no {} {}", request.method(), request.path());
    ApiError { status: StatusCode::NOT_FOUND, error }.error_response()
}

async fn within_timeout<T>(answer: impl Future<Output = Result<T, ApiError>>) -> Result<T, ApiError> {
    tokio::time::timeout(TIMEOUT, answer).await.unwrap_or_else(|elapsed| Err(ApiError::unavailable(&elapsed)))
}
