//! Servers are killed and restarted with their data on disk.

use std::time::Duration;

use crate::case::{Action, Case, Fault, Node};
use crate::environment::Server;

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
    let mut actions = vec![Action::Start(Node::A, vec![]), Action::Release(1.0)];
    for (number, &pause) in pauses.iter().enumerate() {
        actions.extend([Action::UntilStored(0.15 + 0.3 * number as f64), Action::Outage(server, pause)]);
    }
    let dead_letters_may_repeat = server == Server::Mosquitto;
    Case { dead_letters_may_repeat, ..Case::new(name).then(actions) }
}

/// The engine survives the outage and is killed soon after.
fn with_engine(name: String, server: Server) -> Case {
    let is_broker = server == Server::Mosquitto;
    // Fires in the second round of trims, a second after the first. The broker is recovered with a
    // running engine, so the engine has no faults then.
    let fault = Fault { place: "trim.after", count: 6 };
    let faults = if is_broker { vec![] } else { vec![fault] };
    let actions = [
        Action::Start(Node::A, faults),
        Action::Release(1.0),
        Action::UntilStored(0.03),
        Action::Outage(server, SHORT),
        if is_broker { Action::Pause(SHORT) } else { Action::UntilKilled(Node::A) },
    ];
    let kill = is_broker.then_some(Action::Kill(Node::A));
    Case { dead_letters_may_repeat: is_broker, ..Case::new(name).then(actions).then(kill) }
}
