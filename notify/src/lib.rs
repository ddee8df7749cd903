//! Who is told of an anomaly, and how.
//!
//! The commit writes notifications into an outbox in PostgreSQL. The [`Notifier`] distributes them
//! to the routes of the configuration, and sends them until the receivers have accepted them.
//!
//! # Layout
//!
//! In the order that a notification flows:
//!
//! - [`config`]: the settings of a route.
//! - [`route`]: which notifications a route sends, and when.
//! - [`message`]: what a receiver is told. `keys`: by what it recognises a repeat. [`words`]:
//!   causes as text.
//! - [`template`]: the body of a webhook.
//! - [`receivers`]: sends a message: `webhook`, `mqtt` or `email`.
//! - [`notifier`]: the actor. `outbox`: distributes. `sender`: sends for one route.
//! - `retained`: repeats the messages that a broker may have lost. `shared`: the state of both tasks.

pub mod config;
mod keys;
pub mod message;
pub mod notifier;
mod outbox;
pub mod receivers;
mod retained;
pub mod route;
mod sender;
mod shared;
pub mod template;
pub mod words;

pub use config::{RouteConfig, RouteProblem};
pub use notifier::{Notifier, NotifierOptions};
pub use route::Route;
