//! diesel's view of the tables; `schema/migrations` is where they are made and explained.

#![allow(missing_docs, reason = "the macro's expansion; the columns are documented in the migration")]

diesel::table! {
    deployment (id) {
        id -> Integer,
        partitions -> Integer,
    }
}

diesel::table! {
    partitions (id) {
        id -> Integer,
        generation -> BigInt,
        n -> BigInt,
        epoch -> BigInt,
        delivered -> BigInt,
        scored -> BigInt,
        poison -> BigInt,
        late -> BigInt,
        duplicates -> BigInt,
        dead_letters -> BigInt,
        detectors -> Nullable<Text>,
        expired -> BigInt,
        clean -> Bool,
        algorithm -> Nullable<Integer>,
        expired_poison -> BigInt,
        expired_late -> BigInt,
        dropped_letters -> BigInt,
    }
}

diesel::table! {
    configs (id) {
        id -> BigInt,
        settings -> Text,
    }
}

diesel::table! {
    sensors (id) {
        id -> BigInt,
        name -> Text,
        partition -> Integer,
        fields -> Array<Text>,
        first_seen -> Timestamptz,
    }
}

diesel::table! {
    field_sets (id) {
        id -> BigInt,
        names -> Array<Text>,
    }
}

diesel::table! {
    readings (sensor, ts) {
        sensor -> BigInt,
        ts -> Timestamptz,
        seq -> Nullable<BigInt>,
        field_set -> BigInt,
        values -> Array<Double>,
        score -> Nullable<Double>,
        grade -> Nullable<Double>,
        flags -> Integer,
        config -> Nullable<BigInt>,
        confidence -> Nullable<Float>,
        onset -> Nullable<Float>,
    }
}

diesel::table! {
    anomalies (sensor, started) {
        sensor -> BigInt,
        started -> Timestamptz,
        ended -> Nullable<Timestamptz>,
        peak_at -> Timestamptz,
        peak_score -> Double,
        peak_grade -> Double,
        readings -> Integer,
        fields -> Array<Text>,
        contributions -> Array<Double>,
        accepted -> Bool,
        actual -> Array<Double>,
        expected -> Array<Double>,
        low -> Array<Double>,
        high -> Array<Double>,
    }
}

diesel::table! {
    labels (sensor, started) {
        sensor -> BigInt,
        started -> Timestamptz,
        label -> Text,
        note -> Text,
        author -> Text,
        set_at -> Timestamptz,
        announced -> Bool,
    }
}

diesel::table! {
    dead_letters (partition, generation, n, item) {
        partition -> Integer,
        generation -> BigInt,
        n -> BigInt,
        item -> Integer,
        received -> Timestamptz,
        reason -> Text,
        detail -> Text,
        topic -> Text,
        payload -> Binary,
        payload_bytes -> BigInt,
        content -> BigInt,
        replayed -> Nullable<Timestamptz>,
    }
}

diesel::joinable!(readings -> sensors (sensor));
diesel::joinable!(readings -> field_sets (field_set));
diesel::joinable!(anomalies -> sensors (sensor));
diesel::joinable!(labels -> sensors (sensor));
diesel::allow_tables_to_appear_in_same_query!(
    anomalies,
    configs,
    dead_letters,
    deployment,
    field_sets,
    labels,
    partitions,
    readings,
    sensors
);
