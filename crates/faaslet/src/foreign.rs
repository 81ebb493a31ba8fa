//! Worlds that are not preview 1 of WASI, known by what a module imports: for messages that say what it was built for, and how to build
//! it so that it runs here.

use wasm_interface::Import;
use wasmparser::TypeRef;

/// A world, and the way out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct World {
    /// Whom the module was built for.
    built_for: &'static str,
    /// What to do.
    mend: &'static str,
}

impl std::fmt::Display for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "it is built for {}; {}", self.built_for, self.mend)
    }
}

const fn world(built_for: &'static str, mend: &'static str) -> World {
    World { built_for, mend }
}

const PREVIEW_0: World = world(
    "the preview of WASI before the first",
    "build it anew with a toolchain of after 2019",
);
const PREVIEW_2: World = world(
    "a component",
    "make one of it (`wasm-tools component new`) and bring that",
);
const WASIX: World = world(
    "WASIX, which wasmer alone runs",
    "build it for wasm32-wasi (wasm32-wasip1)",
);
const WASI_THREADS: World = world(
    "threads (wasi-threads)",
    "build it without them, for wasm32-wasi (wasm32-wasip1)",
);
const GO: World = world(
    "Go in a browser or node (GOOS=js)",
    "build it by GOOS=wasip1 GOARCH=wasm",
);
const EMSCRIPTEN: World = world(
    "the JavaScript that emscripten writes beside it",
    "link it by -sSTANDALONE_WASM, with a main",
);
const BINDGEN: World = world(
    "the JavaScript that wasm-bindgen writes beside it",
    "build a program without it, for wasm32-wasip1",
);
const NODE_API: World = world(
    "node, as an add-on (Node-API)",
    "a function is a program with a main",
);
const ASSEMBLYSCRIPT: World = world(
    "the JavaScript of AssemblyScript",
    "compile it with @assemblyscript/wasi-shim",
);
const IMPORTED_MEMORY: World = world(
    "a host that hands it its memory",
    "link it without --import-memory",
);
const UNDEFINED: World = world(
    "a host with functions of its own",
    "or `env` is where the linker looked for what nothing defines: link that too",
);

/// What emscripten's libraries import by name.
const EMSCRIPTENS: [&str; 6] = [
    "emscripten_",
    "_emscripten_",
    "__emscripten_",
    "__syscall_",
    "_embind_",
    "invoke_",
];

/// The world of a module with `imports`, if it is one that is known. The first import that tells decides.
pub(crate) fn world_of(imports: &[Import]) -> Option<World> {
    let known = imports.iter().find_map(of_import);
    known.or_else(|| imports.iter().find_map(of_last_resort))
}

fn of_import(import: &Import) -> Option<World> {
    let (module, name) = (import.module.as_str(), import.name.as_str());
    let begins = |starts: &[&str]| starts.iter().any(|start| name.starts_with(start));
    Some(match module {
        "wasi_unstable" => PREVIEW_0,
        "wasi" if name == "thread-spawn" => WASI_THREADS,
        "gojs" | "go" => GO,
        "wbg" => BINDGEN,
        // What its optimiser makes of all names.
        "a" if name.len() <= 2 => EMSCRIPTEN,
        "env" if begins(&["napi_"]) => NODE_API,
        "env" if begins(&EMSCRIPTENS) => EMSCRIPTEN,
        "env" if name == "abort" => ASSEMBLYSCRIPT,
        _ if module.starts_with("wasi:") => PREVIEW_2,
        _ if module.starts_with("wasix") => WASIX,
        _ if module.starts_with("__wbindgen") || module.ends_with("_bg.js") => BINDGEN,
        _ => return None,
    })
}

/// What tells something only where nothing else does: many worlds have it.
fn of_last_resort(import: &Import) -> Option<World> {
    match import.ty {
        TypeRef::Memory(_) => Some(IMPORTED_MEMORY),
        TypeRef::Func(_) if import.module == "env" => Some(UNDEFINED),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use wasm_interface::Interface;

    use super::*;

    fn world_in(imports: &str) -> Option<World> {
        let wasm = wat::parse_str(format!("(module {imports})")).expect("a module");
        world_of(&Interface::read(&wasm).expect("read").imports)
    }

    #[test]
    fn worlds_are_known_by_their_imports() {
        let memory = r#"(import "env" "memory" (memory 1))"#;
        let function = |module: &str, name: &str| format!(r#"(import "{module}" "{name}" (func))"#);
        for (imports, world) in [
            (function("wasi_snapshot_preview1", "fd_write"), None),
            (function("mine", "f"), None),
            (function("wasi_unstable", "fd_write"), Some(PREVIEW_0)),
            (function("wasi:cli/exit@0.2.0", "exit"), Some(PREVIEW_2)),
            (function("wasix_32v1", "proc_fork"), Some(WASIX)),
            (
                memory.to_owned() + &function("wasi", "thread-spawn"),
                Some(WASI_THREADS),
            ),
            (function("gojs", "runtime.wasmExit"), Some(GO)),
            (function("a", "b"), Some(EMSCRIPTEN)),
            (
                function("env", "emscripten_notify_memory_growth"),
                Some(EMSCRIPTEN),
            ),
            (function("wbg", "__wbindgen_throw"), Some(BINDGEN)),
            (function("./x_bg.js", "f"), Some(BINDGEN)),
            (
                memory.to_owned() + &function("env", "napi_throw"),
                Some(NODE_API),
            ),
            (function("env", "abort"), Some(ASSEMBLYSCRIPT)),
            (memory.to_owned(), Some(IMPORTED_MEMORY)),
            (function("env", "mine"), Some(UNDEFINED)),
        ] {
            assert_eq!(world_in(&imports), world, "{imports}");
        }
    }
}
