//! The Sparkplug births of a subscription: one field of a hash per birth.
//!
//! Each birth has a name of its own and never changes. So a former holder of the subscription that
//! still writes can only add a birth that it received, and never replaces a newer one.

use std::collections::HashMap;

use bytes::Bytes;
use fred::clients::Client;
use fred::interfaces::HashesInterface as _;
use fred::types::Value;
use fred::types::scripts::Script;

use super::RedisError;

/// Adds a birth and deletes others, as one step. Runs also if Redis is short of memory: a birth is
/// small, and the births of a subscription are bounded.
const CHANGE: &str = "#!lua flags=allow-oom
if #ARGV > 2 then redis.call('HDEL', KEYS[1], unpack(ARGV, 3)) end
return redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])";

/// Reads and writes the births of one subscription.
#[derive(Clone, Debug)]
pub struct BirthStore {
    redis: Client,
    key: String,
    change: Script,
}

impl BirthStore {
    /// Creates access to the births under a [key](thicket_schema::Keys::births).
    pub fn new(redis: Client, key: String) -> Self {
        Self { redis, key, change: Script::from_lua(CHANGE) }
    }

    /// Returns all births with their names, in the order of the names.
    pub async fn load(&self) -> Result<Vec<(String, Bytes)>, RedisError> {
        let mut births: Vec<(String, Bytes)> =
            self.redis.hgetall::<HashMap<String, Bytes>, _>(self.key.clone()).await?.into_iter().collect();
        births.sort();
        Ok(births)
    }

    /// Stores a birth under its name, and deletes the births of the names in `forgotten`.
    pub async fn change(&self, name: &str, birth: &[u8], forgotten: &[String]) -> Result<(), RedisError> {
        let mut arguments: Vec<Value> = vec![name.into(), Value::Bytes(Bytes::copy_from_slice(birth))];
        arguments.extend(forgotten.iter().map(|name| Value::from(name.as_str())));
        let _: i64 = self.change.evalsha_with_reload(&self.redis, vec![self.key.clone()], arguments).await?;
        Ok(())
    }
}
