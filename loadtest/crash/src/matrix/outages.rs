//! Servers that are full, locked or unreachable, clocks that jump, memory that is used up, and two
//! builds side by side. Each case also says what `/readyz` shows meanwhile, and recovers by itself.

use std::time::Duration;

use crate::case::{Action, Build, Case, Node, Setting};
use crate::environment::Server;
use crate::settings::Settings;

/// An hour, in seconds.
const HOUR: i64 = 3_600;
/// Long enough for every writer to wait for a lock.
const WAITING: Duration = Duration::from_millis(500);
/// What `/readyz` says of a store that answers and refuses.
const COMMIT_STUCK: &str = "a commit has not succeeded for";
const APPEND_STUCK: &str = "an append to the log has not succeeded for";
/// What it says of a store that does not answer.
const POSTGRES_AWAY: &str = "postgresql at ";
const REDIS_AWAY: &str = "redis at ";
const BROKER_AWAY: &str = "not connected to the broker";

pub(super) fn cases() -> Vec<Case> {
    let (redis, postgres) = (Server::Redis, Server::Postgres);
    let mut cases = vec![
        disk_full("postgres-data", postgres, false, &[], COMMIT_STUCK),
        disk_full("postgres-data-and-wal", postgres, true, &[Action::ExhaustWal], POSTGRES_AWAY),
        disk_full("redis", redis, true, &[], REDIS_AWAY),
    ];
    let limit =
        |name, limit| disturbed(name, &[Action::LimitRedis(limit)], APPEND_STUCK, &[Action::LimitRedis("0")]);
    cases.push(limit("redis-at-its-limit", "1mb"));
    let unlock = [Action::UnlockReadings];
    cases.push(disturbed("readings-locked", &[Action::LockReadings], COMMIT_STUCK, &unlock));
    for (name, server, lamp) in [
        ("postgres", postgres, POSTGRES_AWAY),
        ("redis", redis, REDIS_AWAY),
        ("mosquitto", Server::Mosquitto, BROKER_AWAY),
    ] {
        cases.extend(black_holes(name, server, lamp));
    }
    cases.push(clock_jumps());
    cases.push(out_of_memory());
    cases.push(two_builds());
    cases
}

/// An engine is disturbed until `/readyz` says so, and then not any more.
fn disturbed(name: &str, begin: &[Action], lamp: &'static str, end: &[Action]) -> Case {
    Case::new(name)
        .then([Action::Start(Node::A, vec![]), Action::Release(0.6), Action::UntilStored(0.15)])
        .then(begin.to_vec())
        .then([Action::Release(1.0), Action::UntilReadyz(Node::A, 503, lamp)])
        .then(end.to_vec())
        .then([Action::UntilRecovered(Node::A)])
}

fn disk_full(name: &str, server: Server, with_wal: bool, further: &[Action], lamp: &'static str) -> Case {
    let begin = [&[Action::FillDisk(server)], further].concat();
    let case = disturbed(&format!("disk-full-{name}"), &begin, lamp, &[Action::FreeDisk(server)]);
    Case { setting: Setting::SmallDisks { with_wal }, ..case }
}

/// The way to a server swallows every packet: until all connections are given up, and until another
/// host takes its address.
fn black_holes(name: &str, server: Server, lamp: &'static str) -> [Case; 2] {
    let is_broker = server == Server::Mosquitto;
    // The other silent connections are given up after 25 s.
    let (settings, given_up) = if is_broker {
        (Settings { keep_alive: "5s", ..Settings::default() }, Duration::ZERO)
    } else {
        (Settings::default(), Duration::from_secs(25))
    };
    let healed = [Action::Pause(given_up), Action::Heal];
    let healed = disturbed(&format!("black-hole-{name}-healed"), &[Action::Swallow], lamp, &healed);
    // A writer that waits for an answer sends nothing, so the new host has nothing to reset.
    let locks = |action| (server == Server::Postgres).then_some(action);
    let begin: Vec<Action> =
        locks(Action::LockReadings).into_iter().chain([Action::Pause(WAITING), Action::Swallow]).collect();
    let end: Vec<Action> = locks(Action::UnlockReadings).into_iter().chain([Action::ReplaceHost]).collect();
    let replaced = disturbed(&format!("black-hole-{name}-replaced"), &begin, lamp, &end);
    [healed, replaced].map(|mut case| {
        case.actions.insert(0, Action::Set(settings.clone()));
        Case { setting: Setting::Remote(server), ..case }
    })
}

/// The clock of the node jumps ahead by an hour, is right again, and goes back by an hour, also
/// while the engine is away.
fn clock_jumps() -> Case {
    let case = Case::new("clock-jumps").then([
        Action::Start(Node::A, vec![]),
        Action::Release(0.15),
        Action::UntilStored(0.05),
        Action::Clock(HOUR),
        Action::Release(0.3),
        Action::UntilStored(0.2),
        Action::Kill(Node::A),
        Action::Clock(0),
        Action::Start(Node::A, vec![]),
        Action::Release(0.5),
        Action::UntilStored(0.4),
        Action::Clock(-HOUR),
        Action::Release(0.6),
        Action::UntilStored(0.5),
        Action::UntilReadyz(Node::A, 200, "ready"),
        Action::Stop(Node::A),
        Action::Start(Node::A, vec![]),
        Action::Release(0.8),
        Action::UntilStored(0.7),
        Action::Clock(0),
    ]);
    Case { setting: Setting::WrongClock, ..case }
}

/// Two engines in a row get no more memory. A third death would blame a reading for it.
fn out_of_memory() -> Case {
    let death = |part| {
        [
            Action::Start(Node::A, vec![]),
            Action::LimitMemory(Node::A),
            Action::Release(part),
            Action::UntilEnded(Node::A),
            Action::UntilLogged(Node::A, "memory allocation"),
        ]
    };
    // The second engine needs much more memory than it has at its start, also if it has read the backlog
    // of the first one before its limit is set: most of the traffic is still to come.
    Case::new("out-of-memory").then(death(0.2)).then(death(0.9))
}

/// A later build takes over from the present one, which must not take the partitions back.
fn two_builds() -> Case {
    let refused = "a later version of the detection algorithm has scored";
    Case::new("two-builds").then([
        Action::Start(Node::A, vec![]),
        Action::Release(0.3),
        Action::UntilStored(0.15),
        Action::Build(Build::Later),
        Action::Start(Node::B, vec![]),
        Action::UntilShared,
        Action::Release(0.5),
        Action::Kill(Node::A),
        // The later build scores readings of every partition.
        Action::UntilOwner(Node::B),
        Action::Release(0.6),
        Action::UntilIdle,
        Action::Build(Build::Present),
        Action::Start(Node::A, vec![]),
        Action::Stop(Node::B),
        Action::Release(0.7),
        // It takes the messages, and leaves the scoring to the later build.
        Action::UntilReadyz(Node::A, 503, "a newer one, which has scored them"),
        Action::UntilLogged(Node::A, refused),
        Action::Build(Build::Later),
        Action::Start(Node::B, vec![]),
        Action::UntilStored(0.65),
        Action::Release(0.9),
        Action::Stop(Node::A),
    ])
}
