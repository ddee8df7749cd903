use std::fs;

use clap::Parser as _;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::series::Noise;

fn measured(arguments: &[&str]) -> anyhow::Result<String> {
    let args = Args::try_parse_from([&["bench"], arguments].concat())?;
    let mut out = Vec::new();
    run(&args, &mut out)?;
    Ok(String::from_utf8(out)?)
}

#[test]
fn the_last_line_has_all_figures_and_the_files_have_a_line_a_row() {
    let folder = tempfile::tempdir().unwrap();
    let index = "set,series,first_row_that_counts\npumps,p-1,700\n";
    fs::write(folder.path().join("index.csv"), index).unwrap();
    fs::create_dir(folder.path().join("pumps")).unwrap();
    let file = fs::File::create(folder.path().join("pumps/p-1.csv.gz")).unwrap();
    let mut encoder = GzEncoder::new(file, Compression::default());
    writeln!(encoder, "micros,label,f000").unwrap();
    let mut noise = Noise::new(1);
    for row in 0..1_000_i64 {
        let spike = if row == 900 { 100.0 } else { 0.0 };
        writeln!(encoder, "{},{},{}", row * 60_000_000, u8::from(row == 900), noise.normal() + spike)
            .unwrap();
    }
    encoder.finish().unwrap();

    let (data, out) = (folder.path().to_str().unwrap(), folder.path().join("out"));
    let arguments = [
        "--data",
        data,
        "--out",
        out.to_str().unwrap(),
        "--profile",
        "small",
        "--seeds",
        "2",
        "--part",
        "detection",
        "--per-series",
    ];
    let output = measured(&arguments).unwrap();
    assert!(output.contains("small seed 1  pumps/p-1"), "{output}");
    let json: Value = serde_json::from_str(output.lines().last().unwrap()).unwrap();
    let set = &json["small"]["sets"]["pumps"];
    for name in ["auc_pr", "vus_pr", "best_f1", "at_1", "at_3", "found", "spans"] {
        assert!(set[name]["median"].is_f64() && set[name]["least"].is_f64(), "{name}: {set}");
    }
    assert_eq!(set["spans"]["greatest"], 1.0);
    for seed in ["0", "1"] {
        let set = out.join("small").join(seed).join("pumps");
        let grades = fs::read_to_string(set.join("p-1.csv")).unwrap();
        let grades: Vec<&str> = grades.lines().collect();
        assert_eq!((grades.len(), grades[0], grades[1]), (1_001, "grade", ""));
        assert!(grades[901].parse::<f64>().unwrap() > 0.5, "{}", grades[901]);
        let events = fs::read_to_string(set.join("p-1.events.csv")).unwrap();
        assert!(events.starts_with("first,last\n"));
    }
}

#[test]
fn without_a_folder_the_error_says_where_to_read() {
    let error = measured(&["--part", "detection"]).unwrap_err().to_string();
    assert!(error.contains("--data DIR is missing") && error.contains("detector/bench/README.md"), "{error}");
}
