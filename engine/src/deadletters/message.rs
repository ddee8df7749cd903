//! What is published for a dead letter, or why it cannot be replayed.

use thicket_codecs::NoTopicError;
use thicket_schema::SensorNameError;

/// A message as a device would publish it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
}

/// Why a dead letter cannot be replayed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("it was replayed before, at {0}; pass --again to replay it again")]
    Replayed(String),
    #[error("its payload was cut: {kept} of {bytes} bytes were kept; let the device send it again")]
    Cut { kept: usize, bytes: i64 },
    #[error("its topic was cut to {0} bytes; let the device send it again")]
    TopicCut(usize),
    #[error("it is a log entry that cannot be decoded, not a message")]
    NoMessage,
    #[error("it was made of a reading and does not hold the time of the reading")]
    NoTime,
    #[error("its time cannot be replaced: --at-arrival replaces the time of JSON alone")]
    TimeStays,
    #[error(
        "mqtt.timestamp_keys has no name for its time that its payload leaves free; add one, such as \"replayed_at\", and replay it again"
    )]
    NoTimestampKey,
    #[error("it was made of a reading, and {0}")]
    NoTopic(#[from] NoTopicError),
    #[error("it was made of a reading, and {0}")]
    NoSensor(#[from] SensorNameError),
    #[error(
        "it was made of a reading of {sensor}, and a message on {topic} would be {found}; correct the cause, or add a subscription that reads such messages, as with topics = [\"replay/#\"] and templates = [\"replay/{{sensor...}}\"]"
    )]
    NotThisReading { sensor: String, topic: String, found: String },
    #[error("{topic} is a topic of several brokers ({brokers}); name the one it came from with --broker")]
    SeveralBrokers { topic: String, brokers: String },
    #[error("nothing in mqtt.topics receives {0}, so the broker would drop it")]
    NotSubscribed(String),
}
