//! `thicket notify`, and the start of the actor that sends notifications.

pub(crate) mod args;
mod print;
mod start;

pub(crate) use start::start;

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use thicket_detector::{Cause, Direction};
use thicket_notify::Route;
use thicket_notify::message::{Message, Origin};
use thicket_schema::Timestamp;
use thicket_store::postgres::{
    Anomaly, DeliveryState, end_silence, list_deliveries, list_sensors, list_silences, silence,
};

use self::args::NotifyCommand;
use self::print::{DeliveryJson, SilenceJson, print_deliveries, print_silences};
use crate::config::Config;
use crate::stores::{self, TABLES_MISSING};
use crate::terminal::{errln, on_one_line, outln};
use crate::time_arg;

/// The deployment that a test message names: the test needs no database.
const TEST: &str = "test";

/// Runs `thicket notify`.
pub(crate) async fn notify(config: &Config, command: NotifyCommand) -> anyhow::Result<ExitCode> {
    match command {
        NotifyCommand::Test { route } => test(config, &route).await?,
        NotifyCommand::List { all, limit, format } => {
            let pending =
                [DeliveryState::Held, DeliveryState::Waiting, DeliveryState::Sending, DeliveryState::Failed];
            let states: &[DeliveryState] = if all { &[] } else { &pending };
            let mut postgres = stores::postgres(config).await?;
            let found = list_deliveries(&mut postgres, states, limit).await.context(TABLES_MISSING)?;
            let shown: Vec<DeliveryJson<'_>> = found.iter().map(DeliveryJson::from).collect();
            format.print(&shown, |_| print_deliveries(&found))?;
        }
        NotifyCommand::Silence { pattern, lasts, note, author } => {
            let mut postgres = stores::postgres(config).await?;
            let made =
                silence(&mut postgres, &pattern, lasts, &note, &author).await.context(TABLES_MISSING)?;
            let (pattern, until) = (on_one_line(&made.pattern), time_arg::show(made.until));
            outln!("silence {}: {pattern} until {until}", made.id);
            if list_sensors(&mut postgres, &made.pattern, 1).await?.is_empty() {
                errln!(
                    "thicket: warning: no sensor's name matches {pattern}; `thicket sensors list` lists them"
                );
            }
        }
        NotifyCommand::Silences { format } => {
            let mut postgres = stores::postgres(config).await?;
            let found = list_silences(&mut postgres).await.context(TABLES_MISSING)?;
            let shown: Vec<SilenceJson<'_>> = found.iter().map(SilenceJson::from).collect();
            format.print(&shown, |_| print_silences(&found))?;
        }
        NotifyCommand::Unsilence { id } => {
            let mut postgres = stores::postgres(config).await?;
            if !end_silence(&mut postgres, id).await.context(TABLES_MISSING)? {
                bail!("there is no silence {id}; `thicket notify silences` lists them");
            }
            outln!("silence {id} has ended");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Sends a test message.
async fn test(config: &Config, name: &str) -> anyhow::Result<()> {
    let routes = config.notify.routes()?;
    let Some(route) = routes.iter().find(|route| route.config.name == name) else {
        let names: Vec<&str> = routes.iter().map(|route| route.config.name.as_str()).collect();
        let names = if names.is_empty() {
            "there are none".to_owned()
        } else {
            format!("they are {}", names.join(", "))
        };
        bail!("no route is named {name}; {names} (notify.routes)");
    };
    if let Some(warning) = route.receiver.warning() {
        errln!("thicket: warning: {}", on_one_line(&warning));
    }
    let origin = Origin { deployment: TEST, route: name };
    let message = Message::test(origin, example(route), route.config.receiver);
    let sent = route.receiver.send(&message, route.config.timeout).await;
    sent.with_context(|| format!("the receiver of {name} has not accepted the test message"))?;
    outln!("the receiver of {name} has accepted the test message: {}", on_one_line(&message.title));
    Ok(())
}

/// Returns an anomaly that is over, so that it leaves no alert open.
fn example(route: &Route) -> Anomaly {
    let now = chrono::Utc::now().timestamp_micros();
    let is_pattern = route.config.sensors.contains(['*', '?']);
    let sensor = if is_pattern { "site-1/example".to_owned() } else { route.config.sensors.clone() };
    let cause = Cause {
        field: "value".to_owned(),
        share: 1.0,
        actual: 71.0,
        expected: 44.0,
        low: 40.0,
        high: 48.0,
        direction: Direction::High,
        is_counter: false,
        repeated: 0,
        away: 0,
    };
    Anomaly {
        sensor,
        started: Timestamp(now - 60_000_000),
        ended: Some(Timestamp(now)),
        accepted: false,
        peak_at: Timestamp(now - 30_000_000),
        peak_score: 40.0,
        peak_grade: 1.0,
        readings: 60,
        causes: vec![cause],
        label: None,
    }
}
