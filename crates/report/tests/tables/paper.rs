//! A made-up run beside the published figures.

use measure_core::contract::Probe;
use report::{Records, RunSummary, beside_the_paper};
use table::Table;

use crate::load::loaded;
use crate::made::{Made, info, rung_info};

/// `faaslet` and `docker-none`, whose starts take two thousand times as long; the former under load.
fn records() -> Records {
    let mut made = Made::default();
    made.designs("faaslet", 7, 100);
    made.designs("docker-none", 7, 200_000);
    let rungs = ["faaslet", "docker-none"].map(|rung| rung_info(rung, Probe::Ready));
    let mut records = made.records(info(rungs.to_vec()));
    records.loads = loaded().loads;
    for measured in &mut records.loads {
        measured.point.rung = "faaslet".into();
    }
    records
}

fn row(table: &Table, quantity: &str, of: &str) -> Vec<String> {
    let found = table.rows().iter().find(|r| r[0] == quantity && r[1] == of);
    found
        .unwrap_or_else(|| panic!("{quantity} of {of}: {table:?}"))
        .clone()
}

#[test]
fn ratios_are_to_docker_of_the_same_column_and_what_is_missing_is_said() {
    let records = records();
    let table = beside_the_paper(&RunSummary::from_records(&records));
    let faaslet = row(&table, "no-op start", "Faaslet");
    assert_eq!(
        faaslet[2..7],
        ["5.20 ms", "538", "faaslet", "103 us", "2000"]
    );
    assert_eq!(
        row(&table, "no-op start", "Docker")[3..5],
        ["1.00", "docker-none"]
    );
    let absent = row(&table, "Python no-op start", "Proto-Faaslet");
    assert_eq!(absent[4..7], ["-", "not in this run", "-"]);
    // A knee without one of docker is no ratio.
    let loop_of = row(&table, "starts/s, open loop", "Faaslet");
    assert_eq!(loop_of[2..7], ["600", "200", "faaslet", "700", "-"]);
    assert_eq!(row(&table, "PSS", "Faaslet")[2..5], ["200 KB", "6.50", "-"]);
}

#[test]
fn reports_have_them_only_where_they_are_asked_for() {
    let records = records();
    let mut summary = RunSummary::from_records(&records);
    for with_paper in [false, true] {
        summary.with_paper = with_paper;
        let files = report::render(&summary);
        for (name, words) in [
            ("report.md", "## Beside the original's figures"),
            ("report.html", ">Beside the original's figures</h2>"),
            ("load.svg", "Docker (published)"),
        ] {
            let file = files.iter().find(|file| file.name == name).expect(name);
            assert_eq!(file.content.contains(words), with_paper, "{name}");
        }
    }
}
