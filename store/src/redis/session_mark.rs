//! Remembers that a broker had a session of the engine. A broker that has none later has lost it,
//! with the messages in it.

use fred::clients::Client;
use fred::interfaces::HashesInterface as _;

use super::RedisError;

/// The mark of one session: a field of a hash.
#[derive(Clone, Debug)]
pub struct SessionMark {
    redis: Client,
    key: String,
    session: String,
}

impl SessionMark {
    /// Creates access to the mark of a session under a [key](thicket_schema::Keys::sessions).
    /// `session` names the client id and the broker.
    pub const fn new(redis: Client, key: String, session: String) -> Self {
        Self { redis, key, session }
    }

    /// Whether the broker had the session before.
    pub async fn is_set(&self) -> Result<bool, RedisError> {
        self.redis.hexists(self.key.clone(), self.session.clone()).await
    }

    /// Remembers that the broker has the session.
    pub async fn set(&self) -> Result<(), RedisError> {
        self.redis.hset(self.key.clone(), (self.session.clone(), 1)).await
    }
}
