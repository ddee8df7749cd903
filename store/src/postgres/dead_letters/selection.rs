//! Listing, marking and deleting dead letters, by their keys or by a filter.

use diesel::pg::Pg;
use diesel::query_builder::{BoxedSqlQuery, SqlQuery};
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Timestamptz};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::postgres::DeadLetterRow;
use thicket_schema::{PartitionId, Position, Reason, RecordPosition, Timestamp};

use super::super::partitions::add_deleted_dead_letters;
use super::super::pattern::like;
use super::key::DeadLetterKey;

/// Which dead letters, by their content.
#[derive(Clone, Debug, Default)]
pub struct DeadLetterFilter {
    /// Only dead letters of this reason.
    pub reason: Option<Reason>,
    /// Only dead letters whose topic matches this pattern: `*` any text, `?` any character.
    pub topic: Option<String>,
    /// Only dead letters that arrived then or later.
    pub since: Option<Timestamp>,
}

/// Which dead letters, by their keys and by their content.
#[derive(Clone, Debug, Default)]
pub struct DeadLetterSelection {
    /// Their keys. Empty: every dead letter that passes the filter.
    pub keys: Vec<DeadLetterKey>,
    /// They also pass this filter.
    pub filter: DeadLetterFilter,
}

/// A dead letter that a selection contains.
#[derive(Clone, Copy, Debug)]
pub struct SelectedDeadLetter {
    /// Its key.
    pub key: DeadLetterKey,
    /// Whether it has been republished before.
    pub was_replayed: bool,
}

/// A statement whose type is the same whatever is bound to it.
type Statement = BoxedSqlQuery<'static, Pg, SqlQuery>;

const KEY_COLUMNS: &str = "partition, generation, n, item";

/// A condition: the dead letter passes a [`DeadLetterFilter`], whose values are bound from `$1` to
/// `$3`.
const PASSES: &str =
    "($1 IS NULL OR reason = $1) AND ($2 IS NULL OR topic LIKE $2) AND ($3 IS NULL OR received >= $3)";

/// A condition: the key is among those that [`bind_keys`] binds from `$first` on.
fn has_key(first: u32) -> String {
    let [partition, generation, n, item] = [first, first + 1, first + 2, first + 3];
    format!(
        "({KEY_COLUMNS}) IN
         (SELECT * FROM unnest(${partition}::int4[], ${generation}::int8[], ${n}::int8[], ${item}::int4[]))"
    )
}

/// Binds keys to the next four parameters of a statement, an array per column.
fn bind_keys(statement: Statement, keys: &[DeadLetterKey]) -> Statement {
    let position = |key: &DeadLetterKey| key.position.position;
    let partitions = keys.iter().map(|key| i32::from(key.partition.0));
    let generations = keys.iter().map(|key| position(key).generation.cast_signed());
    let numbers = keys.iter().map(|key| position(key).n.cast_signed());
    let items = keys.iter().map(|key| key.position.item.cast_signed());
    statement
        .bind::<Array<Integer>, _>(partitions.collect::<Vec<i32>>())
        .bind::<Array<BigInt>, _>(generations.collect::<Vec<i64>>())
        .bind::<Array<BigInt>, _>(numbers.collect::<Vec<i64>>())
        .bind::<Array<Integer>, _>(items.collect::<Vec<i32>>())
}

/// Returns the newest dead letters that pass a filter, at most `limit`.
pub async fn newest_dead_letters(
    connection: &mut AsyncPgConnection,
    filter: &DeadLetterFilter,
    limit: i64,
) -> QueryResult<Vec<DeadLetterRow>> {
    sql_query(format!(
        "SELECT * FROM dead_letters WHERE {PASSES} ORDER BY received DESC, n DESC, item DESC LIMIT $4"
    ))
    .bind::<Nullable<Text>, _>(filter.reason.map(Reason::as_str))
    .bind::<Nullable<Text>, _>(filter.topic.as_deref().map(like))
    .bind::<Nullable<Timestamptz>, _>(filter.since)
    .bind::<BigInt, _>(limit)
    .load(connection)
    .await
}

/// Returns the dead letters that a selection contains, in the order of the logs. A key of the
/// selection that has no row is missing from the result.
pub async fn select_dead_letters(
    connection: &mut AsyncPgConnection,
    selection: &DeadLetterSelection,
) -> QueryResult<Vec<SelectedDeadLetter>> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Integer)]
        partition: i32,
        #[diesel(sql_type = BigInt)]
        generation: i64,
        #[diesel(sql_type = BigInt)]
        n: i64,
        #[diesel(sql_type = Integer)]
        item: i32,
        #[diesel(sql_type = Bool)]
        was_replayed: bool,
    }
    let DeadLetterSelection { keys, filter } = selection;
    let statement = sql_query(format!(
        "SELECT {KEY_COLUMNS}, replayed IS NOT NULL AS was_replayed FROM dead_letters
         WHERE {PASSES} AND ($4 OR {has_key}) ORDER BY {KEY_COLUMNS}",
        has_key = has_key(5)
    ))
    .into_boxed()
    .bind::<Nullable<Text>, _>(filter.reason.map(Reason::as_str))
    .bind::<Nullable<Text>, _>(filter.topic.as_deref().map(like))
    .bind::<Nullable<Timestamptz>, _>(filter.since)
    .bind::<Bool, _>(keys.is_empty());
    let rows: Vec<Row> = bind_keys(statement, keys).load(connection).await?;
    let selected = |row: Row| {
        let position = Position::from_columns(row.generation, row.n);
        let position = RecordPosition { position, item: row.item.cast_unsigned() };
        let key = DeadLetterKey { partition: PartitionId(row.partition as u16), position };
        SelectedDeadLetter { key, was_replayed: row.was_replayed }
    };
    Ok(rows.into_iter().map(selected).collect())
}

/// Returns the dead letters of these keys, in the order of the logs.
pub async fn dead_letters_by_key(
    connection: &mut AsyncPgConnection,
    keys: &[DeadLetterKey],
) -> QueryResult<Vec<DeadLetterRow>> {
    let statement =
        sql_query(format!("SELECT * FROM dead_letters WHERE {} ORDER BY {KEY_COLUMNS}", has_key(1)));
    bind_keys(statement.into_boxed(), keys).load(connection).await
}

/// Marks dead letters as republished now.
pub async fn mark_replayed(connection: &mut AsyncPgConnection, keys: &[DeadLetterKey]) -> QueryResult<()> {
    let statement = sql_query(format!("UPDATE dead_letters SET replayed = now() WHERE {}", has_key(1)));
    bind_keys(statement.into_boxed(), keys).execute(connection).await?;
    Ok(())
}

/// Deletes dead letters and returns how many. The same transaction counts them in their partitions,
/// so that the ledger still accounts for them.
pub async fn delete_dead_letters(
    connection: &mut AsyncPgConnection,
    keys: &[DeadLetterKey],
) -> QueryResult<i64> {
    #[derive(QueryableByName)]
    struct Deleted {
        #[diesel(sql_type = Integer)]
        partition: i32,
        #[diesel(sql_type = BigInt)]
        dead_letters: i64,
    }
    let deleted = connection.transaction(async |connection| {
        let statement = sql_query(format!(
            "WITH deleted AS (DELETE FROM dead_letters WHERE {} RETURNING partition)
             SELECT partition, count(*) AS dead_letters FROM deleted GROUP BY partition ORDER BY partition",
            has_key(1)
        ));
        let deleted: Vec<Deleted> = bind_keys(statement.into_boxed(), keys).load(connection).await?;
        // The rows are locked one by one, in the order in which the engine's writers lock them: no
        // deadlock.
        for Deleted { partition, dead_letters } in &deleted {
            add_deleted_dead_letters(connection, *partition, *dead_letters).await?;
        }
        QueryResult::Ok(deleted)
    });
    Ok(deleted.await?.iter().map(|deleted| deleted.dead_letters).sum())
}
