//! C that is written for each module: how it calls the host, what of it can be run, and how large its blocks are.

use std::fmt::Write;

use wasmparser::ValType;

use crate::abi;
use crate::interface::Call;
use crate::parts::{Parts, entry_name, global_name};

/// `glue.c` of the module that `parts` are of; `changes_tables` says whether its code has an instruction that does.
pub(crate) fn glue(parts: &Parts<'_>, changes_tables: bool) -> String {
    let mut c = String::from("#include \"block.h\"\n\n");
    c.push_str(&calls_in_c(&parts.calls));
    // Writing to a string cannot fail.
    for &index in &parts.entries {
        let symbol = abi::entry_symbol(index);
        let (symbol, name) = (symbol.to_string_lossy(), entry_name(index));
        let _ = writeln!(
            c,
            "OFFERED void {symbol}(void *block)\n{{ w2c_module_{name}(&((struct block *)block)->instance); }}"
        );
    }
    c.push_str("void set_globals(w2c_module *instance, const uint64_t *values)\n{\n");
    c.push_str("    (void)instance, (void)values;\n");
    for (i, &index) in parts.global_indices.iter().enumerate() {
        let global = format!("w2c_module_{}(instance)", global_name(index));
        let _ = writeln!(
            c,
            "    __builtin_memcpy({global}, values + {}, sizeof *{global});",
            2 * i
        );
    }
    c.push_str("}\n\n");
    let (functions, others) = parts.table_elements;
    // No more room than that is left out between tables: all are functions' but few, and a function's element has 32 bytes.
    let block = format!(
        "sizeof(struct block) + {functions}ull * sizeof(wasm_rt_funcref_t) + {others}ull * 16"
    );
    let changed = if changes_tables {
        block.as_str()
    } else {
        "sizeof(struct block)"
    };
    let _ = writeln!(
        c,
        "const struct faaslet_layout faaslet_layout = {{.block_bytes = {block}, .changed_bytes = {changed}}};"
    );
    c
}

/// The functions that the C code of a module makes `calls` by.
fn calls_in_c(calls: &[Call]) -> String {
    let mut c = String::new();
    let name_of = |ty: ValType| if ty == ValType::I64 { "u64" } else { "u32" };
    for (i, call) in calls.iter().enumerate() {
        let params: String = call
            .params
            .iter()
            .enumerate()
            .map(|(n, ty)| format!(", {} a{n}", name_of(*ty)))
            .collect();
        let values: Vec<String> = (0..call.params.len().max(1))
            .map(|n| {
                if n < call.params.len() {
                    format!("a{n}")
                } else {
                    "0".to_owned()
                }
            })
            .collect();
        let result = call.result.map_or("void", name_of);
        let returned = if call.result.is_some() {
            format!(" return ({result})values[0];")
        } else {
            String::new()
        };
        // wasm2c doubles an underscore in the names of modules.
        c.push_str(&format!(
            "{result} w2c_wasi__snapshot__preview1_{}(struct w2c_wasi__snapshot__preview1 *host{params})\n\
             {{ uint64_t values[] = {{{}}}; call_host(host, {i}, values);{returned} }}\n",
            call.name,
            values.join(", "),
        ));
    }
    c
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_called_by_their_number_and_entries_run_by_theirs() {
        let wasm = wat::parse_str(
            r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
            (import "wasi_snapshot_preview1" "fd_seek" (func (param i32 i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))
            (memory (export "memory") 1) (table 7 funcref) (global i32 (i32.const 1)) (global (mut f64) (f64.const 2))
            (func (export "_start")))"#,
        )
        .expect("a module");
        let parts = Parts::read(&wasm).expect("parts");
        let c = glue(&parts, false);
        for line in [
            "void w2c_wasi__snapshot__preview1_proc_exit(struct w2c_wasi__snapshot__preview1 *host, u32 a0)\n\
             { uint64_t values[] = {a0}; call_host(host, 0, values); }",
            "*host, u32 a0, u64 a1, u32 a2, u32 a3)\n\
             { uint64_t values[] = {a0, a1, a2, a3}; call_host(host, 1, values); return (u32)values[0]; }",
            "sched_yield(struct w2c_wasi__snapshot__preview1 *host)\n\
             { uint64_t values[] = {0}; call_host(host, 2, values); return (u32)values[0]; }",
            "faaslet_entry_3(void *block)\n{ w2c_module_entry3(",
            "memcpy(w2c_module_global1(instance), values + 0,",
            "+ 7ull * sizeof(wasm_rt_funcref_t)",
            ".changed_bytes = sizeof(struct block)}",
        ] {
            assert!(c.contains(line), "{line}: {c}");
        }
        assert!(!glue(&parts, true).contains(".changed_bytes = sizeof(struct block)}"));
    }
}
