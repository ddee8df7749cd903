use thicket_schema::{Position, Timestamp};

use super::super::redis::Ahead;
use super::*;

fn balanced() -> (Snapshot, RedisState) {
    let ledger = Ledger {
        delivered: 140,
        scored: 100,
        unscored: 7,
        poison: 2,
        late: 3,
        duplicates: 20,
        dead_letters: 8,
        expired: 48,
        expired_unscored: 5,
        expired_poison: 1,
        expired_late: 2,
        dead_letters_deleted: 4,
        dead_letters_unstored: 3,
    };
    let position = Position { generation: 7, n: 9 };
    let rows = SensorRows {
        sensor: 11,
        name: Some("a".to_owned()),
        partition: Some(3),
        scored: 60,
        unscored: 2,
        poison: 1,
        late: 1,
        first: Some(41),
        last: Some(100),
        ..SensorRows::default()
    };
    let snapshot = Snapshot {
        at: Timestamp(0),
        since: None,
        ledgers: vec![PartitionLedger { partition: 3, position, epoch: 1, ledger }],
        dead_letters: [(3, 1)].into(),
        sensors: [(11, rows)].into(),
        losses: Vec::new(),
        misnamed: Vec::new(),
    };
    let end = Position { generation: 7, n: 12 };
    let waiting = InFlight { entries: 3, records: Some(30) };
    let redis = RedisState {
        ends: [(3, Some(end))].into(),
        in_flight: [(3, waiting)].into(),
        checkpoints: 1,
        ahead: Vec::new(),
    };
    (snapshot, redis)
}

/// The names of the checks that fail, and all that they say.
fn failures(change: impl FnOnce(&mut Snapshot, &mut RedisState)) -> (Vec<&'static str>, String) {
    let (mut snapshot, mut redis) = balanced();
    change(&mut snapshot, &mut redis);
    let report = check(&snapshot, &redis);
    let failed: Vec<&Check> = report.checks.iter().filter(|check| !check.differences.is_empty()).collect();
    assert_eq!(report.balances, failed.is_empty());
    let words: Vec<String> = failed.iter().flat_map(|check| check.differences.clone()).collect();
    (failed.iter().map(|check| check.name).collect(), words.join("\n"))
}

#[test]
fn what_balances_passes_with_what_expired_and_was_dropped() {
    assert_eq!(failures(|_, _| {}), (vec![], String::new()));
}

#[test]
fn each_kind_of_difference_is_found_by_its_own_check_and_named() {
    type Change = fn(&mut Snapshot, &mut RedisState);
    fn rows(snapshot: &mut Snapshot) -> &mut SensorRows {
        snapshot.sensors.get_mut(&11).unwrap()
    }
    let changes: [(Change, &str, &str); 15] = [
        (
            |s, _| s.ledgers[0].ledger.duplicates = 19,
            "ledger",
            "partition 03: 140 delivered, 139 accounted for",
        ),
        (|s, _| rows(s).scored = 59, "scored rows", "partition 03: 59 stored, 60 by the ledger"),
        (|s, _| rows(s).late = 2, "late rows", "2 stored, 1 by the ledger"),
        (|s, _| rows(s).unscored = 1, "unscored rows", "1 stored, 2 by the ledger"),
        (|s, _| rows(s).poison = 0, "poison rows", "0 stored, 1 by the ledger"),
        (
            |s, _| s.dead_letters.clear(),
            "dead letters",
            "0 stored, 4 deleted and 3 only counted, 8 by the ledger",
        ),
        (|s, _| s.misnamed.push("sensor a: the id is 5".to_owned()), "ids", "sensor a: the id is 5"),
        (|s, _| rows(s).other = 2, "kinds", "sensor a: 2 rows of no kind"),
        (|s, _| rows(s).breaks = 1, "sequences", "sensor a: gaps or repetitions between seq 41 and 100: 1"),
        (|s, _| rows(s).no_field_set = 1, "references", "sensor a: 1 row without a field set"),
        (|s, _| rows(s).no_config = 2, "references", "2 rows without a configuration"),
        (|s, _| rows(s).name = None, "references", "sensor number 11: 64 rows without a row in sensors"),
        (|_, l| *l.ends.get_mut(&3).unwrap() = None, "logs", "7-9 is committed, but there is no log"),
        (
            |_, l| *l.ends.get_mut(&3).unwrap() = Some(Position { generation: 7, n: 8 }),
            "logs",
            "7-9 is committed, but the log ends at 7-8",
        ),
        (
            |_, l| l.ahead.push(Ahead { sensor: "a".to_owned(), checkpoint: 101, rows: Some(100) }),
            "checkpoints",
            "sensor a: its checkpoint is of seq 101, of the rows they end at 100",
        ),
    ];
    for (change, name, words) in changes {
        let (failed, said) = failures(change);
        assert_eq!(failed, [name]);
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_sequence_begins_with_one_as_long_as_nothing_has_expired() {
    let fresh = |snapshot: &mut Snapshot| {
        let ledger = &mut snapshot.ledgers[0].ledger;
        (ledger.scored, ledger.expired, ledger.expired_poison, ledger.expired_late) = (60, 0, 0, 0);
        (ledger.unscored, ledger.expired_unscored) = (2, 0);
        (ledger.poison, ledger.late, ledger.delivered) = (1, 1, 92);
    };
    let (failed, said) = failures(|snapshot, _| fresh(snapshot));
    assert_eq!(failed, ["sequences"]);
    assert!(said.contains("begins with seq 41"), "{said}");
    let since = |snapshot: &mut Snapshot, _: &mut RedisState| {
        fresh(snapshot);
        snapshot.since = Some(Timestamp(1));
    };
    assert_eq!(failures(since).0, Vec::<&str>::new());
}

#[test]
fn some_of_the_rows_are_not_held_against_the_whole_ledger() {
    let since = |snapshot: &mut Snapshot, _: &mut RedisState| {
        snapshot.since = Some(Timestamp(1));
        snapshot.sensors.get_mut(&11).unwrap().scored = 5;
    };
    assert_eq!(failures(since).0, Vec::<&str>::new());
}
