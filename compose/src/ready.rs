//! Waiting until a server that was started accepts requests.

use std::{
    fmt, io,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{error::Error, process::Process, wait};

/// How long a server may show no sign of progress before its start has failed.
const READY_LIMIT: Duration = Duration::from_secs(30);
/// Time between two questions: short in the first second, because most starts take less.
const FIRST_INTERVAL: Duration = Duration::from_millis(10);
const INTERVAL: Duration = Duration::from_millis(100);
const FIRST_PHASE: Duration = Duration::from_secs(1);
/// When a watcher first hears of a start that takes long, and how often after that.
const FIRST_REPORT: Duration = Duration::from_secs(5);
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// What a server answers to the question whether it accepts requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It does.
    Ready,
    /// It says that it is still starting. The text says what it does, as "is loading its data".
    Starting(String),
}

/// Follows starts that may take long.
pub trait Watcher: fmt::Debug + Send + Sync {
    /// Returns whether to give up the start.
    fn is_cancelled(&self) -> bool;
    /// Hears that `server` is not ready `elapsed` after its start, after 5 s and then every 10 s.
    /// `state` says what the server does.
    fn hear(&self, server: &'static str, state: &str, elapsed: Duration);
}

/// How long to wait for a server.
#[derive(Clone, Debug, Default)]
pub enum Patience {
    /// 30 s. For servers that have little data.
    #[default]
    Limited,
    /// As long as the server says that it is starting, or uses CPU time without an answer: a
    /// recovery takes as long as the data is large. The wait ends 30 s after the last such sign, or
    /// when the watcher gives up.
    WhileStarting(Arc<dyn Watcher>),
}

impl Patience {
    fn watcher(&self) -> Option<&dyn Watcher> {
        match self {
            Self::Limited => None,
            Self::WhileStarting(watcher) => Some(&**watcher),
        }
    }
}

/// Waits until `probe` says that the server is ready. Ends the server if the wait fails.
pub(crate) fn wait_for(
    server: &'static str,
    process: &mut Process,
    patience: &Patience,
    probe: impl Fn() -> io::Result<Answer>,
) -> Result<(), Error> {
    wait_within((server, READY_LIMIT), process, patience, probe)
}

fn wait_within(
    (server, limit): (&'static str, Duration),
    process: &mut Process,
    patience: &Patience,
    probe: impl Fn() -> io::Result<Answer>,
) -> Result<(), Error> {
    let started = Instant::now();
    let mut last_sign = started;
    let mut cpu_ticks = 0;
    let mut next_report = FIRST_REPORT;
    loop {
        if let Some(status) = process.ended() {
            return Err(Error::Ended { server, status: status.to_string(), log: process.log_tail() });
        }
        let state = match probe() {
            Ok(Answer::Ready) => return Ok(()),
            Ok(Answer::Starting(state)) => {
                last_sign = Instant::now();
                state
            }
            Err(error) => {
                let ticks = process.cpu_ticks();
                // A wrong answer costs CPU time too.
                if ticks > cpu_ticks && error.kind() != io::ErrorKind::InvalidData {
                    last_sign = Instant::now();
                }
                cpu_ticks = ticks;
                "does not answer yet".to_owned()
            }
        };
        let Some(watcher) = patience.watcher() else {
            if started.elapsed() >= limit {
                let (limit, log) = (format!("within {} s", limit.as_secs()), process.log_tail());
                process.kill()?;
                return Err(Error::NotReady { server, limit, log });
            }
            wait::pause(FIRST_INTERVAL);
            continue;
        };
        if watcher.is_cancelled() {
            process.stop()?;
            return Err(Error::Cancelled { server });
        }
        if last_sign.elapsed() >= limit {
            let limit = format!("and has shown no progress for {} s", limit.as_secs());
            let log = process.log_tail();
            process.stop()?;
            return Err(Error::NotReady { server, limit, log });
        }
        let elapsed = started.elapsed();
        if elapsed >= next_report {
            watcher.hear(server, &state, elapsed);
            next_report = elapsed + REPORT_INTERVAL;
        }
        wait::pause(if elapsed < FIRST_PHASE { FIRST_INTERVAL } else { INTERVAL });
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, fs::File, sync::Mutex};

    use super::*;
    use crate::{server::Launch, server::Signal};

    /// Shorter than the processes below live.
    const LIMIT: Duration = Duration::from_millis(300);

    #[derive(Debug, Default)]
    struct Heard {
        states: Mutex<Vec<String>>,
        is_cancelled: bool,
    }

    impl Watcher for Heard {
        fn is_cancelled(&self) -> bool {
            self.is_cancelled
        }

        fn hear(&self, _: &'static str, state: &str, _: Duration) {
            self.states.lock().unwrap().push(state.to_owned());
        }
    }

    fn wait(
        script: &str,
        patience: &Patience,
        probe: impl Fn(Duration) -> io::Result<Answer>,
    ) -> Result<(), Error> {
        let folder = tempfile::tempdir().unwrap();
        let lock = File::create(folder.path().join("lock")).unwrap();
        let launch = Launch {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            account: None,
            stop: Signal::TERM,
            orphaned: "KILL",
        };
        let mut process = Process::start(&launch, folder.path(), &folder.path().join("log"), &lock).unwrap();
        let started = Instant::now();
        let outcome = wait_within(("test", LIMIT), &mut process, patience, || probe(started.elapsed()));
        process.kill().unwrap();
        outcome
    }

    fn patient() -> Patience {
        Patience::WhileStarting(Arc::new(Heard::default()))
    }

    /// Answers with `before` until three limits are over.
    fn late(before: impl Fn() -> io::Result<Answer>) -> impl Fn(Duration) -> io::Result<Answer> {
        move |elapsed| if elapsed > 3 * LIMIT { Ok(Answer::Ready) } else { before() }
    }

    fn starting() -> Answer {
        Answer::Starting("is loading".to_owned())
    }

    fn no_answer() -> io::Result<Answer> {
        Err(io::ErrorKind::ConnectionRefused.into())
    }

    const IDLE: &str = "exec sleep 60";
    const BUSY: &str = "while :; do :; done";

    #[test]
    fn a_server_that_says_that_it_starts_or_that_works_is_waited_for_if_it_holds_data() {
        wait(IDLE, &patient(), late(|| Ok(starting()))).unwrap();
        wait(BUSY, &patient(), late(no_answer)).unwrap();
        let limited = wait(IDLE, &Patience::Limited, late(|| Ok(starting()))).unwrap_err();
        assert!(matches!(limited, Error::NotReady { .. }), "{limited}");
    }

    #[test]
    fn a_server_that_does_nothing_or_answers_wrongly_is_given_up() {
        let idle = wait(IDLE, &patient(), late(no_answer)).unwrap_err();
        assert!(matches!(idle, Error::NotReady { .. }), "{idle}");
        let wrong = || Err(io::ErrorKind::InvalidData.into());
        let wrong = wait(BUSY, &patient(), late(wrong)).unwrap_err();
        assert!(matches!(wrong, Error::NotReady { .. }), "{wrong}");
    }

    #[test]
    fn the_watcher_ends_the_wait_and_hears_of_a_long_one() {
        let given_up = Heard { is_cancelled: true, ..Heard::default() };
        let error = wait(IDLE, &Patience::WhileStarting(Arc::new(given_up)), |_| Ok(starting())).unwrap_err();
        assert!(matches!(error, Error::Cancelled { .. }), "{error}");

        let heard = Arc::new(Heard::default());
        let waits = Cell::new(0);
        let watcher = Patience::WhileStarting(Arc::<Heard>::clone(&heard));
        wait(IDLE, &watcher, |_| {
            waits.set(waits.get() + 1);
            Ok(if heard.states.lock().unwrap().is_empty() { starting() } else { Answer::Ready })
        })
        .unwrap();
        assert_eq!(*heard.states.lock().unwrap(), ["is loading"]);
        assert!(waits.get() > 1);
    }
}
