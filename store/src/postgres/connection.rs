//! Connections to PostgreSQL, and the error of queries.

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::pooled_connection::deadpool::{BuildError, Pool, PoolError};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, SimpleAsyncConnection as _};
use futures_util::FutureExt as _;

/// A connection to PostgreSQL.
pub type PostgresConnection = AsyncPgConnection;

/// Why PostgreSQL did not execute a statement.
pub type QueryError = diesel::result::Error;

/// A pool of connections for queries.
pub type PostgresPool = Pool<AsyncPgConnection>;

/// Why a query has no result.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The pool has no connection.
    #[error("postgresql: {0}")]
    Pool(#[from] PoolError),
    /// The query failed.
    #[error("postgresql: {0}")]
    Query(#[from] diesel::result::Error),
    /// A stored field set is missing or invalid.
    #[error("a stored field set is damaged: {0}")]
    FieldSet(String),
}

/// Connects with the settings that the commit point needs: PostgreSQL reports a commit only once it
/// is on disk.
pub async fn connect_postgres(url: &str) -> ConnectionResult<AsyncPgConnection> {
    let mut connection = AsyncPgConnection::establish(url).await?;
    connection
        .batch_execute("SET synchronous_commit = on; SET TIME ZONE 'UTC'; SET statement_timeout = '60s'")
        .await
        .map_err(|error| ConnectionError::BadConnection(error.to_string()))?;
    Ok(connection)
}

/// Creates a pool of at most `size` connections. Each is opened when it is first needed.
pub fn postgres_pool(url: &str, size: usize) -> Result<PostgresPool, BuildError> {
    let mut config = ManagerConfig::default();
    config.custom_setup = Box::new(|url| {
        let url = url.to_owned();
        async move { connect_postgres(&url).await }.boxed()
    });
    Pool::builder(AsyncDieselConnectionManager::new_with_config(url, config)).max_size(size).build()
}
