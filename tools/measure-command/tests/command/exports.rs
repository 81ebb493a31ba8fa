//! The forms that other programs read, held against hyperfine's own.

use std::collections::BTreeSet;

use super::*;

/// Runs measure-core with the words of `options` and then `more`.
fn exported(options: &str, more: &[&str]) -> String {
    let mut command = measure(options);
    command.args(more);
    let output = to_its_end(command);
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output)
}

/// What `hyperfine -N` exports of the same commands; `None`, said, where there is no hyperfine.
fn hyperfine(place: &Place, option: &str, more: &[&str]) -> Option<String> {
    let file = place.path("theirs");
    let run = Command::new("hyperfine")
        .args([
            "-N", "--style", "none", "--runs", "3", "--warmup", "0", option,
        ])
        .arg(&file)
        .args(more)
        .stdin(Stdio::null())
        .output();
    match run {
        Ok(output) => {
            assert!(output.status.success(), "{}", stderr(&output));
            Some(fs::read_to_string(&file).expect("written"))
        }
        Err(error) => {
            eprintln!("SKIPPED: hyperfine beside it: {error} (apt install hyperfine)");
            None
        }
    }
}

const COMMANDS: [&str; 5] = ["-i", "-L", "code", "0,3", "sh -c 'exit {code}'"];

fn keys(value: &Value) -> BTreeSet<&str> {
    let fields = value.as_object().expect("an object");
    fields.keys().map(String::as_str).collect()
}

#[test]
fn the_json_is_of_hyperfines_form() {
    let text = exported("-n 3 -w 0 --export-json -", &COMMANDS);
    let ours: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(keys(&ours), BTreeSet::from(["results"]));
    for (number, code) in [(0, 0), (1, 3)] {
        let result = &ours["results"][number];
        assert_eq!(result["command"], format!("sh -c 'exit {code}'"));
        assert_eq!(result["exit_codes"], serde_json::json!([code, code, code]));
        assert_eq!(result["parameters"]["code"], code.to_string());
        let times: Vec<f64> = result["times"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(Value::as_f64)
            .collect();
        assert_eq!(times.len(), 3);
        let number = |key: &str| result[key].as_f64().expect("a number");
        let mean = times.iter().sum::<f64>() / 3.0;
        assert!((number("mean") - mean).abs() < 1e-12);
        let squares: f64 = times.iter().map(|time| (time - mean).powi(2)).sum();
        assert!((number("stddev") - (squares / 2.0).sqrt()).abs() < 1e-9);
        assert!(number("min") <= number("median") && number("median") <= number("max"));
        // Seconds: a shell that exits takes less than a minute and more than a microsecond.
        assert!((1e-6..60.0).contains(&number("min")), "{result}");
    }
    let place = Place::new();
    let Some(theirs) = hyperfine(&place, "--export-json", &COMMANDS) else {
        return;
    };
    let theirs: Value = serde_json::from_str(&theirs).expect("JSON");
    for number in 0..2 {
        let (own, other) = (&ours["results"][number], &theirs["results"][number]);
        // Later versions write `memory_usage_byte` too.
        let known: BTreeSet<&str> = keys(other)
            .into_iter()
            .filter(|key| *key != "memory_usage_byte")
            .collect();
        assert_eq!(keys(own), known);
        for same in ["command", "exit_codes", "parameters"] {
            assert_eq!(own[same], other[same], "{same}");
        }
    }
}

/// Every key of every object in `value`.
fn all_keys<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                found.insert(key);
                all_keys(value, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| all_keys(value, found)),
        _ => {}
    }
}

#[test]
fn the_schema_has_every_field_of_the_json() {
    let schema = exported("--schema", &[]);
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    assert!(
        schema["$schema"]
            .as_str()
            .is_some_and(|s| s.contains("json-schema.org"))
    );
    let mut known = BTreeSet::new();
    all_keys(&schema, &mut known);
    for commands in [&["--", "true"][..], &COMMANDS] {
        let text = exported("-n 6 -w 0 --json -", commands);
        let mut report: Value = serde_json::from_str(&text).expect("JSON");
        // Of these the keys are the host's and the user's own.
        for free in ["environment", "parameters"] {
            report.as_object_mut().expect("an object").remove(free);
        }
        for command in report["commands"].as_array_mut().into_iter().flatten() {
            command
                .as_object_mut()
                .expect("an object")
                .remove("parameters");
        }
        let mut own = BTreeSet::new();
        all_keys(&report, &mut own);
        let unknown: Vec<&&str> = own.difference(&known).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}

#[test]
fn a_lone_run_has_no_deviation_and_no_parameters() {
    let text = exported("-n 1 -w 0 --passes wall --export-json -", &["--", "true"]);
    let report: Value = serde_json::from_str(&text).expect("JSON");
    let result = &report["results"][0];
    assert!(result["stddev"].is_null(), "{result}");
    assert!(result.get("parameters").is_none(), "{result}");
}

#[test]
fn the_csv_begins_with_hyperfines_columns() {
    let text = exported("-n 6 -w 0 --export-csv -", &COMMANDS);
    let mut rows = text.lines();
    let header = rows.next().expect("a header");
    let begins = "command,mean,stddev,median,user,system,min,max,parameter_code,";
    assert!(header.starts_with(begins), "{header}");
    assert!(
        header.ends_with("median_minor_faults,median_major_faults"),
        "{header}"
    );
    let fields = header.split(',').count();
    let rows: Vec<&str> = rows.collect();
    assert_eq!(rows.len(), 2, "{text}");
    for row in rows {
        // No command here has a comma.
        assert_eq!(row.split(',').count(), fields, "{row}");
    }
    let place = Place::new();
    if let Some(theirs) = hyperfine(&place, "--export-csv", &COMMANDS) {
        let theirs = theirs.lines().next().expect("a header");
        assert!(header.starts_with(theirs), "{theirs} begins {header}");
    }
}

#[test]
fn the_markdown_has_a_row_for_each_command_and_all_files_are_written() {
    let place = Place::new();
    let files = ["own.json", "hyperfine.json", "x.csv", "x.md"].map(|name| place.path(name));
    let [own, theirs, csv, markdown] = files.each_ref().map(|path| text(path).to_owned());
    let options = format!(
        "-n 6 -w 0 --passes wall --json {own} --export-json {theirs} --export-csv {csv} --export-markdown {markdown}"
    );
    let table = exported(&options, &["true a|b", "true c"]);
    assert!(table.contains("ratio to 1"), "{table}");
    assert!(files.iter().all(|file| file.exists()));
    let text = fs::read_to_string(&markdown).expect("written");
    let rows: Vec<&str> = text.lines().collect();
    assert_eq!(rows.len(), 4, "{text}");
    assert!(rows[2].starts_with("| `true a\\|b` "), "{text}");
    let cells = |row: &str| row.replace("\\|", "").matches('|').count();
    assert!(
        rows.iter().all(|row| cells(row) == cells(rows[0])),
        "{text}"
    );
}
