//! `py_bench list`.

use measure_core::base::exit::Exit;
use native_vs_wasm::engines::Engines;
use native_vs_wasm::{CompareError, say};
use table::{Align, Table};

use crate::benchmarks::{Benchmarks, PREFIX};
use crate::columns;

/// A row per benchmark of the suite: whether it runs, what it does, or why it is not run.
pub(crate) fn list(known: &Benchmarks, engines: &Engines) -> Result<Exit, CompareError> {
    let mut table = Table::new(&[
        ("benchmark", Align::Left),
        ("status", Align::Left),
        ("what it does, or why it is not run", Align::Left),
    ]);
    let status = if columns::same_version().is_ok() {
        "runs"
    } else {
        "not built"
    };
    for name in known.names() {
        table.row(vec![
            name.trim_start_matches(PREFIX).to_owned(),
            status.to_owned(),
            known.about(name),
        ]);
    }
    for (name, why) in known.absent() {
        table.row(vec![name.clone(), "not run".to_owned(), why.clone()]);
    }
    let columns = columns::names().join(", ");
    let built = columns::same_version().map_or_else(
        |why| format!("not built: {why}"),
        |version| format!("CPython {version} on both sides"),
    );
    say(format!(
        "{}{built}\ncolumns: {columns}\n{}",
        table.text(table::terminal_width()),
        engines.list(),
    ))?;
    Ok(Exit::Ok)
}
