//! A transaction that PostgreSQL refuses because of a reading: which one it is. Outages must not be taken for that.

use std::ops::Range;

use diesel::result::{DatabaseErrorKind, Error as DatabaseError};
use diesel_async::{AsyncConnection as _, AsyncPgConnection};

use super::batch::{CommitBatch, ReadingColumns};
use super::offered::late_rows;
use super::rows::insert_readings;

/// A reading that PostgreSQL does not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unstorable {
    /// Which of the batches it is in.
    pub(super) batch: usize,
    /// Which row of the batch, the offered readings counted after the others.
    pub(super) row: usize,
    /// In the words of PostgreSQL.
    pub(super) detail: String,
}

/// The readings that PostgreSQL does not take while it takes others. Nothing of what is tried stands.
pub(super) async fn find_unstorable(
    connection: &mut AsyncPgConnection,
    batches: &[&CommitBatch],
) -> Result<Vec<Unstorable>, DatabaseError> {
    let mut found = Vec::new();
    let mut tried = 0;
    for (batch, contents) in batches.iter().enumerate() {
        let rows = rows_of(contents);
        tried += rows.len();
        search(connection, batch, &rows, &mut found).await?;
    }
    // What was refused is tried once more: a full disk may refuse one row and take the next.
    let mut certain = Vec::new();
    for suspect in found {
        let rows = rows_of(batches[suspect.batch]);
        if let Some(refusal) = refusal(connection, &rows.slice(suspect.row..suspect.row + 1)).await? {
            certain.push((suspect, refusal.is_violation));
        }
    }
    // Where nothing at all is taken, it is not for a reading's sake, unless PostgreSQL itself says so.
    let others_pass = certain.len() < tried;
    Ok(certain.into_iter().filter(|(_, violation)| *violation || others_pass).map(|(row, _)| row).collect())
}

/// All rows that a batch would insert.
pub(super) fn rows_of(batch: &CommitBatch) -> ReadingColumns {
    let mut rows = batch.rows.clone();
    rows.append(late_rows(&batch.offered));
    rows
}

/// Halves what is refused until single rows are left.
async fn search(
    connection: &mut AsyncPgConnection,
    batch: usize,
    rows: &ReadingColumns,
    found: &mut Vec<Unstorable>,
) -> Result<(), DatabaseError> {
    let mut open: Vec<Range<usize>> = Vec::from([Range { start: 0, end: rows.len() }]);
    while let Some(range) = open.pop() {
        let Some(refusal) = refusal(connection, &rows.slice(range.clone())).await? else { continue };
        if range.len() == 1 {
            found.push(Unstorable { batch, row: range.start, detail: refusal.detail });
            continue;
        }
        let middle = range.start + range.len() / 2;
        open.push(middle..range.end);
        open.push(range.start..middle);
    }
    Ok(())
}

struct Refusal {
    detail: String,
    /// The row breaks a rule of the table.
    is_violation: bool,
}

/// Why PostgreSQL does not take rows; nothing if it does. An error is one of the connection or of the server.
async fn refusal(
    connection: &mut AsyncPgConnection,
    rows: &ReadingColumns,
) -> Result<Option<Refusal>, DatabaseError> {
    let tried: Result<(), DatabaseError> = connection
        .transaction(async |connection| {
            insert_readings(connection, rows).await?;
            Err(DatabaseError::RollbackTransaction)
        })
        .await;
    match tried {
        Ok(()) | Err(DatabaseError::RollbackTransaction) => Ok(None),
        Err(DatabaseError::DatabaseError(kind, information)) => {
            let is_violation = is_violation(kind);
            if !is_violation && is_outage(kind, information.message()) {
                return Err(DatabaseError::DatabaseError(kind, information));
            }
            Ok(Some(Refusal { detail: information.message().to_owned(), is_violation }))
        }
        Err(error) => Err(error),
    }
}

const fn is_violation(kind: DatabaseErrorKind) -> bool {
    use DatabaseErrorKind::{CheckViolation, ExclusionViolation, ForeignKeyViolation, NotNullViolation};
    matches!(kind, CheckViolation | ExclusionViolation | ForeignKeyViolation | NotNullViolation)
}

/// Whether an error says something of the server rather than of a row.
fn is_outage(kind: DatabaseErrorKind, message: &str) -> bool {
    const SERVER: [&str; 10] = [
        "space left",
        "could not extend",
        "could not write",
        "could not open",
        "out of memory",
        "read-only",
        "canceling statement",
        "terminating connection",
        "deadlock",
        "permission denied",
    ];
    matches!(
        kind,
        DatabaseErrorKind::ClosedConnection
            | DatabaseErrorKind::SerializationFailure
            | DatabaseErrorKind::ReadOnlyTransaction
            | DatabaseErrorKind::UnableToSendCommand
    ) || SERVER.iter().any(|words| message.contains(words))
}
