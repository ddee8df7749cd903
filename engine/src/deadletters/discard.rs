//! Deleting letters. The ledger's counters stay as they are; what was deleted is counted beside them, in the same transaction.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use anyhow::bail;
use diesel::sql_types::{Array, BigInt, Integer};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _};

use super::letter::{KeyColumns, LetterKey, NAMED};
use crate::words::count;

#[derive(QueryableByName)]
struct Gone {
    #[diesel(sql_type = Integer)]
    partition: i32,
    #[diesel(sql_type = BigInt)]
    letters: i64,
}

/// Deletes letters and returns how many there were.
pub(super) async fn discard(postgres: &mut AsyncPgConnection, keys: &[LetterKey]) -> anyhow::Result<i64> {
    let columns = KeyColumns::of(keys);
    let gone = postgres.transaction(async |postgres| {
        let gone: Vec<Gone> = sql_query(format!(
            "WITH gone AS (DELETE FROM dead_letters WHERE {NAMED} RETURNING partition)
             SELECT partition, count(*) AS letters FROM gone GROUP BY partition ORDER BY partition"
        ))
        .bind::<Array<Integer>, _>(columns.partition)
        .bind::<Array<BigInt>, _>(columns.generation)
        .bind::<Array<BigInt>, _>(columns.n)
        .bind::<Array<Integer>, _>(columns.item)
        .load(postgres)
        .await?;
        // One by one and in order, as the engine's writers lock them, so that none of us waits for another in a circle.
        for Gone { partition, letters } in &gone {
            sql_query("UPDATE partitions SET dropped_letters = dropped_letters + $2 WHERE id = $1")
                .bind::<Integer, _>(partition)
                .bind::<BigInt, _>(letters)
                .execute(postgres)
                .await?;
        }
        diesel::QueryResult::Ok(gone)
    });
    Ok(gone.await?.iter().map(|gone| gone.letters).sum())
}

/// Asks whether so many letters shall go.
pub(super) fn confirm(letters: usize) -> anyhow::Result<bool> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        bail!("{} would be deleted; say --yes where nobody can be asked", count(letters as u64, "letter"));
    }
    eprint!("delete {} for ever? [y/N] ", count(letters as u64, "letter"));
    std::io::stderr().flush()?;
    let mut answer = String::new();
    input.lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
