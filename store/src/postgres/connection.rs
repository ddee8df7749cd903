//! Connections to PostgreSQL, and the error of queries.

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::pooled_connection::deadpool::{BuildError, Pool, PoolError};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _};
use futures_util::FutureExt as _;
use thicket_connect::{Expected, all_causes, with_advice};
use tokio_postgres::NoTls;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::server::{PostgresServer, PostgresServerError, Target};

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
pub async fn connect_postgres(server: impl Into<PostgresServer>) -> ConnectionResult<AsyncPgConnection> {
    let mut connection = establish(&server.into()).await?;
    connection
        .batch_execute("SET synchronous_commit = on; SET TIME ZONE 'UTC'; SET statement_timeout = '60s'")
        .await
        .map_err(|error| ConnectionError::BadConnection(error.to_string()))?;
    Ok(connection)
}

/// Connects, with TLS if the address asks for it. Reads the certificates.
///
/// # Errors
/// Returns an error that says what to do.
pub(super) async fn establish(server: &PostgresServer) -> ConnectionResult<AsyncPgConnection> {
    let invalid = |error: PostgresServerError| ConnectionError::InvalidConnectionUrl(error.to_string());
    let Target { config, tls } = server.target().map_err(invalid)?;
    let bad = |error: tokio_postgres::Error, expected| {
        ConnectionError::BadConnection(with_advice(&all_causes(&error), expected))
    };
    let Some(tls) = tls else {
        let connected = config.connect(NoTls).await;
        let (client, connection) = connected.map_err(|error| bad(error, Expected::Plain))?;
        return AsyncPgConnection::try_from_client_and_connection(client, connection).await;
    };
    let tls = tls.client_config().map_err(|error| invalid(error.into()))?;
    let connected = config.connect(MakeRustlsConnect::new((*tls).clone())).await;
    let (client, connection) = connected.map_err(|error| bad(error, Expected::Tls))?;
    AsyncPgConnection::try_from_client_and_connection(client, connection).await
}

/// Checks that the server answers on a connection.
pub async fn ping_postgres(connection: &mut AsyncPgConnection) -> Result<(), QueryError> {
    connection.batch_execute("SELECT 1").await
}

/// Returns the size of the database on disk, in bytes.
pub async fn database_bytes(connection: &mut AsyncPgConnection) -> Result<i64, QueryError> {
    diesel::select(diesel::dsl::sql::<diesel::sql_types::BigInt>("pg_database_size(current_database())"))
        .get_result(connection)
        .await
}

/// Creates a pool of at most `size` connections. Each is opened when it is first needed.
pub fn postgres_pool(server: impl Into<PostgresServer>, size: usize) -> Result<PostgresPool, BuildError> {
    let server = server.into();
    let shown = server.to_string();
    let mut config = ManagerConfig::default();
    config.custom_setup = Box::new(move |_| {
        let server = server.clone();
        async move { connect_postgres(server).await }.boxed()
    });
    Pool::builder(AsyncDieselConnectionManager::new_with_config(shown, config)).max_size(size).build()
}
