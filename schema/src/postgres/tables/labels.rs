//! `labels`: the labels that people give to anomalies; `applied_labels`: the labels that detectors
//! have applied.

#![allow(missing_docs, reason = "the macro's expansion; the migration documents the columns")]

diesel::table! {
    labels (sensor, started) {
        sensor -> BigInt,
        started -> Timestamptz,
        label -> Text,
        note -> Text,
        author -> Text,
        set_at -> Timestamptz,
        logged -> Bool,
    }
}

diesel::table! {
    applied_labels (sensor, seq, number) {
        sensor -> BigInt,
        seq -> BigInt,
        number -> BigInt,
        started -> Timestamptz,
        label -> Text,
    }
}
