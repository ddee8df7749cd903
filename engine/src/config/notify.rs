//! `[notify]`: who is told of anomalies.

use std::collections::BTreeSet;
use std::time::Duration;

use figment::value::{Dict, Value};
use serde::{Deserialize, Serialize};
use thicket_notify::{Route, RouteConfig};

use super::error::ConfigError;
use super::extract::extract;

/// Who is told of anomalies.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NotifyConfig {
    /// How long notifications are kept after they were sent.
    #[serde(with = "crate::config::duration")]
    pub(crate) keep: Duration,
    /// Maximum number of notifications that wait for a route.
    pub(crate) max_waiting: u64,
    /// The keys that a route does not have.
    pub(crate) route: RouteConfig,
    /// The routes: any key of `route`.
    pub(crate) routes: Vec<Dict>,
}

impl NotifyConfig {
    /// Returns the routes. Each is merged over the default. Reads their files.
    pub(crate) fn routes(&self) -> Result<Vec<Route>, ConfigError> {
        let (mut routes, mut problems, mut names) = (Vec::new(), Vec::new(), BTreeSet::new());
        for (index, own) in self.routes.iter().enumerate() {
            let place = format!("notify.routes[{index}]");
            match self.route(own, &place) {
                Ok(route) if !names.insert(route.config.name.clone()) => {
                    let problem = "another route has this name; a name tells the routes apart";
                    problems.push(ConfigError::invalid(&format!("{place}.name"), problem));
                }
                Ok(route) if route.config.give_up_after > self.keep => {
                    let problem = "must be at least give_up_after of every route";
                    problems.push(ConfigError::invalid("notify.keep", problem));
                }
                Ok(route) => routes.push(route),
                Err(error) => problems.extend(error.into_all()),
            }
        }
        if problems.is_empty() { Ok(routes) } else { Err(ConfigError::Several(problems)) }
    }

    fn route(&self, own: &Dict, place: &str) -> Result<Route, ConfigError> {
        let defaults = Value::serialize(&self.route)
            .map_err(|error| ConfigError::invalid(place, &error.to_string()))?
            .into_dict()
            .unwrap_or_default();
        let config: RouteConfig = extract(&defaults, own.clone(), place)?;
        Route::new(config).map_err(|problems| {
            let located = problems
                .into_iter()
                .map(|problem| ConfigError::invalid(&format!("{place}.{}", problem.key), &problem.problem));
            ConfigError::Several(located.collect())
        })
    }
}
