//! What an entry's command is given of the function.

use std::fs;
use std::path::{Path, PathBuf};

use measure_core::base::ids::{self, FunctionId};
use measure_core::driver_kit::handler::{Question, free_port};
use measure_core::driver_kit::stored_function::{GivenTexts, StoredFunction};
use measure_core::driver_kit::{DriverError, Plan};
use nix::unistd::geteuid;

use super::super::bundle::{BundleProcess, bundles, make_bundle, path_in_root};
use super::super::entry::BundleRuns;
use super::super::handlers::{Handlers, why_none};
use super::super::native_side::{NativeSide, put_wasm_into};
use super::super::served::{PORT_INSIDE, Served};
use super::super::start::Values;
use super::super::template::Placeholder;
use super::{Made, RuntimeRung};

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
        if any(&[Placeholder::Wasm]) {
            values.wasm = text(&self.store.wasm(&plan.function)?);
        }
        let stored = self.store.stored(&plan.function)?;
        if self.entry.isolation.has_no_network()
            && let Some(stored) = &stored
        {
            stored.require_no_network(&plan.function, &format!("`{}` has none", self.entry.id))?;
        }
        let own_root = any(&[Placeholder::Root, Placeholder::Bundle]);
        let mut words = Vec::new();
        if self.entry.bundle_runs == BundleRuns::Wasm {
            let root = dir.join("root");
            let program = format!("{}.wasm", path_in_root(&plan.function));
            let module = self.store.wasm(&plan.function)?;
            let module = (module.as_path(), program.as_str());
            put_wasm_into(&root, &plan.function, module, stored.as_ref()).map_err(cannot)?;
            (values.root, values.program) = (text(&root), program);
        } else if any(&[Placeholder::Function]) || own_root {
            let native = NativeSide::find(&self.store, &plan.function)?;
            values.function = text(native.executable.path());
            words.clone_from(&native.words_on_host);
            if own_root {
                let root = dir.join("root");
                native.put_into(&root, stored.as_ref()).map_err(cannot)?;
                values.root = text(&root);
                values.program.clone_from(&native.path_inside);
                words.clone_from(&native.words_inside);
            }
        }
        let sees_host = !own_root && !any(&[Placeholder::Wasm]);
        let ports = self.ports(plan, stored.as_ref())?;
        for worker in 0..plan.workers.max(1) {
            let port = ports.get(worker).copied();
            let given = match &stored {
                None => GivenTexts::default(),
                Some(stored) if sees_host => stored.given_on_host(port)?,
                Some(stored) if self.entry.isolation.is_in_network_of_host() => {
                    stored.given_inside_network_of_host(port)
                }
                Some(stored) => stored.given_inside(port),
            };
            let args = words.iter().cloned().chain(given.args).collect();
            values.given.push(GivenTexts { args, ..given });
        }
        values.ports = ports.iter().map(u16::to_string).collect();
        if any(&[Placeholder::Bundle]) {
            Self::make_bundles(plan, made, stored.as_ref(), &mut values)?;
        }
        Ok(values)
    }

    /// The port that the handler of each worker is told; none if the function is a program.
    fn ports(&self, plan: &Plan, stored: Option<&StoredFunction>) -> Result<Vec<u16>, DriverError> {
        let is_handler = stored.is_some_and(|stored| stored.file.served().is_some());
        let at_host = match self.entry.handlers {
            Some(Handlers::Host) => is_handler,
            _ => self.entry.uses().contains(&Placeholder::Port),
        };
        let port = |_| match at_host {
            true => free_port(),
            false => Ok(PORT_INSIDE),
        };
        let count = if is_handler || at_host {
            plan.workers
        } else {
            0
        };
        (0..count).map(port).collect()
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
        let bundles = bundles(made.workdir.state(), plan.workers);
        for (i, (bundle, given)) in bundles.iter().zip(&values.given).enumerate() {
            let words = given.args.iter().map(String::as_str);
            let process = BundleProcess {
                words: std::iter::once(values.program.as_str())
                    .chain(words)
                    .collect(),
                environment: &given.env,
                output: output.as_deref().zip(output_at),
            };
            let cgroup = made.groups.path();
            let cgroup = cgroup.map(|path| format!("{path}/worker-{i}"));
            let root = Path::new(&values.root);
            make_bundle(bundle, root, &process, cgroup.as_deref())
                .map_err(|e| DriverError::failed("cannot make a bundle", e))?;
        }
        // What is in a bundle's configuration is not said once more.
        values.given.clear();
        let text = |path: &PathBuf| path.to_string_lossy().into_owned();
        values.bundles = bundles.iter().map(text).collect();
        Ok(())
    }

    /// What the function is asked, and where, if it is a handler.
    ///
    /// # Errors
    /// It is one and the entry has none, or the other way round.
    pub(super) fn served(
        &self,
        function: &FunctionId,
        stored: Option<&StoredFunction>,
        values: &Values,
    ) -> Result<Option<Served>, DriverError> {
        let serves_only = self.entry.uses().contains(&Placeholder::Port);
        let inside = matches!(self.entry.handlers, Some(Handlers::Namespace));
        let can = serves_only || inside || matches!(self.entry.handlers, Some(Handlers::Host));
        if let Some(stored) = stored.filter(|_| !can) {
            let why = why_none(self.entry.handlers.as_ref(), &self.entry.uses());
            stored.require_program(why)?;
        }
        let question = match stored {
            Some(stored) => Question::to_stored(&function.to_string(), stored)?,
            None => None,
        };
        let Some(question) = question else {
            return match serves_only {
                false => Ok(None),
                true => Err(DriverError::Unavailable {
                    why: format!("it serves handlers, and {function} is none"),
                    mend: "bring one (`runtime_bench add functions/examples/handler`) and name it by --function".into(),
                }),
            };
        };
        if inside && !geteuid().is_root() {
            return Err(DriverError::Unavailable {
                why: "a handler is asked from within its network namespace, which takes root"
                    .into(),
                mend: "run as root".into(),
            });
        }
        let ports = values.ports.iter().filter_map(|port| port.parse().ok());
        Ok(Some(Served {
            question,
            ports: ports.collect(),
            inside,
        }))
    }
}
