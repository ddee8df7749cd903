//! Connections to PostgreSQL.

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, SimpleAsyncConnection as _};

/// Connects with the settings that the commit point relies on: a commit that is reported is on disk.
pub async fn connect_postgres(url: &str) -> ConnectionResult<AsyncPgConnection> {
    let mut connection = AsyncPgConnection::establish(url).await?;
    connection
        .batch_execute("SET synchronous_commit = on; SET TIME ZONE 'UTC'; SET statement_timeout = '60s'")
        .await
        .map_err(|error| ConnectionError::BadConnection(error.to_string()))?;
    Ok(connection)
}
