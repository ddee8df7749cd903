//! Finds the rows and sensors that make PostgreSQL reject a transaction, by bisection. It must not
//! take an outage for a bad row.

use std::ops::Range;
use std::time::Duration;

use diesel::result::{DatabaseErrorKind, Error as DatabaseError};
use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use thicket_schema::postgres::ReadingRow;

use super::batch::{CommitBatch, LoggedRow, SeenSensor};
use super::readings::{Rejection, try_insert_readings};
use super::sensors::try_upsert_sensors;

/// A reading whose row PostgreSQL rejects.
#[derive(Clone, Debug)]
pub(super) struct Unstorable {
    /// The index of its batch.
    pub(super) batch: usize,
    /// The row.
    pub(super) row: LoggedRow,
    /// The error message of PostgreSQL.
    pub(super) detail: String,
}

/// Finds the readings whose rows PostgreSQL rejects while it accepts others. Rolls back every try.
/// `limit`: how long a try may take.
pub(super) async fn find_unstorable(
    connection: &mut AsyncPgConnection,
    batches: &[&CommitBatch],
    limit: Duration,
) -> Result<Vec<Unstorable>, DatabaseError> {
    let of_sensor = readings_of_refused_sensor(connection, batches, limit).await?;
    if !of_sensor.is_empty() {
        return Ok(of_sensor);
    }
    let mut found = Vec::new();
    let mut tried = 0;
    for (batch, contents) in batches.iter().enumerate() {
        let rows = contents.all_rows();
        tried += rows.len();
        for (row, detail) in search(connection, &rows, limit).await? {
            found.push(Unstorable { batch, row: rows[row].clone(), detail });
        }
    }
    // Try every rejected row once more: with a full disk, PostgreSQL may reject one row and accept
    // the next.
    let mut certain = Vec::new();
    for suspect in found {
        let row = Attempt::Rows(std::slice::from_ref(&suspect.row));
        if let Some(refused) = refusal(connection, row, limit).await? {
            certain.push((suspect, refused.is_violation));
        }
    }
    // If PostgreSQL rejects every row, only the rows that violate a constraint are to blame.
    let others_pass = certain.len() < tried;
    Ok(certain.into_iter().filter(|(_, violation)| *violation || others_pass).map(|(row, _)| row).collect())
}

/// Returns the readings of the first sensor and field set that PostgreSQL rejects, in the order of
/// the log. It accepts all sensors before: a sensor may be rejected because of one of them.
async fn readings_of_refused_sensor(
    connection: &mut AsyncPgConnection,
    batches: &[&CommitBatch],
    limit: Duration,
) -> Result<Vec<Unstorable>, DatabaseError> {
    let mut batch_of = Vec::new();
    let mut all: Vec<(i32, &SeenSensor)> = Vec::new();
    for (index, batch) in batches.iter().enumerate() {
        all.extend(batch.sensors.iter().map(|seen| (i32::from(batch.partition.0), seen)));
        batch_of.resize(all.len(), index);
    }
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let Some(mut refused) = refusal(connection, Attempt::Sensors(&all), limit).await? else {
        return Ok(Vec::new());
    };
    let (mut accepted, mut rejected) = (0, all.len());
    while rejected - accepted > 1 {
        let middle = accepted.midpoint(rejected);
        match refusal(connection, Attempt::Sensors(&all[..middle]), limit).await? {
            None => accepted = middle,
            Some(shorter) => (rejected, refused) = (middle, shorter),
        }
    }
    // With a full disk, PostgreSQL may reject one try and accept the next.
    let is_certain = refusal(connection, Attempt::Sensors(&all[..rejected]), limit).await?.is_some();
    if !is_certain || (accepted == 0 && !refused.is_violation) {
        return Ok(Vec::new());
    }
    let (batch, (_, seen)) = (batch_of[accepted], all[accepted]);
    let key = (seen.sensor.id().0, seen.fields.id());
    let rows = batches[batch].all_rows().into_iter().filter(|row| (row.row.sensor, row.row.field_set) == key);
    Ok(rows.map(|row| Unstorable { batch, row, detail: refused.detail.clone() }).collect())
}

/// Halves each rejected range until single rows are left. Returns their indexes and the error
/// messages.
async fn search(
    connection: &mut AsyncPgConnection,
    rows: &[LoggedRow],
    limit: Duration,
) -> Result<Vec<(usize, String)>, DatabaseError> {
    let mut found = Vec::new();
    let mut open: Vec<Range<usize>> = Vec::from([Range { start: 0, end: rows.len() }]);
    while let Some(range) = open.pop() {
        let attempt = Attempt::Rows(&rows[range.clone()]);
        let Some(refused) = refusal(connection, attempt, limit).await? else { continue };
        if range.len() == 1 {
            found.push((range.start, refused.detail));
            continue;
        }
        let middle = range.start + range.len() / 2;
        open.push(middle..range.end);
        open.push(range.start..middle);
    }
    Ok(found)
}

/// Why PostgreSQL rejects rows.
struct Refusal {
    /// The error message of PostgreSQL.
    detail: String,
    /// Whether the row violates a constraint of the table.
    is_violation: bool,
}

/// What a try inserts.
#[derive(Clone, Copy)]
enum Attempt<'a> {
    Rows(&'a [LoggedRow]),
    /// Sensors, each with its partition.
    Sensors(&'a [(i32, &'a SeenSensor)]),
}

impl Attempt<'_> {
    async fn run(self, connection: &mut AsyncPgConnection) -> Result<Option<Rejection>, DatabaseError> {
        match self {
            Self::Rows(rows) => {
                let rows: Vec<&ReadingRow> = rows.iter().map(|logged| &logged.row).collect();
                try_insert_readings(connection, &rows).await
            }
            Self::Sensors(seen) => try_upsert_sensors(connection, seen).await,
        }
    }
}

/// Returns why PostgreSQL rejects an attempt, or `None` if it accepts it.
///
/// # Errors
/// Returns an error if the connection or the server is to blame, not a row.
async fn refusal(
    connection: &mut AsyncPgConnection,
    attempt: Attempt<'_>,
    limit: Duration,
) -> Result<Option<Refusal>, DatabaseError> {
    let mut rejection = None;
    let attempt = connection.transaction(async |connection| {
        rejection = attempt.run(connection).await?;
        Err(DatabaseError::RollbackTransaction)
    });
    let silent = || {
        let message = "no answer".to_owned();
        Err(DatabaseError::DatabaseError(DatabaseErrorKind::ClosedConnection, Box::new(message)))
    };
    let tried: Result<(), DatabaseError> =
        tokio::time::timeout(limit, attempt).await.unwrap_or_else(|_| silent());
    match tried {
        Ok(()) | Err(DatabaseError::RollbackTransaction) => {}
        Err(error) => return Err(error),
    }
    let Some(Rejection { code, message, constraint_name }) = rejection else { return Ok(None) };
    let is_missing_day = code == CHECK_VIOLATION && constraint_name.is_empty();
    let is_violation = code.starts_with(INTEGRITY_CONSTRAINT_VIOLATION) && !is_missing_day;
    if is_missing_day || is_outage(&code) {
        return Err(DatabaseError::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message)));
    }
    Ok(Some(Refusal { detail: message, is_violation }))
}

/// The SQLSTATE class of violated constraints.
const INTEGRITY_CONSTRAINT_VIOLATION: &str = "23";
/// Without a constraint: there is no day table for the row, since retention has dropped it.
const CHECK_VIOLATION: &str = "23514";

/// Whether a SQLSTATE blames the server and not a row.
///
/// Source: PostgreSQL's manual, appendix A.
fn is_outage(code: &str) -> bool {
    const INSUFFICIENT_PRIVILEGE: &str = "42501";
    /// Connection exception; invalid transaction state (such as read-only); transaction rollback
    /// (such as a deadlock); insufficient resources (disk full, out of memory); object not in
    /// prerequisite state (such as lock not available); operator intervention; system error;
    /// configuration file error; internal error (such as a damaged table or index). A limit of the
    /// program (54) is not among them: a row may be too large.
    const SERVER_CLASSES: [&str; 9] = ["08", "25", "40", "53", "55", "57", "58", "F0", "XX"];
    code == INSUFFICIENT_PRIVILEGE || SERVER_CLASSES.iter().any(|class| code.starts_with(class))
}

/// Whether a transaction failed because a day table is missing: retention has dropped it after the
/// session created it. PostgreSQL then reports a check violation without a constraint.
pub(super) fn is_missing_day(error: &DatabaseError) -> bool {
    matches!(error, DatabaseError::DatabaseError(DatabaseErrorKind::CheckViolation, information)
        if information.constraint_name().is_none())
}
