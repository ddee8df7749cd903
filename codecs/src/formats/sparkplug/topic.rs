//! The topics of Sparkplug B: `spBv1.0/<group>/<type>/<node>[/<device>]`.

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// `NBIRTH`, `DBIRTH`: all metrics with their names and current values.
    Birth,
    /// `NDATA`, `DDATA`: metrics that have changed.
    Data,
    /// `DDEATH`: a device is gone. Only the count of messages goes on.
    DeviceDeath,
    /// All other kinds: the death of an edge node, commands, and the state of a host. They are not
    /// counted.
    Other,
}

/// A topic of Sparkplug B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SparkplugTopic<'t> {
    /// What the message says.
    pub kind: MessageKind,
    group: &'t str,
    node: &'t str,
    device: Option<&'t str>,
}

impl<'t> SparkplugTopic<'t> {
    /// The name of the format of its messages.
    pub const FORMAT: &'static str = "Sparkplug B";
    /// The first level of all topics.
    pub const NAMESPACE: &'static str = "spBv1.0";

    /// Parses a topic; `None` if it is none of Sparkplug B.
    pub fn parse(topic: &'t str) -> Option<Self> {
        let mut levels = topic.split('/');
        if levels.next()? != Self::NAMESPACE {
            return None;
        }
        let group = levels.next()?;
        let (kind, node, device) = (levels.next()?, levels.next(), levels.next());
        if group == "STATE" {
            return Some(Self { kind: MessageKind::Other, group, node: kind, device: None });
        }
        if levels.next().is_some() || group.is_empty() {
            return None;
        }
        let node = node.filter(|node| !node.is_empty())?;
        let is_device = device.is_some_and(|device| !device.is_empty());
        let kind = match (kind, is_device) {
            ("NBIRTH", false) | ("DBIRTH", true) => MessageKind::Birth,
            ("NDATA", false) | ("DDATA", true) => MessageKind::Data,
            ("DDEATH", true) => MessageKind::DeviceDeath,
            ("NDEATH" | "NCMD", false) | ("DCMD", true) => MessageKind::Other,
            _ => return None,
        };
        (is_device == device.is_some()).then_some(Self { kind, group, node, device })
    }

    /// Returns the name of the edge node: `<group>/<node>`.
    pub fn node(&self) -> String {
        format!("{}/{}", self.group, self.node)
    }

    /// Returns the name of the edge node or device that the message is about: `<group>/<node>` or
    /// `<group>/<node>/<device>`.
    pub fn source(&self) -> String {
        self.device.map_or_else(|| self.node(), |device| format!("{}/{device}", self.node()))
    }

    /// Returns the topic of commands to the edge node.
    pub(super) fn command(&self) -> String {
        format!("{}/{}/NCMD/{}", Self::NAMESPACE, self.group, self.node)
    }

    /// Whether the message is the birth of an edge node, which begins the count of its messages.
    pub(super) fn begins_the_count(&self) -> bool {
        self.kind == MessageKind::Birth && self.device.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_tell_their_source_and_kind() {
        let parsed = |topic: &str| SparkplugTopic::parse(topic).map(|topic| (topic.kind, topic.source()));
        let own = |kind, source: &str| Some((kind, source.to_owned()));
        assert_eq!(parsed("spBv1.0/plant/NBIRTH/edge"), own(MessageKind::Birth, "plant/edge"));
        assert_eq!(parsed("spBv1.0/plant/DBIRTH/edge/press"), own(MessageKind::Birth, "plant/edge/press"));
        assert_eq!(parsed("spBv1.0/plant/NDATA/edge"), own(MessageKind::Data, "plant/edge"));
        assert_eq!(parsed("spBv1.0/plant/DDATA/edge/press"), own(MessageKind::Data, "plant/edge/press"));
        assert_eq!(
            parsed("spBv1.0/plant/DDEATH/edge/press"),
            own(MessageKind::DeviceDeath, "plant/edge/press")
        );
        for other in ["NDEATH/edge", "NCMD/edge", "DCMD/edge/press"] {
            let topic = format!("spBv1.0/plant/{other}");
            assert_eq!(parsed(&topic).map(|(kind, _)| kind), Some(MessageKind::Other), "{topic}");
        }
        for state in ["spBv1.0/STATE/scada", "spBv1.0/STATE/scada/2"] {
            assert_eq!(parsed(state).map(|(kind, _)| kind), Some(MessageKind::Other), "{state}");
        }
    }

    #[test]
    fn other_topics_are_none_of_sparkplug() {
        for topic in [
            "sensors/a",
            "spBv1.0",
            "spBv1.0/plant",
            "spBv1.0/plant/NBIRTH",
            "spBv1.0/plant/NBIRTH/edge/press",
            "spBv1.0/plant/DDATA/edge",
            "spBv1.0/plant/DDATA/edge/",
            "spBv1.0/plant/DDATA/edge/press/more",
            "spBv1.0/plant/NOTHING/edge",
            "spBv1.0//NBIRTH/edge",
            "spAv1.0/plant/NBIRTH/edge",
        ] {
            assert_eq!(SparkplugTopic::parse(topic), None, "{topic}");
        }
    }
}
