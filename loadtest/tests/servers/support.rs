//! Shared by the integration tests: a database with the engine's tables, and the manifest of a
//! scenario.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

use diesel_async::{AsyncConnection as _, AsyncPgConnection, SimpleAsyncConnection as _};
use thicket_compose::Postgres;
use thicket_loadtest::{
    audio::{FIELDS, Library, library::LoadOptions},
    manifest::{Disposition, InjectedEvent, ManifestWriter, SensorRecord},
    scenario::{Reading, Scenario, ScenarioOptions},
    synth::{self, SynthOptions},
};
use thicket_schema::SensorName;

/// A private PostgreSQL with Thicket's tables.
pub(crate) struct Store {
    pub(crate) server: Postgres,
    pub(crate) connection: AsyncPgConnection,
    _folder: tempfile::TempDir,
}

impl Store {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("postgres");
        let server = tokio::task::spawn_blocking(move || Postgres::start(&directory)).await.unwrap().unwrap();
        let connection = AsyncPgConnection::establish(&server.url()).await.unwrap();
        thicket_schema::postgres::migrate(connection).await.unwrap();
        let mut connection = AsyncPgConnection::establish(&server.url()).await.unwrap();
        connection.batch_execute("INSERT INTO partitions (id) SELECT generate_series(0, 63)").await.unwrap();
        Self { server, connection, _folder: folder }
    }

    pub(crate) async fn execute(&mut self, sql: &str) {
        self.connection.batch_execute(sql).await.unwrap_or_else(|error| panic!("{error}: {sql}"));
    }

    /// Stores readings as the engine would.
    pub(crate) async fn store(&mut self, scenario: &Scenario, readings: &[Reading]) {
        let names = FIELDS.join(",");
        let mut sql = format!("INSERT INTO field_sets VALUES (1, '{{{names}}}') ON CONFLICT DO NOTHING;");
        for sensor in scenario.sensors() {
            let id = SensorName::new(&sensor.name).unwrap().id().0;
            let _ = write!(
                sql,
                "INSERT INTO sensors VALUES ({id}, '{}', 0, '{{{names}}}', now()) ON CONFLICT DO NOTHING;",
                sensor.name
            );
        }
        for reading in readings {
            let id = SensorName::new(&scenario.sensors()[reading.sensor].name).unwrap().id().0;
            let values: Vec<String> = reading.values.iter().map(ToString::to_string).collect();
            let seconds = sql_time(reading.ts);
            let _ = write!(
                sql,
                "SELECT ensure_day_partitions(ARRAY[({seconds})::date]); INSERT INTO readings VALUES \
                 ({id}, {seconds}, {}, 1, '{{{}}}', {}, 0.5, 0, 9);",
                reading.frame + 1,
                values.join(","),
                reading.values[0] / 7.0,
            );
        }
        self.execute(&sql).await;
    }
}

/// Returns the SQL expression of a time in µs since the Unix epoch.
pub(crate) fn sql_time(micros: i64) -> String {
    format!("(timestamptz 'epoch' + {micros} * interval '1 microsecond')")
}

pub(crate) fn sensor_id(scenario: &Scenario, sensor: usize) -> i64 {
    SensorName::new(&scenario.sensors()[sensor].name).unwrap().id().0
}

pub(crate) fn new_scenario(folder: &Path, sensors: u32) -> Arc<Scenario> {
    let data = folder.join("data");
    synth::write(&data, &SynthOptions { seed: 1, clips_per_class: 2, sample_rate: 8_000 }, |_| {}).unwrap();
    let library = Library::load(&data, &LoadOptions::default(), |_, _| {}).unwrap();
    let options = ScenarioOptions { sensors, seed: 11, ..ScenarioOptions::default() };
    Arc::new(Scenario::new(Arc::new(library), options).unwrap())
}

/// Returns the first `frames` readings of every sensor of a scenario.
pub(crate) fn first_readings(scenario: &Scenario, frames: usize) -> Vec<Reading> {
    scenario.readings(0).take(frames * scenario.sensors().len()).collect()
}

/// Writes a manifest of the readings, as if they were published.
pub(crate) fn write_manifest(
    path: &Path,
    scenario: &Scenario,
    readings: &[Reading],
    events: &[InjectedEvent],
) -> ManifestWriter {
    let mut writer = ManifestWriter::create(path).unwrap();
    for (index, sensor) in scenario.sensors().iter().enumerate() {
        let record = SensorRecord {
            index: index as u32,
            period_micros: 1_000_000,
            name: sensor.name.clone(),
            topic: format!("sensors/{}", sensor.name),
            fields: FIELDS.map(str::to_owned).to_vec(),
        };
        writer.sensor(&record).unwrap();
    }
    writer.clock(0).unwrap();
    for reading in readings {
        let one = [(reading.ts, reading.values.as_slice())];
        writer.message(Disposition::Plain, reading.sensor as u32, one.into_iter()).unwrap();
    }
    writer.clock(2_000_000).unwrap();
    for event in events {
        writer.event(event).unwrap();
    }
    writer.flush().unwrap();
    writer
}

/// Runs `thicket-loadtest`.
pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new(PathBuf::from(env!("CARGO_BIN_EXE_thicket-loadtest"))).args(arguments).output().unwrap()
}
