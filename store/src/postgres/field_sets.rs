//! `field_sets`: the names of the values of readings. Rows never change, so they are cached.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use diesel::sql_types::{Array, BigInt, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};
use thicket_schema::FieldSet;

use super::connection::StoreError;

#[derive(QueryableByName)]
struct Names {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Array<Text>)]
    names: Vec<String>,
}

/// Upper bound of the cached field sets. A sensor with ever new fields would let the cache grow.
const MAX_CACHED: usize = 100_000;

/// A cache of field sets.
#[derive(Debug, Default)]
pub struct FieldSets {
    cached: Mutex<BTreeMap<i64, FieldSet>>,
}

impl FieldSets {
    /// Returns the field sets of the given ids. Reads the ones that are not cached.
    pub(super) async fn load(
        &self,
        connection: &mut AsyncPgConnection,
        ids: impl Iterator<Item = i64>,
    ) -> Result<BTreeMap<i64, FieldSet>, StoreError> {
        let ids: BTreeSet<i64> = ids.collect();
        let mut found: BTreeMap<i64, FieldSet> = {
            let cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
            ids.iter().filter_map(|id| Some((*id, cached.get(id)?.clone()))).collect()
        };
        let missing: Vec<i64> = ids.into_iter().filter(|id| !found.contains_key(id)).collect();
        if missing.is_empty() {
            return Ok(found);
        }
        let names: Vec<Names> = sql_query("SELECT id, names FROM field_sets WHERE id = ANY($1)")
            .bind::<Array<BigInt>, _>(missing)
            .load(connection)
            .await?;
        if self.cached.lock().unwrap_or_else(PoisonError::into_inner).len() > MAX_CACHED {
            self.cached.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        for Names { id, names } in names {
            let fields = FieldSet::new(names).map_err(|error| StoreError::FieldSet(error.to_string()))?;
            self.cached.lock().unwrap_or_else(PoisonError::into_inner).insert(id, fields.clone());
            found.insert(id, fields);
        }
        Ok(found)
    }
}
