//! `poly_bench list`.

use measure_core::base::exit::Exit;
use native_vs_wasm::engines::Engines;
use native_vs_wasm::{Benchmark, Column, CompareError, NATIVE, WASM, say};
use table::{Align, Table};

use crate::columns::{self, Setup};
use crate::kernels::{Dataset, ElementChoice, KERNELS, Kernel};

/// A row per kernel: what it computes, and for which datasets it is there in the headline columns.
pub(crate) fn list(element: ElementChoice, engines: Engines) -> Result<Exit, CompareError> {
    let setup = Setup {
        timeout: std::time::Duration::from_secs(1),
        profiling: faaslet::Profiling::Off,
        engines,
    };
    let mut columns = Vec::new();
    for name in [NATIVE, WASM] {
        columns.push(columns::column(name, &setup)?);
    }
    let mut table = Table::new(&[("kernel", Align::Left), ("type", Align::Left)]);
    for column in &columns {
        table.column(column.name(), Align::Left);
    }
    table.column("computes", Align::Left);
    for kernel in KERNELS {
        let mut cells = vec![kernel.name.to_owned(), kernel.own_type.name().to_owned()];
        for column in &columns {
            cells.push(ready(column.as_ref(), &kernel, element));
        }
        cells.push(kernel.what.to_owned());
        table.row(cells);
    }
    let names = columns::names().join(", ");
    say(format!(
        "{}columns: {names}\n{}",
        table.text(table::terminal_width()),
        setup.engines.list(),
    ))?;
    Ok(Exit::Ok)
}

/// The datasets that `kernel` can run with.
fn ready(column: &dyn Column, kernel: &Kernel, element: ElementChoice) -> String {
    let names: Vec<&str> = Dataset::ALL
        .into_iter()
        .filter(|&dataset| {
            let benchmark = Benchmark {
                name: kernel.program(dataset, element),
                group: dataset.to_string(),
            };
            column.check(&benchmark).is_ok()
        })
        .map(Dataset::name)
        .collect();
    match names.len() {
        0 => "not built".to_owned(),
        n if n == Dataset::ALL.len() => "all sizes".to_owned(),
        _ => names.join(" "),
    }
}
