//! `thicket deadletter`: what could not be processed, and why.

use std::process::ExitCode;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use diesel::{ExpressionMethods as _, QueryDsl as _, Queryable};
use diesel_async::RunQueryDsl as _;
use serde::Serialize;
use thicket_actors::writer::connect_postgres;
use thicket_schema::Reason;
use thicket_schema::postgres::dead_letters;

use crate::cli::Format;
use crate::config::Config;

/// Characters of a payload in a listing.
const PREVIEW: usize = 60;

#[derive(Queryable, Serialize)]
struct Letter {
    partition: i32,
    generation: i64,
    n: i64,
    item: i32,
    received: DateTime<Utc>,
    reason: String,
    detail: String,
    topic: String,
    #[serde(serialize_with = "text")]
    payload: Vec<u8>,
    payload_bytes: i64,
}

fn text<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(bytes))
}

/// Lists dead letters, the newest first.
pub(crate) async fn list(
    config: &Config,
    reason: Option<String>,
    limit: i64,
    format: Format,
) -> anyhow::Result<ExitCode> {
    let mut query = dead_letters::table
        .select((
            dead_letters::partition,
            dead_letters::generation,
            dead_letters::n,
            dead_letters::item,
            dead_letters::received,
            dead_letters::reason,
            dead_letters::detail,
            dead_letters::topic,
            dead_letters::payload,
            dead_letters::payload_bytes,
        ))
        .order((dead_letters::received.desc(), dead_letters::n.desc(), dead_letters::item.desc()))
        .limit(limit)
        .into_boxed();
    if let Some(reason) = reason {
        let known = Reason::ALL.map(Reason::as_str).join(", ");
        let reason: Reason = reason
            .parse()
            .map_err(|_| anyhow::anyhow!("no such reason: {reason}; the reasons are {known}"))?;
        query = query.filter(dead_letters::reason.eq(reason.as_str()));
    }
    let mut connection = connect_postgres(&config.postgres.url)
        .await
        .context("postgresql does not answer: start it or set postgres.url")?;
    let letters: Vec<Letter> = query.load(&mut connection).await.context("run `thicket migrate` first?")?;
    if format.json {
        println!("{}", serde_json::to_string(&letters)?);
        return Ok(ExitCode::SUCCESS);
    }
    if letters.is_empty() {
        println!("no dead letters");
    }
    for letter in letters {
        let payload: String = String::from_utf8_lossy(&letter.payload).chars().take(PREVIEW).collect();
        println!(
            "{}  {:<20}  {}  {} bytes: {}\n    {}",
            letter.received.format("%Y-%m-%d %H:%M:%S"),
            letter.reason,
            letter.topic,
            letter.payload_bytes,
            payload.escape_debug(),
            letter.detail
        );
    }
    Ok(ExitCode::SUCCESS)
}
