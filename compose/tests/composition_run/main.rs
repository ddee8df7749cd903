//! Runs the composition on a Docker engine: starts it, crashes it, cuts its networks, updates it.
//! `make compose-test` runs this test; without a Docker engine it is left out.
//!
//! One project lives through all steps, because a start takes longer than a step. A device
//! publishes all the while, and in the end each of its readings must have its row.
//!
//! - `docker`: runs `docker`, and kills processes
//! - `project`: the composition under test
//! - `witness`: the device
//! - `panels`: the queries of the dashboards
//! - `steps`: what is done to the composition

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod docker;
mod panels;
mod project;
mod steps;
mod witness;

use std::{env, time::Instant};

use project::Project;
use witness::Witness;

/// Runs a step, and prints how long it took. Durations are shown, never asserted.
fn step<T>(name: &str, action: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let result = action();
    eprintln!("compose-test: {:6.1} s  {name}", began.elapsed().as_secs_f64());
    result
}

#[test]
fn the_composition_lives() {
    let image = env::var("THICKET_TEST_IMAGE").expect("make compose-test builds the image and names it");
    let previous = steps::previous_image(&image);
    let mut project = Project::new(&previous);

    step("up, while a port is taken: the port is named", || steps::a_taken_port_is_named(&project));
    step("up on empty volumes, from files that only their owner may read: all healthy", || {
        project.up();
        project.wait_until_well();
    });
    step("the README's lines for containers show the first reading", || {
        steps::a_reading_becomes_a_row(&project);
    });
    step("no container has rights that it does not need", || steps::rights_are_few(&project));
    step("the history of the demo is stored", || steps::the_history_is_stored(&project));
    let asked = step("every panel's query is answered", || steps::panels_answer(&project));
    eprintln!("compose-test:           {asked} queries");

    let witness = Witness::start(&project, &image);
    step("update from the previous image", || {
        project.set("THICKET_IMAGE", &image);
        project.up();
        project.wait_until_well();
        project.wait_until_flowing();
    });
    step("down and up: no second history", || steps::down_and_up(&project));
    steps::crash_each(&project, &witness);
    step("all containers killed at once", || steps::crash_all(&project, &witness));
    step("the host restarts, and starts the containers in any order", || {
        steps::restart_of_the_host(&project);
    });
    for (network, store) in [("log", "Redis"), ("database", "PostgreSQL"), ("broker", "Mosquitto")] {
        step(&format!("the engine's network to {store} is cut for {:?}", steps::cut()), || {
            steps::black_hole(&project, network);
        });
    }
    step("two engines: the standby takes over", || steps::standby_takes_over(&project));
    let report = step("every confirmed reading has its row", || witness.verify(&project));
    eprintln!("compose-test:           {}", report.trim());
    step("the ledger balances, and there are no dead letters", || steps::nothing_is_missing(&project));
    drop(witness);
    step("users and passwords (secure.yaml)", || steps::with_users(&mut project));
    step("TLS in thicket.toml: healthy", || steps::with_tls_in_the_configuration(&project));
}
