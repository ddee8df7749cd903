//! The protocol holds in every order of events. The explorer would notice if it did not: each rule
//! that is broken gives a counterexample.

use thicket_model::{Faults, Report, Rule, Setting, explore};

/// One lost reply of each kind.
const EACH_REPLY: [(&str, u8); 4] =
    [("lost-appends", 1), ("lost-opens", 1), ("lost-claims", 1), ("lost-commits", 1)];
/// More states than any of these explorations has.
const MOST_STATES: usize = 1_000_000;

fn holds(what: &str, setting: &Setting) -> Report {
    let report = explore(setting, MOST_STATES);
    println!("{what}: {report}");
    if let Some(counterexample) = &report.counterexample {
        panic!("{what}: {counterexample}");
    }
    assert!(report.complete, "{what}: not all states were visited");
    assert!(report.final_states > 0, "{what}: there is no final state");
    report
}

#[test]
fn exactly_once_in_order_without_a_gap_despite_any_single_fault() {
    holds("three readings, one fault of any kind", &Setting::new(3, 1, 1));
    holds("two partitions, one fault of any kind", &Setting::new(2, 2, 1));
}

#[test]
fn exactly_once_in_order_without_a_gap_despite_several_faults() {
    let two = Setting::new(2, 1, 2);
    holds("two crashes", &two.only(&[("crashes", 2)]));
    let three = Setting::new(2, 1, 3);
    holds("each kind of reply lost once", &Setting::new(2, 1, 4).only(&EACH_REPLY));
    holds("two leases that expire", &two.only(&[("expiries", 2)]));
    let writers = [("lost-commits", 1), ("refusals", 1), ("evictions", 1)];
    holds("lost replies to commits, returned batches, and evicted detectors", &three.only(&writers));
    let crash = [("crashes", 1), ("lost-commits", 1), ("lost-appends", 1)];
    holds("a crash among lost replies", &three.only(&crash));
    let late = [("restarts", 1), ("late-appends", 1), ("lost-appends", 1)];
    holds("a queue writer that restarts while an append is still in flight", &three.only(&late));
}

#[test]
fn a_loss_in_redis_is_reported_and_every_other_row_is_right() {
    let setting = Setting::lossy(3, 1, 2);
    let kinds = [("losses", 1), ("lost-appends", 1), ("late-appends", 1), ("lost-commits", 1)];
    holds("a loss beside a lost reply", &setting.only(&kinds));
    holds("a loss beside a zombie", &Setting::lossy(2, 1, 1));
}

#[test]
fn every_broken_rule_is_noticed() {
    for rule in Rule::ALL {
        let setting =
            if rule == Rule::LossesAreReported { Setting::lossy(3, 1, 2) } else { Setting::new(3, 1, 2) };
        let report = explore(&setting.breaking(rule), MOST_STATES);
        println!("without {rule:?}: {report}");
        let counterexample =
            report.counterexample.unwrap_or_else(|| panic!("nothing goes wrong without {rule:?}"));
        println!("{counterexample}");
    }
}

/// An exploration that its bound cuts short must not pass for a complete one.
#[test]
fn a_bound_that_is_too_small_is_reported() {
    let report = explore(&Setting::new(3, 1, 1), 100);
    assert!(!report.complete && report.counterexample.is_none());
}

#[test]
fn without_faults_there_is_one_way_to_end() {
    let setting = Setting { faults: Faults::default(), ..Setting::new(2, 1, 0) };
    let report = holds("nothing goes wrong", &setting);
    assert!(report.final_states <= 2, "with or without the last trim: {}", report.final_states);
}

/// A documented limit: if Redis forgets an entry, and the process that wrote it is gone, no process
/// is left that knows of the entry.
#[test]
fn a_loss_is_not_noticed_if_its_only_witness_is_gone() {
    let setting = Setting { writer_stays: false, ..Setting::lossy(3, 1, 2) };
    let report = explore(&setting.only(&[("losses", 1), ("crashes", 1)]), MOST_STATES);
    let counterexample = report.counterexample.expect("docs/protocol.md documents this limit; update it");
    println!("{counterexample}");
}
