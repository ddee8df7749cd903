//! The messages that were sent and not yet confirmed, in the order of sending. No I/O.

use std::collections::VecDeque;

use bytes::BytesMut;
use rumqttc::mqttbytes::{QoS, v4::Publish};

use super::feed::Message;

/// The unconfirmed messages.
pub(super) struct Window {
    capacity: usize,
    sent: VecDeque<Sent>,
    last_id: u16,
}

struct Sent {
    id: u16,
    confirmed: bool,
    message: Message,
}

impl Window {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, sent: VecDeque::with_capacity(capacity), last_id: 0 }
    }

    pub(super) fn is_full(&self) -> bool {
        self.sent.len() >= self.capacity
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.sent.len()
    }

    /// Adds a message and appends its packet to `out`. The window is smaller than the range of
    /// packet ids, so the next id is never in use.
    pub(super) fn send(&mut self, message: Message, out: &mut BytesMut) {
        self.last_id = if self.last_id == u16::MAX { 1 } else { self.last_id + 1 };
        let sent = Sent { id: self.last_id, confirmed: false, message };
        sent.write(false, out);
        self.sent.push_back(sent);
    }

    /// Appends the packets of all unconfirmed messages to `out` again, in order and marked as
    /// repeated. Call it on a new connection.
    pub(super) fn send_again(&self, out: &mut BytesMut) {
        for sent in self.sent.iter().filter(|sent| !sent.confirmed) {
            sent.write(true, out);
        }
    }

    /// Marks a message as confirmed. Ignores an id that is not in the window.
    pub(super) fn confirm(&mut self, id: u16) {
        // Ids are consecutive and skip 0, so the distance from the first id gives the position.
        let Some(first) = self.sent.front() else { return };
        let distance = if id >= first.id { id - first.id } else { id.wrapping_sub(first.id).wrapping_sub(1) };
        if let Some(sent) = self.sent.get_mut(usize::from(distance)).filter(|sent| sent.id == id) {
            sent.confirmed = true;
        }
    }

    /// Removes and returns the first message if it is confirmed. So messages leave in the order of
    /// sending.
    pub(super) fn take_confirmed(&mut self) -> Option<Message> {
        if self.sent.front()?.confirmed { self.sent.pop_front().map(|sent| sent.message) } else { None }
    }
}

impl Sent {
    fn write(&self, again: bool, out: &mut BytesMut) {
        let mut packet =
            Publish::from_bytes(&*self.message.topic, QoS::AtLeastOnce, self.message.payload.clone());
        (packet.pkid, packet.dup) = (self.id, again);
        // Writing fails only for id 0 and for packets above 256 MB. Neither occurs.
        let written = packet.write(out);
        debug_assert!(written.is_ok(), "{written:?}");
    }
}

#[cfg(test)]
mod tests {
    use rumqttc::mqttbytes::v4::Packet;

    use super::*;
    use crate::replay::feed::Content;

    fn message(n: u32) -> Message {
        Message {
            topic: "sensors/a".into(),
            payload: n.to_string().into_bytes().into(),
            due: 0,
            live: false,
            content: Content::Malformed,
            events_begun: Vec::new(),
            events_ended: 0,
        }
    }

    /// Returns (id, repeated, payload) of every packet in the buffer.
    fn packets(out: &mut BytesMut) -> Vec<(u16, bool, String)> {
        let mut packets = Vec::new();
        while !out.is_empty() {
            let Packet::Publish(publish) = Packet::read(out, 10_000).unwrap() else {
                panic!("not a publish")
            };
            assert_eq!(publish.qos, QoS::AtLeastOnce);
            packets.push((publish.pkid, publish.dup, String::from_utf8(publish.payload.to_vec()).unwrap()));
        }
        packets
    }

    fn taken(window: &mut Window) -> Vec<String> {
        std::iter::from_fn(|| window.take_confirmed())
            .map(|message| String::from_utf8(message.payload.to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn messages_leave_in_the_order_of_sending_once_confirmed() {
        let (mut window, mut out) = (Window::new(3), BytesMut::new());
        for n in 1..=3 {
            assert!(!window.is_full());
            window.send(message(n), &mut out);
        }
        assert!(window.is_full());
        window.confirm(2);
        assert_eq!(taken(&mut window), Vec::<String>::new());
        window.confirm(1);
        assert_eq!(taken(&mut window), ["1", "2"]);
        window.confirm(9);
        window.confirm(1);
        assert_eq!(taken(&mut window), Vec::<String>::new());
        window.confirm(3);
        assert_eq!(taken(&mut window), ["3"]);
        assert!(window.is_empty());
    }

    #[test]
    fn after_a_lost_connection_the_unconfirmed_go_again_in_order() {
        let (mut window, mut out) = (Window::new(10), BytesMut::new());
        for n in 1..=4 {
            window.send(message(n), &mut out);
        }
        out.clear();
        window.confirm(1);
        window.confirm(3);
        assert_eq!(taken(&mut window), ["1"]);
        window.send_again(&mut out);
        window.send(message(5), &mut out);
        assert_eq!(
            packets(&mut out),
            [(2, true, "2".to_owned()), (4, true, "4".to_owned()), (5, false, "5".to_owned())]
        );
    }

    #[test]
    fn ids_go_round_without_zero() {
        let (mut window, mut out) = (Window::new(5), BytesMut::new());
        for n in 0..200_000u32 {
            window.send(message(n), &mut out);
            let [(id, false, _)] = packets(&mut out)[..] else { panic!("one packet") };
            assert_eq!(u32::from(id), n % 65_535 + 1);
            if window.is_full() {
                let first = window.sent[0].id;
                window.confirm(window.sent[3].id);
                window.confirm(first);
                assert_eq!(taken(&mut window), [(n - 4).to_string()]);
                for index in 0..4 {
                    window.confirm(window.sent[index].id);
                }
                assert_eq!(taken(&mut window).len(), 4);
            }
        }
    }
}
