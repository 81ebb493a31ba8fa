//! The state behind the API: what may be asked when, and what is answered.

use std::fs::{self, File};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::VERSION;
use crate::behaviour::Behaviour;
use crate::bodies::{Action, ActionType, Create, Drive, Load, Machine, Source, State, VmState};
use crate::guest::{self, Progress, Step};
use crate::http::{Answer, Request};
use crate::snapshot::Saved;

const AFTER_START: &str = "The requested operation is not supported after starting the microVM.";
const BEFORE_START: &str = "The requested operation is not supported before starting the microVM.";

/// A machine, as far as its API shows it.
#[derive(Debug)]
pub struct Vm {
    pub behaviour: Behaviour,
    machine: Machine,
    source: Option<Source>,
    /// Something of a boot has been configured: no snapshot may be loaded any more.
    boots: bool,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    steps: Vec<Step>,
    progress: Arc<Progress>,
    paused: bool,
}

type Outcome = Result<Answer, Answer>;

impl Vm {
    pub fn new(behaviour: Behaviour) -> Self {
        Self {
            behaviour,
            machine: Machine::default(),
            source: None,
            boots: false,
            running: None,
        }
    }

    /// Carries out `request`; `this` is the machine itself, for the guest's thread.
    pub fn answer(&mut self, request: &Request, this: &Arc<Mutex<Self>>) -> Answer {
        if self.behaviour.refuses(&request.path) {
            return Answer::fault("refused on purpose");
        }
        self.route(request, this).unwrap_or_else(|fault| fault)
    }

    fn route(&mut self, request: &Request, this: &Arc<Mutex<Self>>) -> Outcome {
        let (method, body) = (request.method.as_str(), request.body.as_str());
        let path = request.path.trim_start_matches('/');
        match (method, body.is_empty()) {
            ("PUT", true) => return Err(Answer::fault("Empty PUT request.")),
            ("PATCH", true) => return Err(Answer::fault("Empty PATCH request.")),
            _ => {}
        }
        match (method, path) {
            ("GET", "") => Ok(Answer::value(&self.information())),
            ("GET", "version") => Ok(Answer::value(&json!({ "firecracker_version": VERSION }))),
            ("GET", "machine-config") => Ok(Answer::value(&json!(self.machine))),
            ("PUT", "machine-config") => self.configure_machine(parsed(body)?),
            ("PUT", "boot-source") => self.configure_source(parsed(body)?),
            ("PUT", "drives/rootfs") => self.configure_drive(&parsed(body)?),
            ("PUT", "actions") => self.act(&parsed(body)?, this),
            ("PATCH", "vm") => self.change(&parsed(body)?),
            ("PUT", "snapshot/create") => self.create(&parsed(body)?),
            ("PUT", "snapshot/load") => self.load(&parsed(body)?, this),
            _ => {
                let first = path.split('/').next().unwrap_or_default();
                Err(Answer::fault(format!(
                    "Invalid request method and/or path: {method} {first}."
                )))
            }
        }
    }

    fn information(&self) -> Value {
        let state = match &self.running {
            None => "Not started",
            Some(running) if running.paused => "Paused",
            Some(_) => "Running",
        };
        json!({
            "id": "anonymous-instance",
            "state": state,
            "vmm_version": VERSION,
            "app_name": "Firecracker",
        })
    }

    fn before_start(&mut self) -> Result<(), Answer> {
        if self.running.is_some() {
            return Err(Answer::fault(AFTER_START));
        }
        self.boots = true;
        Ok(())
    }

    fn configure_machine(&mut self, machine: Machine) -> Outcome {
        self.before_start()?;
        let refused = |why| Err(Answer::fault(format!("Machine config error: {why}")));
        if machine.vcpu_count == 0 || machine.vcpu_count > 32 {
            return refused(
                "The number of vCPUs must be greater than 0, less than 32 and must be 1 or an even number if SMT is enabled.",
            );
        }
        if machine.mem_size_mib == 0 {
            return refused(
                "The memory size (MiB) is either 0, or not a multiple of the configured page size.",
            );
        }
        self.machine = machine;
        Ok(Answer::done())
    }

    fn configure_source(&mut self, source: Source) -> Outcome {
        self.before_start()?;
        let open = |path: &str, what: &str| {
            File::open(path)
                .map(drop)
                .map_err(|e| Answer::fault(format!("Boot source error: {what} {e}")))
        };
        open(
            &source.kernel_image_path,
            "The kernel file cannot be opened:",
        )?;
        if let Some(initrd) = &source.initrd_path {
            open(
                initrd,
                "The initrd file cannot be opened due to invalid path or invalid permissions.",
            )?;
        }
        self.source = Some(source);
        Ok(Answer::done())
    }

    fn configure_drive(&mut self, drive: &Drive) -> Outcome {
        if drive.drive_id != "rootfs" {
            return Err(Answer::fault(
                "The id from the path does not match the id from the body!",
            ));
        }
        self.before_start()?;
        match File::open(&drive.path_on_host) {
            Ok(_) => Ok(Answer::done()),
            Err(error) => Err(Answer::fault(format!(
                "Drive config error: Unable to create the virtio block device: Virtio backend error: Error manipulating the backing file: {error} {}",
                drive.path_on_host
            ))),
        }
    }

    fn act(&mut self, action: &Action, this: &Arc<Mutex<Self>>) -> Outcome {
        match action.action_type {
            ActionType::InstanceStart => self.start(this),
            ActionType::FlushMetrics | ActionType::SendCtrlAltDel if self.running.is_none() => {
                Err(Answer::fault(BEFORE_START))
            }
            ActionType::FlushMetrics | ActionType::SendCtrlAltDel => Ok(Answer::done()),
        }
    }

    fn start(&mut self, this: &Arc<Mutex<Self>>) -> Outcome {
        if self.running.is_some() {
            return Err(Answer::fault(AFTER_START));
        }
        let source = self.source.as_ref().ok_or_else(|| {
            Answer::fault("Start microvm error: Cannot start microvm without kernel configuration.")
        })?;
        let image = fs::read(&source.kernel_image_path).unwrap_or_default();
        if !image.starts_with(b"\x7fELF") {
            return Err(Answer::fault(
                "Start microvm error: System configuration error: Cannot load kernel due to invalid memory configuration or invalid kernel image: Kernel Loader: failed to load ELF kernel image: Kernel Loader: Invalid Elf magic number",
            ));
        }
        let arguments = source.boot_args.clone().unwrap_or_default();
        let steps = guest::steps(&source.kernel_image_path, &arguments);
        self.run(steps, 0, false, this);
        Ok(Answer::done())
    }

    fn run(&mut self, steps: Vec<Step>, done: usize, paused: bool, this: &Arc<Mutex<Self>>) {
        let progress = Arc::new(Progress::at(done, paused));
        let (theirs, they, behaviour) = (steps.clone(), progress.clone(), self.behaviour);
        let this = this.clone();
        thread::spawn(move || guest::run(&theirs, &they, behaviour, &this));
        self.running = Some(Running {
            steps,
            progress,
            paused,
        });
    }

    fn started(&mut self) -> Result<&mut Running, Answer> {
        self.running
            .as_mut()
            .ok_or_else(|| Answer::fault(BEFORE_START))
    }

    fn change(&mut self, state: &State) -> Outcome {
        let running = self.started()?;
        running.paused = matches!(state.state, VmState::Paused);
        running.progress.pause(running.paused);
        Ok(Answer::done())
    }

    fn create(&mut self, create: &Create) -> Outcome {
        let mem_size_mib = self.machine.mem_size_mib;
        let running = self.started()?;
        let refused = |why: String| Answer::fault(format!("Create snapshot error: {why}"));
        if !running.paused {
            return Err(refused("Cannot save the microVM state: Operation not allowed: save/restore unavailable while running".into()));
        }
        let saved = Saved {
            steps: running.steps.clone(),
            done: running.progress.done(),
            mem_size_mib,
        };
        saved.write(Path::new(&create.snapshot_path)).map_err(|e| {
            refused(format!(
                "Cannot perform open on the snapshot backing file: {e}"
            ))
        })?;
        File::create(&create.mem_file_path)
            .and_then(|file| file.set_len(mem_size_mib << 20))
            .map_err(|e| {
                refused(format!(
                    "Cannot perform open on the memory backing file: {e}"
                ))
            })?;
        Ok(Answer::done())
    }

    fn load(&mut self, load: &Load, this: &Arc<Mutex<Self>>) -> Outcome {
        if self.running.is_some() {
            return Err(Answer::fault(AFTER_START));
        }
        let refused = |why: String| Answer::fault(format!("Load snapshot error: {why}"));
        if self.boots {
            return Err(refused(
                "Loading a microVM snapshot not allowed after configuring boot-specific resources."
                    .into(),
            ));
        }
        // From here on a failure leaves the process without a machine: it ends.
        let fatal =
            |why: String| refused(format!("Failed to restore from snapshot: {why}")).and_end();
        let saved = Saved::read(Path::new(&load.snapshot_path))
            .map_err(|e| fatal(format!("Failed to get snapshot state from file: {e}")))?;
        let memory = File::open(&load.mem_backend.backend_path).and_then(|file| file.metadata());
        let memory = memory.map_err(|e| {
            fatal(format!("Failed to load guest memory: Error creating guest memory from file: Failed to load guest memory: {e}"))
        })?;
        if memory.len() < saved.mem_size_mib << 20 {
            return Err(fatal("Failed to load guest memory: Error creating guest memory from file: Failed to restore guest memory: Total sum of memory regions exceeds largest possible file offset".into()));
        }
        self.machine.mem_size_mib = saved.mem_size_mib;
        self.run(saved.steps, saved.done, !load.resume_vm, this);
        Ok(Answer::done())
    }
}

fn parsed<T: DeserializeOwned>(body: &str) -> Result<T, Answer> {
    serde_json::from_str(body).map_err(|e| {
        Answer::fault(format!(
            "An error occurred when deserializing the json body of a request: {e}."
        ))
    })
}
