//! Compares ways to insert rows with several values in one array column, thousands of rows per
//! statement. UNNEST flattens nested arrays, so a parameter cannot be an array of arrays. Measures
//! the CPU time of the backend of a private PostgreSQL; the variants alternate:
//!
//! - `slices`: one flat array for all rows, and a slice of it for each row (what the writer does)
//! - `literals`: one array literal as text for each row, cast to `float8[]`
//! - `json`: one JSON document for all rows, split into rows by `jsonb_to_recordset`
//!
//! `cargo bench -p thicket-store`

use std::fmt::Write as _;

use diesel::pg::data_types::PgTimestamp;
use diesel::sql_types::{Array, BigInt, Double, Integer, Text, Timestamptz};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _, SimpleAsyncConnection as _};
use thicket_store::postgres::connect_postgres;

const ROWS: usize = 5_000;
const FIELDS: usize = 13;
const ROUNDS: usize = 12;
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(QueryableByName)]
struct Backend {
    #[diesel(sql_type = Integer)]
    pid: i32,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let postgres = thicket_compose::Postgres::start(directory.path())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(compare(&postgres.url()))
}

async fn compare(url: &str) -> Result<(), Box<dyn std::error::Error>> {
    let mut connection = connect_postgres(url).await?;
    connection
        .batch_execute(
            "CREATE TABLE r (sensor int8, ts timestamptz, \"values\" float8[], PRIMARY KEY (sensor, ts))",
        )
        .await?;
    let backend: Backend = sql_query("SELECT pg_backend_pid() AS pid").get_result(&mut connection).await?;
    let mut spent = [0.0; 3];
    for round in 0..ROUNDS {
        let rows = Rows::new(round);
        for (variant, spent) in spent.iter_mut().enumerate() {
            connection.batch_execute("TRUNCATE r").await?;
            let before = cpu_seconds(backend.pid)?;
            match variant {
                0 => slices(&mut connection, &rows).await?,
                1 => literals(&mut connection, &rows).await?,
                _ => json(&mut connection, &rows).await?,
            }
            *spent += cpu_seconds(backend.pid)? - before;
        }
    }
    println!("{ROUNDS} × {ROWS} rows of {FIELDS} values; CPU of the PostgreSQL backend:");
    for (name, spent) in ["slices", "literals", "json"].iter().zip(spent) {
        let micros = spent * 1e6 / (ROUNDS * ROWS) as f64;
        println!("{name:<9} {micros:>6.1} µs a row");
    }
    let [slices, literals, json] = spent;
    println!("{{\"literals_per_slices\":{:.2},\"json_per_slices\":{:.2}}}", literals / slices, json / slices);
    Ok(())
}

/// Returns the user and system time of a process, from `/proc`.
fn cpu_seconds(pid: i32) -> Result<f64, Box<dyn std::error::Error>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = stat.rsplit_once(") ").ok_or("no process name")?.1;
    let fields: Vec<&str> = after_name.split(' ').collect();
    let ticks = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / TICKS_PER_SECOND)
}

struct Rows {
    sensor: Vec<i64>,
    ts: Vec<PgTimestamp>,
    values: Vec<f64>,
}

impl Rows {
    fn new(round: usize) -> Self {
        let value = |i: usize| (i * 7_919 % 100_003) as f64 / 977.0;
        Self {
            sensor: (0..ROWS).map(|row| (row % 100) as i64).collect(),
            ts: (0..ROWS).map(|row| PgTimestamp((round * ROWS + row) as i64 * 1_000_000)).collect(),
            values: (0..ROWS * FIELDS).map(value).collect(),
        }
    }
}

type Done = Result<(), diesel::result::Error>;

async fn slices(connection: &mut AsyncPgConnection, rows: &Rows) -> Done {
    let first: Vec<i32> = (0..ROWS).map(|row| (row * FIELDS) as i32 + 1).collect();
    let last: Vec<i32> = (0..ROWS).map(|row| ((row + 1) * FIELDS) as i32).collect();
    sql_query(
        "INSERT INTO r SELECT u.sensor, u.ts, ($3::float8[])[u.first:u.last]
         FROM UNNEST($1::int8[], $2::timestamptz[], $4::int4[], $5::int4[]) AS u (sensor, ts, first, last) ON CONFLICT DO NOTHING",
    )
    .bind::<Array<BigInt>, _>(&rows.sensor)
    .bind::<Array<Timestamptz>, _>(&rows.ts)
    .bind::<Array<Double>, _>(&rows.values)
    .bind::<Array<Integer>, _>(first)
    .bind::<Array<Integer>, _>(last)
    .execute(connection)
    .await?;
    Ok(())
}

async fn literals(connection: &mut AsyncPgConnection, rows: &Rows) -> Done {
    let literal = |values: &[f64]| {
        let mut text = String::from("{");
        for (i, value) in values.iter().enumerate() {
            let _ = write!(text, "{}{value}", if i == 0 { "" } else { "," });
        }
        text.push('}');
        text
    };
    let values: Vec<String> = rows.values.chunks(FIELDS).map(literal).collect();
    sql_query(
        "INSERT INTO r SELECT u.sensor, u.ts, u.values::float8[]
         FROM UNNEST($1::int8[], $2::timestamptz[], $3::text[]) AS u (sensor, ts, values) ON CONFLICT DO NOTHING",
    )
    .bind::<Array<BigInt>, _>(&rows.sensor)
    .bind::<Array<Timestamptz>, _>(&rows.ts)
    .bind::<Array<Text>, _>(values)
    .execute(connection)
    .await?;
    Ok(())
}

async fn json(connection: &mut AsyncPgConnection, rows: &Rows) -> Done {
    let readings = (0..ROWS).map(|row| {
        serde_json::json!({
            "sensor": rows.sensor[row],
            "ts": rows.ts[row].0,
            "values": rows.values[row * FIELDS..(row + 1) * FIELDS],
        })
    });
    let document = serde_json::Value::Array(readings.collect()).to_string();
    sql_query(
        "INSERT INTO r
         SELECT u.sensor, '2000-01-01Z'::timestamptz + u.ts * interval '1 microsecond', u.values
         FROM jsonb_to_recordset($1::jsonb) AS u (sensor int8, ts int8, values float8[]) ON CONFLICT DO NOTHING",
    )
    .bind::<Text, _>(document)
    .execute(connection)
    .await?;
    Ok(())
}
