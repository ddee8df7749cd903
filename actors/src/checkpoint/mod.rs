//! Saves checkpoints in Redis, and loads the history of a sensor: its checkpoint, and its rows in
//! PostgreSQL.

mod budget;
mod checkpointer;
mod history;
mod places;
mod write;

pub use budget::{BudgetOptions, checkpoint_budget};
pub use checkpointer::Checkpointer;
pub use history::REBUILD_PER_POINT;
pub use places::{LOADS_IN_FLIGHT, PAGES_IN_MEMORY};
