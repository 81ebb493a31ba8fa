//! What a component says of itself: what it imports and exports, and what its modules begin with. Read before anything of
//! it is compiled.

use measure_core::base::{ids, words};
use wasm_interface::elements_of;
use wasmparser::{ComponentExternalKind, Encoding, Parser, Payload};

use crate::names::{NAME_CHARS, shown};
use crate::settings::{ELEMENTS_PER_TABLE, EngineSettings};

/// Interfaces that are offered, of version 0.2 of WASI. A test loads a component for each.
pub(crate) const OFFERED: [&str; 29] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:http/outgoing-handler",
    "wasi:http/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// What a program exports.
const RUN: &str = "wasi:cli/run";
/// What a handler exports.
const HANDLE: &str = "wasi:http/incoming-handler";
/// What a handler exports of version 0.3.
const LATER_HANDLE: &str = "wasi:http/handler";

/// What a component is started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WorldKind {
    /// It runs to its end.
    Command,
    /// It answers requests.
    Handler,
}

const PAGE_BYTES: u64 = 64 << 10;
/// So much a component may import, and so much export.
const NAMES_MAX: usize = 100_000;

/// Whether `wasm` is a component, by its header; whether it is a valid one is not looked at.
pub(crate) fn is_component(wasm: &[u8]) -> bool {
    wasm.starts_with(b"\0asm") && wasm.get(6..8) == Some(&[1, 0])
}

/// A component's own words.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct World {
    imports: Vec<String>,
    exports: Vec<String>,
    /// What the memories of all its modules begin with.
    pub(crate) memory_bytes: u64,
    /// The largest table that any of them begins with.
    table_elements: u64,
    /// Elements of all their segments.
    elements: u64,
}

/// Why a valid component is not accepted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("it is not a valid component: {0}")]
    Broken(String),
    #[error(
        "its modules' memories begin with {bytes} bytes and the limit of them together is {limit}; raise it with --memory-limit"
    )]
    Memory { bytes: u64, limit: u64 },
    #[error("a table of its modules begins with {elements} elements and the limit is {limit}")]
    Table { elements: u64, limit: u32 },
    #[error(
        "its modules' segments have {elements} elements for tables, and the limit of them together is {limit}"
    )]
    Elements { elements: u64, limit: u64 },
    #[error(
        "it imports `{0}`, which is not offered: a component is offered cli, clocks, filesystem, http, io, random and sockets of WASI 0.2{1}"
    )]
    Import(String, String),
    #[error("it {0} `{1}`, but of WASI version 0.2 is offered; build it for WASI 0.2")]
    Version(&'static str, String),
    #[error(
        "it is not a WASI program: a component must export `wasi:cli/run` or `wasi:http/incoming-handler` of version 0.2, and it exports {0}; build it as a command, with a main, or for the world wasi:http/proxy"
    )]
    NoProgram(String),
}

impl World {
    /// Reads the component `wasm`.
    pub(crate) fn read(wasm: &[u8]) -> Result<Self, Unfit> {
        let broken = |e: wasmparser::BinaryReaderError| Unfit::Broken(e.to_string());
        let mut world = Self::default();
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.map_err(broken)? {
                Payload::Version { encoding, .. } if depth == 0 && encoding == Encoding::Module => {
                    return Err(Unfit::Broken("it is a module".to_owned()));
                }
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        keep(&mut world.imports, import.map_err(broken)?.name.name)?;
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        let export = export.map_err(broken)?;
                        if export.kind == ComponentExternalKind::Instance {
                            keep(&mut world.exports, export.name.name)?;
                        }
                    }
                }
                Payload::MemorySection(section) => {
                    for memory in section {
                        let pages = memory.map_err(broken)?.initial;
                        let bytes = pages.saturating_mul(PAGE_BYTES);
                        world.memory_bytes = world.memory_bytes.saturating_add(bytes);
                    }
                }
                Payload::TableSection(section) => {
                    for table in section {
                        let elements = table.map_err(broken)?.ty.initial;
                        world.table_elements = world.table_elements.max(elements);
                    }
                }
                Payload::ElementSection(section) => {
                    let elements = elements_of(section).map_err(broken)?;
                    world.elements = world.elements.saturating_add(elements);
                }
                _ => {}
            }
        }
        Ok(world)
    }

    /// What it is, if it imports only what is offered. One that is both is a program.
    pub(crate) fn kind(&self) -> Result<WorldKind, Unfit> {
        self.imports.iter().try_for_each(|name| is_offered(name))?;
        for (exported, kind) in [(RUN, WorldKind::Command), (HANDLE, WorldKind::Handler)] {
            if self.exports.iter().any(|name| is_of(name, exported)) {
                return Ok(kind);
            }
        }
        // What a program of a later version exports.
        let later = self.exports.iter().find(|name| {
            let interface = interface_of(name);
            [RUN, HANDLE, LATER_HANDLE].contains(&interface) && interface != name.as_str()
        });
        if let Some(name) = later {
            let name = words::name(name, NAME_CHARS);
            return Err(Unfit::Version("exports", name));
        }
        let exports = shown(
            self.exports
                .iter()
                .map(|name| words::name(name, NAME_CHARS)),
        );
        Err(Unfit::NoProgram(
            exports.unwrap_or_else(|| "no interface".to_owned()),
        ))
    }

    /// Whether what it begins with is within the limits.
    pub(crate) fn is_within(&self, settings: &EngineSettings) -> Result<(), Unfit> {
        let (bytes, limit) = (self.memory_bytes, settings.memory_limit_bytes);
        if bytes > limit {
            return Err(Unfit::Memory { bytes, limit });
        }
        let (elements, limit) = (self.table_elements, settings.table_limit_elements);
        if elements > u64::from(limit) {
            return Err(Unfit::Table { elements, limit });
        }
        let (elements, limit) = (self.elements, ELEMENTS_PER_TABLE * u64::from(limit));
        if elements > limit {
            return Err(Unfit::Elements { elements, limit });
        }
        Ok(())
    }
}

/// # Errors
/// There are more than any program has: who reads this may be a server, of whose memory each takes some.
fn keep(names: &mut Vec<String>, name: &str) -> Result<(), Unfit> {
    if names.len() == NAMES_MAX {
        return Err(Unfit::Broken(format!(
            "it imports or exports more than {NAMES_MAX} things"
        )));
    }
    names.push(name.to_owned());
    Ok(())
}

fn is_offered(name: &str) -> Result<(), Unfit> {
    if OFFERED.iter().any(|offered| is_of(name, offered)) {
        return Ok(());
    }
    let interface = interface_of(name);
    let shown = words::name(name, NAME_CHARS);
    if OFFERED.contains(&interface) || is_of_other_version(name) {
        return Err(Unfit::Version("imports", shown));
    }
    let known = OFFERED.map(str::to_owned);
    let nearest = ids::nearest(&words::name(interface, NAME_CHARS), &known);
    let nearest = nearest.map(|nearest| format!("; the nearest is `{nearest}`"));
    Err(Unfit::Import(shown, nearest.unwrap_or_default()))
}

/// The interface `name` without its version.
fn interface_of(name: &str) -> &str {
    name.split('@').next().unwrap_or(name)
}

/// Whether `name` is an interface of a package that is offered, but of another version, which may have interfaces that 0.2 has not.
fn is_of_other_version(name: &str) -> bool {
    let (Some((package, _)), Some((_, version))) = (name.split_once('/'), name.split_once('@'))
    else {
        return false;
    };
    let mut offered = OFFERED.iter().filter_map(|offered| offered.split_once('/'));
    !version.starts_with("0.2.") && offered.any(|(offered, _)| offered == package)
}

/// Whether `name` is `interface` in a version 0.2 of it, all of which are linked as one.
fn is_of(name: &str, interface: &str) -> bool {
    let version = name
        .strip_prefix(interface)
        .and_then(|rest| rest.strip_prefix("@0.2."));
    version.is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn versions_are_0_2_and_a_number() {
        for (name, same) in [
            ("wasi:cli/run@0.2.0", true),
            ("wasi:cli/run@0.2.12", true),
            ("wasi:cli/run@0.3.0", false),
            ("wasi:cli/run@0.2.0-rc-2023-11-10", false),
            ("wasi:cli/run@0.2.", false),
            ("wasi:cli/run", false),
            ("wasi:cli/runner@0.2.0", false),
        ] {
            assert_eq!(is_of(name, RUN), same, "{name}");
        }
    }

    #[test]
    fn other_versions_are_told_from_what_there_is_not() {
        for (name, words) in [
            (
                "wasi:cli/stdin@0.3.0",
                "imports `wasi:cli/stdin@0.3.0`, but of WASI version 0.2",
            ),
            (
                "wasi:clocks/system-clock@0.3.0-rc-1",
                "but of WASI version 0.2",
            ),
            (
                "wasi:cli/exit@0.2.0-rc-2023-11-10",
                "but of WASI version 0.2",
            ),
            ("wasi:cli/extra@0.2.1", "is not offered"),
            ("wasi:keyvalue/store@0.2.0-draft", "is not offered"),
            ("wasi:keyvalue/store@0.3.0", "is not offered"),
            ("log", "is not offered"),
        ] {
            let said = is_offered(name).expect_err(name).to_string();
            assert!(said.contains(words), "{said}");
        }
        for name in ["wasi:cli/run@0.3.0", "wasi:http/handler@0.3.0"] {
            let world = World {
                exports: vec!["mine:own/x".to_owned(), name.to_owned()],
                ..World::default()
            };
            let said = world.kind().expect_err(name).to_string();
            assert!(
                said.contains(&format!("exports `{name}`, but of WASI version 0.2")),
                "{said}"
            );
        }
    }

    #[test]
    fn what_it_exports_is_told_in_a_few_words() {
        let mut world = World::default();
        assert!(
            world
                .kind()
                .expect_err("nothing")
                .to_string()
                .contains("exports no interface")
        );
        world.exports = vec!["\x1b[2J\n".repeat(10_000); 1000];
        let said = world.kind().expect_err("no program").to_string();
        assert!(
            said.contains(r"\u{1b}[2J\n") && said.contains("and 992 more"),
            "{said}"
        );
        assert!(
            said.len() < 20_000 && !said.contains(char::is_control),
            "{said}"
        );
    }

    #[test]
    fn the_memories_of_all_modules_count_and_the_largest_table() {
        let text = r#"(component
            (core module (memory 3) (table 7 funcref) (func $f) (elem func $f $f))
            (component (core module (memory 5) (table 9 funcref))))"#;
        let world = World::read(&wat::parse_str(text).expect("a component")).expect("read");
        assert_eq!((world.memory_bytes, world.table_elements), (8 << 16, 9));
        assert_eq!(world.elements, 2);
        let none = EngineSettings {
            table_limit_elements: 0,
            ..EngineSettings::default()
        };
        world.is_within(&EngineSettings::default()).expect("few");
        world.is_within(&none).expect_err("a table of 9 elements");
    }

    #[test]
    fn what_is_kept_of_it_has_an_end() {
        let mut wasm = b"\0asm\x0d\0\x01\0".to_vec();
        for _ in 0..NAMES_MAX / 100 + 1 {
            // A section of a hundred imports of the instance type 0 under no name; there may be any number of sections.
            wasm.extend([10, 0x91, 3, 100]);
            wasm.extend([0, 0, 5, 0].repeat(100));
        }
        let said = World::read(&wasm).expect_err("too many").to_string();
        assert!(said.contains("more than 100000"), "{said}");
    }

    proptest! {
        #[test]
        fn whatever_the_bytes_are_they_are_read_or_refused(bytes: Vec<u8>) {
            let mut wasm = b"\0asm\x0d\0\x01\0".to_vec();
            wasm.extend(bytes);
            if let Ok(world) = World::read(&wasm) {
                let _ = world.kind();
            }
        }
    }
}
