//! Connections to PostgreSQL, the bounds of their waits, and the error of queries.
//!
//! A server can stop answering without closing a connection: its host vanishes, or a network device
//! between the two forgets the connection. So every wait of the engine has a bound on this side too.

use std::time::Duration;

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::pooled_connection::deadpool::{BuildError, Object, Pool, PoolError};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _};
use futures_util::FutureExt as _;
use thicket_connect::{Expected, all_causes, with_advice};
use tokio_postgres::tls::{MakeTlsConnect, NoTlsStream};
use tokio_postgres::{NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::server::{PostgresServer, PostgresServerError, Target};

/// How long to wait for a connection: TCP, TLS, password and settings.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long PostgreSQL may execute a statement, unless the connection sets another bound.
const STATEMENT_TIMEOUT: Duration = Duration::from_mins(1);
/// How long to wait for the answer of a connection of a pool before it is used again.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait for an answer that PostgreSQL gives in milliseconds.
const QUICK_ANSWER: Duration = Duration::from_secs(20);
/// How long to wait for an answer that may be large. PostgreSQL gives up before.
const LARGE_ANSWER: Duration = STATEMENT_TIMEOUT.saturating_add(Duration::from_secs(5));

/// A connection to PostgreSQL.
pub type PostgresConnection = AsyncPgConnection;

/// Why PostgreSQL did not execute a statement.
pub type QueryError = diesel::result::Error;

/// A pool of connections for queries.
pub type PostgresPool = Pool<AsyncPgConnection>;

/// A connection of a pool.
pub type PooledConnection = Object<AsyncPgConnection>;

/// Why a query has no result.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The pool has no connection.
    #[error("postgresql gives no connection: {}", cause_of(.0))]
    Pool(#[from] PoolError),
    /// The query failed.
    #[error("postgresql: {0}")]
    Query(#[from] diesel::result::Error),
    /// There is no answer. The connection is not used again.
    #[error("postgresql has not answered for {} s", .0.as_secs())]
    Silent(Duration),
    /// A stored field set is missing or invalid.
    #[error("a stored field set is damaged: {0}")]
    FieldSet(String),
}

/// Returns why there is no connection, without the words of the pool.
fn cause_of(error: &PoolError) -> String {
    match error {
        PoolError::Backend(cause) => cause.to_string(),
        other => other.to_string(),
    }
}

/// Connects with the settings that the commit point needs: PostgreSQL reports a commit only once it
/// is on disk.
///
/// # Errors
/// Returns an error that says what to do. Also if the server does not answer.
pub async fn connect_postgres(server: impl Into<PostgresServer>) -> ConnectionResult<AsyncPgConnection> {
    let server = server.into();
    let connect = async {
        let mut connection = establish(&server).await?;
        let timeout = STATEMENT_TIMEOUT.as_millis();
        // PostgreSQL ends a statement whose client has gone. Its versions before 14 cannot.
        let settings = format!(
            "SET synchronous_commit = on; SET TIME ZONE 'UTC'; SET statement_timeout = {timeout};
             SELECT set_config(name, '2s', false) FROM pg_settings WHERE name = 'client_connection_check_interval'"
        );
        let set = connection.batch_execute(&settings).await;
        set.map_err(|error| ConnectionError::BadConnection(error.to_string()))?;
        Ok(connection)
    };
    tokio::time::timeout(CONNECT_TIMEOUT, connect).await.unwrap_or_else(|_| {
        let seconds = CONNECT_TIMEOUT.as_secs();
        Err(ConnectionError::BadConnection(format!("no answer within {seconds} s")))
    })
}

/// Waits for an answer that PostgreSQL gives in milliseconds, with a bound.
pub(super) async fn quickly<T>(query: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    within(QUICK_ANSWER, query).await
}

/// Waits for an answer that may be large, with a bound.
pub(super) async fn patiently<T>(
    query: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    within(LARGE_ANSWER, query).await
}

/// A query that is dropped returns its connection to the pool. The pool finds out whether it answers.
async fn within<T>(
    limit: Duration,
    query: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::time::timeout(limit, query).await.unwrap_or(Err(StoreError::Silent(limit)))
}

/// Connects, with TLS if the address asks for it. Reads the certificates.
///
/// # Errors
/// Returns an error that says what to do.
pub(super) async fn establish(server: &PostgresServer) -> ConnectionResult<AsyncPgConnection> {
    match connect(server).await? {
        (client, Connection::Plain(connection)) => {
            AsyncPgConnection::try_from_client_and_connection(client, *connection).await
        }
        (client, Connection::Tls(connection)) => {
            AsyncPgConnection::try_from_client_and_connection(client, *connection).await
        }
    }
}

/// Connects like [`establish`], for statements that diesel does not have.
pub(super) async fn establish_client(server: &PostgresServer) -> ConnectionResult<tokio_postgres::Client> {
    let (client, connection) = connect(server).await?;
    // The statements of the client report why the connection has ended.
    match connection {
        Connection::Plain(connection) => drop(tokio::spawn(*connection)),
        Connection::Tls(connection) => drop(tokio::spawn(*connection)),
    }
    Ok(client)
}

type TlsStream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// The part of a connection that talks to the server.
enum Connection {
    Plain(Box<tokio_postgres::Connection<Socket, NoTlsStream>>),
    Tls(Box<tokio_postgres::Connection<Socket, TlsStream>>),
}

async fn connect(server: &PostgresServer) -> ConnectionResult<(tokio_postgres::Client, Connection)> {
    let invalid = |error: PostgresServerError| ConnectionError::InvalidConnectionUrl(error.to_string());
    let Target { config, tls } = server.target().map_err(invalid)?;
    let bad = |error: tokio_postgres::Error, expected| {
        ConnectionError::BadConnection(with_advice(&all_causes(&error), expected))
    };
    let Some(tls) = tls else {
        let connected = config.connect(NoTls).await;
        let (client, connection) = connected.map_err(|error| bad(error, Expected::Plain))?;
        return Ok((client, Connection::Plain(Box::new(connection))));
    };
    let tls = tls.client_config().map_err(|error| invalid(error.into()))?;
    let connected = config.connect(MakeRustlsConnect::new((*tls).clone())).await;
    let (client, connection) = connected.map_err(|error| bad(error, Expected::Tls))?;
    Ok((client, Connection::Tls(Box::new(connection))))
}

/// Asks the server on a connection. Returns whether it takes writes: a standby and a server or user with
/// `default_transaction_read_only` do not.
pub async fn takes_writes(connection: &mut AsyncPgConnection) -> Result<bool, QueryError> {
    let read_only = "current_setting('transaction_read_only')::bool";
    let is_read_only: bool =
        diesel::select(diesel::dsl::sql::<diesel::sql_types::Bool>(read_only)).get_result(connection).await?;
    Ok(!is_read_only)
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
    config.recycling_method = RecyclingMethod::CustomFunction(Box::new(|connection| {
        async {
            let ping = diesel::sql_query("SELECT 1").execute(connection);
            let answer = tokio::time::timeout(PING_TIMEOUT, ping).await;
            answer.map_or(Err(QueryError::NotFound), |answer| answer.map(drop))
        }
        .boxed()
    }));
    Pool::builder(AsyncDieselConnectionManager::new_with_config(shown, config)).max_size(size).build()
}
