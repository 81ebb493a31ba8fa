//! Reading an initialised instance.

use wasmparser::ValType;
use wasmtime::{Instance, Store as WasmStore, Val};
use wasmtime_wizer::{InstanceState, SnapshotVal};

use crate::host::Host;

/// An instance whose initialiser has returned.
pub(super) struct Initialized<'a> {
    pub(super) store: &'a mut WasmStore<Host>,
    pub(super) instance: Instance,
}

impl InstanceState for Initialized<'_> {
    async fn global_get(&mut self, name: &str, _: ValType) -> SnapshotVal {
        // Invariants: the instrumented module exports its globals under the names that are asked for, and
        // modules with a mutable global of a reference type are refused before they run.
        let global = self
            .instance
            .get_global(&mut *self.store, name)
            .expect("an exported global");
        match global.get(&mut *self.store) {
            Val::I32(x) => SnapshotVal::I32(x),
            Val::I64(x) => SnapshotVal::I64(x),
            Val::F32(x) => SnapshotVal::F32(x),
            Val::F64(x) => SnapshotVal::F64(x),
            Val::V128(x) => SnapshotVal::V128(x.as_u128()),
            other => unreachable!("a mutable global of type {:?}", other.ty(&*self.store)),
        }
    }

    async fn memory_contents(&mut self, name: &str, contents: impl FnOnce(&[u8]) + Send) {
        let memory = self
            .instance
            .get_memory(&mut *self.store, name)
            .expect("an exported memory");
        contents(memory.data(&*self.store));
    }
}
