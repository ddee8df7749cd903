//! The name of the deployment in Redis. It is that of the table `deployment`, and ties the log to the
//! database that holds its committed positions.

use fred::clients::Client;
use fred::interfaces::KeysInterface as _;
use fred::types::scripts::Script;
use thicket_schema::Keys;

use super::RedisError;

/// Needs no memory to speak of: a full log must not keep an engine from its start.
const MARK: &str = "#!lua flags=allow-oom
if redis.call('SETNX', KEYS[1], ARGV[1]) == 1 then return ARGV[1] end
return redis.call('GET', KEYS[1])";

/// Returns the name of the deployment that Redis belongs to. `None` before the first start, after
/// Redis has lost its data, and if only engines without this mark have run.
pub async fn marked_deployment(redis: &Client, keys: &Keys) -> Result<Option<String>, RedisError> {
    redis.get(keys.deployment()).await
}

/// Marks Redis with the name of a deployment, unless it has a mark. Returns the name that it has then.
pub async fn mark_deployment(redis: &Client, keys: &Keys, name: &str) -> Result<String, RedisError> {
    let (keys, arguments) = (vec![keys.deployment()], vec![name.to_owned()]);
    Script::from_lua(MARK).evalsha_with_reload(redis, keys, arguments).await
}
