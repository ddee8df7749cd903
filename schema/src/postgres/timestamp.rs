//! Converts [`Timestamp`] to and from `timestamptz`. Both count microseconds, from different
//! epochs, so the conversion is exact.

use diesel::deserialize::{self, FromSql};
use diesel::pg::data_types::PgTimestamp;
use diesel::pg::{Pg, PgValue};
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::Timestamptz;

use crate::reading::Timestamp;

/// µs between the Unix epoch and the epoch of PostgreSQL, 2000-01-01.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

impl FromSql<Timestamptz, Pg> for Timestamp {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        let PgTimestamp(micros) = FromSql::<Timestamptz, Pg>::from_sql(value)?;
        Ok(Self(micros.saturating_add(POSTGRES_EPOCH_MICROS)))
    }
}

impl ToSql<Timestamptz, Pg> for Timestamp {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let timestamp = PgTimestamp(self.0 - POSTGRES_EPOCH_MICROS);
        ToSql::<Timestamptz, Pg>::to_sql(&timestamp, &mut out.reborrow())
    }
}
