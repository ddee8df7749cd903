//! The log: one Redis Stream per partition. Appended by one writer, read by one shard, trimmed after the commit.

mod append;
mod lease;
mod node;
mod reader;
mod redis;
mod suspects;
mod writer;

pub use crate::protocol::lease::Held;
pub use append::{AppendError, AppendOutcome, LogAppender};
pub use lease::Leases;
pub use node::NodeName;
pub use reader::{LogEntry, LogReader};
pub use redis::{RedisError, connect_redis, try_connect_redis};
pub use suspects::{Suspect, Suspects};
pub use writer::{QueueWriter, QueueWriterOptions};
