//! What an entry's command is given of the function.

use std::fs;
use std::path::{Path, PathBuf};

use measure_core::base::ids::{self, FunctionId};
use measure_core::driver_kit::handler::{Question, free_port};
use measure_core::driver_kit::http_client::Place;
use measure_core::driver_kit::stored_function::{GivenTexts, StoredFunction};
use measure_core::driver_kit::{DriverError, Plan};

use super::super::bundle::{BundleProcess, bundles, make_bundle, path_in_root};
use super::super::native_side::NativeSide;
use super::super::start::Values;
use super::super::template::Placeholder;
use super::{Made, RuntimeRung};
use crate::handler::place_at;

impl RuntimeRung {
    /// What the placeholders of the entry stand for.
    pub(super) fn values(&self, plan: &Plan, made: &Made) -> Result<Values, DriverError> {
        let (dir, groups) = (made.workdir.state(), &made.groups);
        let uses = self.entry.uses();
        let any = |wanted: &[Placeholder]| wanted.iter().any(|p| uses.contains(p));
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let cannot = |e| DriverError::failed("cannot make what the runtime is to run", e);
        let mut values = Values {
            state: text(dir),
            run: text(made.workdir.run()),
            program: path_in_root(&plan.function),
            cgroup: groups.path().unwrap_or_default().to_owned(),
            ..Values::default()
        };
        if any(&[Placeholder::Script]) {
            let (name, script) = self.script(&plan.function)?;
            let path = dir.join(name);
            fs::write(&path, script).map_err(cannot)?;
            values.script = text(&path);
        }
        if any(&[Placeholder::Port]) {
            let port = |_| Ok(free_port()?.to_string());
            let ports = (0..plan.workers)
                .map(port)
                .collect::<Result<_, DriverError>>();
            values.ports = ports?;
        }
        if any(&[Placeholder::Wasm]) {
            values.wasm = text(&self.store.wasm(&plan.function)?);
        }
        let stored = self.store.stored(&plan.function)?;
        let own_root = any(&[Placeholder::Root, Placeholder::Bundle]);
        let given = match &stored {
            None => GivenTexts::default(),
            Some(stored) if own_root || any(&[Placeholder::Wasm]) => stored.given_inside(None),
            Some(stored) => stored.given_on_host(None)?,
        };
        if any(&[Placeholder::Function]) || own_root {
            let native = NativeSide::find(&self.store, &plan.function)?;
            values.function = text(native.executable.path());
            values.words.clone_from(&native.words_on_host);
            if own_root {
                let root = dir.join("root");
                native.put_into(&root, stored.as_ref()).map_err(cannot)?;
                values.root = text(&root);
                values.program.clone_from(&native.path_inside);
                values.words.clone_from(&native.words_inside);
            }
        }
        values.words.extend(given.args);
        values.environment = given.env;
        if any(&[Placeholder::Bundle]) {
            Self::make_bundles(plan, made, stored.as_ref(), &mut values)?;
        }
        Ok(values)
    }

    fn script(&self, function: &FunctionId) -> Result<(String, &str), DriverError> {
        self.entry.script(function).ok_or_else(|| {
            let known = self.entry.scripted();
            DriverError::Usage(format!(
                "runtime `{}` runs its language's own functions: {}",
                self.entry.id,
                ids::unknown("function", &function.to_string(), &known)
            ))
        })
    }

    /// Makes a bundle for each worker, which has in its configuration what the function is given.
    fn make_bundles(
        plan: &Plan,
        made: &Made,
        stored: Option<&StoredFunction>,
        values: &mut Values,
    ) -> Result<(), DriverError> {
        let output = match stored {
            Some(stored) => stored.output_dir()?,
            None => None,
        };
        let output_at = stored.and_then(|stored| stored.file.output_at.as_deref());
        let words = values.words.iter().map(String::as_str);
        let process = BundleProcess {
            words: std::iter::once(values.program.as_str())
                .chain(words)
                .collect(),
            environment: &values.environment,
            output: output.as_deref().zip(output_at),
        };
        let bundles = bundles(made.workdir.state(), plan.workers);
        for (i, bundle) in bundles.iter().enumerate() {
            let cgroup = made.groups.path();
            let cgroup = cgroup.map(|path| format!("{path}/worker-{i}"));
            let root = Path::new(&values.root);
            make_bundle(bundle, root, &process, cgroup.as_deref())
                .map_err(|e| DriverError::failed("cannot make a bundle", e))?;
        }
        values.words.clear();
        values.environment.clear();
        let text = |path: &PathBuf| path.to_string_lossy().into_owned();
        values.bundles = bundles.iter().map(text).collect();
        Ok(())
    }

    /// What handlers are asked, and where, if the entry serves any.
    ///
    /// # Errors
    /// The function is one and the entry serves none, or the other way round.
    pub(super) fn served(
        &self,
        function: &FunctionId,
        stored: Option<&StoredFunction>,
        values: &Values,
    ) -> Result<Option<(Question, Vec<Place>)>, DriverError> {
        if !self.entry.uses().contains(&Placeholder::Port) {
            if let Some(stored) = stored {
                stored.require_program("its entry in runtimes.toml gives no {port}")?;
            }
            return Ok(None);
        }
        let question = match stored {
            Some(stored) => Question::to_stored(&function.to_string(), stored)?,
            None => None,
        };
        let question = question.ok_or_else(|| DriverError::Unavailable {
            why: format!("it serves handlers, and {function} is none"),
            mend: "bring one (`runtime_bench add functions/examples/handler`) and name it by --function".into(),
        })?;
        let ports = values.ports.iter().filter_map(|port| port.parse().ok());
        Ok(Some((question, ports.map(place_at).collect())))
    }
}
