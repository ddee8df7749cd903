//! Servers are killed and come back with what they have on disk.

use std::time::Duration;

use crate::case::{Act, Case, Fault, Node};
use crate::stage::Server;

const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_millis(1_200);

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, server) in
        [("redis", Server::Redis), ("postgres", Server::Postgres), ("mosquitto", Server::Mosquitto)]
    {
        cases.push(outages(format!("kill-{name}"), server, &[SHORT]));
        cases.push(outages(format!("kill-{name}-twice"), server, &[LONG, SHORT]));
        cases.push(with_engine(format!("kill-{name}-then-the-engine"), server));
    }
    cases
}

fn outages(name: String, server: Server, pauses: &[Duration]) -> Case {
    let mut acts = vec![Act::Start(Node::A, vec![]), Act::Flow(1.0)];
    for (number, &pause) in pauses.iter().enumerate() {
        acts.extend([Act::Stored(0.15 + 0.3 * number as f64), Act::Outage(server, pause)]);
    }
    let letters_may_repeat = server == Server::Mosquitto;
    Case { letters_may_repeat, ..Case::new(name).then(acts) }
}

/// The engine that has lived through the outage dies soon after.
fn with_engine(name: String, server: Server) -> Case {
    let is_broker = server == Server::Mosquitto;
    // In the second round of trims, a second after the first. What brings the broker back needs a living engine for it.
    let fault = Fault { place: "trim.after", count: 6 };
    let faults = if is_broker { vec![] } else { vec![fault] };
    let acts = [
        Act::Start(Node::A, faults),
        Act::Flow(1.0),
        Act::Stored(0.1),
        Act::Outage(server, SHORT),
        if is_broker { Act::Pause(SHORT) } else { Act::Dies(Node::A) },
    ];
    let kill = is_broker.then_some(Act::Kill(Node::A));
    Case { letters_may_repeat: is_broker, ..Case::new(name).then(acts).then(kill) }
}
