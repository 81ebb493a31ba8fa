//! Generated names beside real ones.

use std::fmt::Write;

use crate::code::{Piece, Role};
use crate::lines::Lines;
use crate::module::WasmModule;

/// What stands where the module tells nothing.
const UNKNOWN: &str = "?";
/// What stands for code that is no function of the module.
const ENGINE: &str = "[engine]";

/// Which columns to print beside the names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Columns {
    pub(crate) sizes: bool,
    pub(crate) lines: bool,
}

/// One piece of code.
pub(crate) struct Row {
    pub(crate) piece: Piece,
    /// The real name.
    pub(crate) symbol: Option<String>,
    line: Option<String>,
}

/// All pieces of a module's code.
pub(crate) struct Table {
    rows: Vec<Row>,
    trouble: Option<String>,
}

impl Table {
    pub(crate) fn new(code: Vec<Piece>, module: &WasmModule<'_>) -> Self {
        let (lines, damaged) = match Lines::new(&module.debug) {
            Ok(lines) => (lines, None),
            Err(e) => (None, Some(format!("its debug info is damaged: {e}"))),
        };
        let rows = code.into_iter().map(|piece| match piece.role {
            Role::Function(index) => Row {
                symbol: module.name(index).map(str::to_owned),
                line: module
                    .body(index)
                    .and_then(|body| lines.as_ref()?.first_line(body)),
                piece,
            },
            Role::Entry(index) => Row {
                symbol: module.name(index).map(|name| format!("{name} [entry]")),
                line: None,
                piece,
            },
            Role::Engine => Row {
                symbol: None,
                line: None,
                piece,
            },
        });
        Self {
            rows: rows.collect(),
            trouble: module.trouble.clone().or(damaged),
        }
    }

    /// Rows whose real name is known.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&Piece, &str)> {
        self.rows
            .iter()
            .filter_map(|row| Some((&row.piece, row.symbol.as_deref()?)))
    }

    /// A line per piece: all of them with sizes, else those that are functions or lead to one.
    pub(crate) fn text(&self, columns: Columns) -> String {
        let mut text = String::new();
        for row in &self.rows {
            let symbol = match (&row.symbol, row.piece.role) {
                (Some(symbol), _) => symbol.as_str(),
                (None, Role::Function(_)) => UNKNOWN,
                (None, _) if columns.sizes => ENGINE,
                (None, _) => continue,
            };
            // Writing to a string cannot fail.
            let _ = write!(text, "{} = {symbol}", row.piece.full_name());
            if columns.sizes {
                let _ = write!(text, "\t{:#x}\t{}", row.piece.offset, row.piece.size);
            }
            if columns.lines {
                let _ = write!(text, "\t{}", row.line.as_deref().unwrap_or(UNKNOWN));
            }
            text.push('\n');
        }
        text
    }

    /// Functions without a name, and all functions.
    pub(crate) fn unnamed(&self) -> (usize, usize) {
        let functions = || {
            self.rows
                .iter()
                .filter(|row| matches!(row.piece.role, Role::Function(_)))
        };
        let unnamed = functions().filter(|row| row.symbol.is_none()).count();
        (unnamed, functions().count())
    }

    pub(crate) fn has_lines(&self) -> bool {
        self.rows.iter().any(|row| row.line.is_some())
    }

    /// What of the module could not be read.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }
}
