//! Functions of the store, loaded.

use measure_core::base::ids::FunctionId;

use super::Store;
use super::code::Loaded;
use crate::component::{ComponentProgram, World};
use crate::engine::FaasletEngine;
use crate::error::FaasletError;
use crate::function::Function;
use crate::grants::Grants;

impl Function {
    /// Loads `id` from `store` and gives it `grants` at every start.
    ///
    /// # Errors
    /// No such function, a refused module, an untrusted store.
    pub fn load(
        engine: &FaasletEngine,
        store: &Store,
        id: &FunctionId,
        grants: Grants,
    ) -> Result<Self, FaasletError> {
        let what = id.to_string();
        match store.load_code(engine, id)? {
            (Loaded::Module(module), _) => Self::new(engine, &what, &module, grants),
            (Loaded::Component(component), wasm) => {
                let world = World::read(&wasm).map_err(|e| FaasletError::refused(&what, e))?;
                ComponentProgram::new(engine, &what, &component, &world, grants).map(Self::from)
            }
        }
    }

    /// Loads the snapshots of `id`, taken first if need be: each start is to be one of them.
    ///
    /// # Errors
    /// As [`Store::load_snapshots`], and as for any function.
    pub fn load_snapshots(
        engine: &FaasletEngine,
        store: &Store,
        id: &FunctionId,
        grants: &Grants,
    ) -> Result<Vec<Self>, FaasletError> {
        let what = id.to_string();
        let snapshots = store.load_snapshots(engine, id)?;
        let load = |module| Self::new(engine, &what, module, grants.clone());
        snapshots.modules.iter().map(load).collect()
    }
}
