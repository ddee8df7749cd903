//! `configs`: every configuration that a row was scored with.

use std::collections::BTreeMap;
use std::sync::Arc;

use diesel::sql_types::{BigInt, Text};
use diesel::{QueryDsl as _, QueryResult, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_detector::{DetectorConfig, NamedConfig};
use thicket_schema::postgres::configs;

use super::connection::{PostgresPool, StoreError, quickly};

/// Stores the configurations that rows refer to.
pub(super) async fn insert_configs(
    connection: &mut AsyncPgConnection,
    configs: &BTreeMap<u64, &str>,
) -> QueryResult<()> {
    for (&id, &settings) in configs {
        sql_query("INSERT INTO configs (id, settings) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind::<BigInt, _>(id.cast_signed())
            .bind::<Text, _>(settings)
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
