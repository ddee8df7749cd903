//! `configs`: every configuration that a row was scored with, and the newest day of such a row.

use std::collections::BTreeMap;
use std::sync::Arc;

use diesel::pg::data_types::PgDate;
use diesel::sql_types::{BigInt, Date, Text};
use diesel::{QueryDsl as _, QueryResult, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_detector::{DetectorConfig, NamedConfig};
use thicket_schema::postgres::configs;

use super::connection::{PostgresPool, StoreError, quickly};

/// A configuration that rows refer to.
#[derive(Clone, Copy, Debug)]
pub(super) struct UsedConfig<'a> {
    /// Its settings, as JSON.
    pub(super) settings: &'a str,
    /// The newest day of these rows, counted as in [`day_of`](super::day_of).
    pub(super) newest_day: i32,
}

/// Stores the configurations that rows refer to, by identity.
pub(super) async fn upsert_configs(
    connection: &mut AsyncPgConnection,
    configs: &BTreeMap<u64, UsedConfig<'_>>,
) -> QueryResult<()> {
    // In the order of the identities, so that two writers cannot deadlock.
    for (&id, &UsedConfig { settings, newest_day }) in configs {
        sql_query(
            "INSERT INTO configs AS c (id, settings, newest_day) VALUES ($1, $2, $3)
             ON CONFLICT (id) DO UPDATE SET newest_day = excluded.newest_day WHERE c.newest_day < excluded.newest_day",
        )
        .bind::<BigInt, _>(id.cast_signed())
        .bind::<Text, _>(settings)
        .bind::<Date, _>(PgDate(newest_day))
        .execute(connection)
        .await?;
    }
    Ok(())
}

/// Returns all configurations that rows were scored with, by identity.
///
/// A configuration that this program cannot parse is left out: its rows count as rows of another
/// shape.
pub async fn stored_configs(pool: &PostgresPool) -> Result<BTreeMap<u64, Arc<NamedConfig>>, StoreError> {
    let stored: Vec<(i64, String)> = quickly(async {
        Ok(configs::table.select((configs::id, configs::settings)).load(&mut *pool.get().await?).await?)
    })
    .await?;
    let named = stored.into_iter().filter_map(|(id, settings)| {
        let config = DetectorConfig::from_json(&settings).ok()?;
        // The same settings have another identity under another version of the algorithm.
        if config.identity() != id.cast_unsigned() {
            return None;
        }
        let fingerprint = config.fingerprint();
        Some((
            id.cast_unsigned(),
            Arc::new(NamedConfig { config, identity: id.cast_unsigned(), fingerprint }),
        ))
    });
    Ok(named.collect())
}
