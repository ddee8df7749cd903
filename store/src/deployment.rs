//! Whether Redis and PostgreSQL belong to the same deployment. Each has its name: the log in one and
//! the committed positions in the other mean nothing apart.

use thicket_schema::Keys;

/// Redis has the mark of another deployment than the database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "redis belongs to the deployment {in_redis}, and the database {}: correct redis.url, redis.prefix or postgres.url; to begin anew with this database, set another redis.prefix, or delete all keys of the old deployment in redis; to let this database go on with the log that is there, delete the key {key}",
    words(in_postgres.as_deref())
)]
pub struct OtherDeployment {
    in_redis: String,
    in_postgres: Option<String>,
    key: String,
}

fn words(in_postgres: Option<&str>) -> String {
    in_postgres.map_or_else(|| "is new".to_owned(), |name| format!("to the deployment {name}"))
}

/// Fails if Redis has the mark of another deployment than the database. A Redis without a mark is new,
/// has lost its data, or has only seen engines that do not mark it. A database without a name has seen
/// no engine.
pub fn check_same(
    keys: &Keys,
    in_redis: Option<&str>,
    in_postgres: Option<&str>,
) -> Result<(), OtherDeployment> {
    match in_redis {
        Some(name) if in_postgres != Some(name) => Err(OtherDeployment {
            in_redis: name.to_owned(),
            in_postgres: in_postgres.map(str::to_owned),
            key: keys.deployment(),
        }),
        _ => Ok(()),
    }
}
