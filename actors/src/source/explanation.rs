//! The steps by which a message becomes readings, for people who set up a device.

use thicket_codecs::LeftOut;
use thicket_schema::Item;

use super::ignore::IgnoreReason;

/// The steps by which a message becomes readings.
#[derive(Clone, Debug, Default)]
pub struct DecodeExplanation {
    /// The index of the subscription; `None` if none receives the topic. Everything else is then
    /// empty.
    pub subscription: Option<usize>,
    /// The filter that receives the topic.
    pub filter: Option<String>,
    /// Why the message is ignored. Everything below is then empty.
    pub ignored: Option<IgnoreReason>,
    /// What the topic template captures, by name; `None` if no template matches.
    pub captured: Option<Vec<(String, String)>>,
    /// The name of the format; `None` if it was not recognised.
    pub format: Option<String>,
    /// Whether the message is one of Sparkplug B: its topic names the sensor, without a template.
    pub is_sparkplug: bool,
    /// The name of the compression, if the payload is compressed.
    pub compression: Option<&'static str>,
    /// The members that are in no reading, each with the reason.
    pub left_out: Vec<LeftOut>,
    /// The member that tells the elements of an array apart, if they would be readings of one series.
    pub apart: Option<String>,
    /// The readings and dead letters.
    pub items: Vec<Item>,
}
