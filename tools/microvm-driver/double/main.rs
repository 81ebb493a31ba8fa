//! The in-repo server of the conformance test: answers on a Unix socket as Firecracker 1.16's API does (status
//! codes, fault messages, which call may follow which), writes what the guest would say, and ends as it would.
//! It runs no guest: it knows the flat guests of this crate and the command lines of its Linux guests.
//!
//! With the arguments of Firecracker's jailer it is that too, see [`jailer`].
//!
//! A file `behaviour` beside the name it is called by makes it misbehave, see [`Behaviour`]. Never installed.

mod behaviour;
mod bodies;
mod guest;
mod http;
mod jailer;
mod snapshot;
mod vm;

use std::env;
use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, exit};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use behaviour::Behaviour;
use vm::Vm;

/// The version whose answers were recorded.
const VERSION: &str = "1.16.1";

fn main() -> ExitCode {
    let mut arguments: Vec<String> = env::args().collect();
    if arguments.iter().any(|a| a == "--version") {
        println!("Firecracker v{VERSION} (in-repo server)");
        return ExitCode::SUCCESS;
    }
    // Before it is out of sight.
    let behaviour = Behaviour::beside(Path::new(&arguments[0]));
    if jailer::is_called(&arguments) {
        arguments = match jailer::enter(&arguments) {
            Ok(monitors) => monitors,
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        };
    }
    let socket = arguments.windows(2).find(|pair| pair[0] == "--api-sock");
    let Some(socket) = socket.map(|pair| PathBuf::from(&pair[1])) else {
        eprintln!("usage: firecracker-double --api-sock PATH");
        return ExitCode::from(2);
    };
    println!(
        "2026-01-01T00:00:00.000000000 [anonymous-instance:main] Running Firecracker v{VERSION}"
    );
    behaviour.at("spawn");
    match serve(&socket, behaviour) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", socket.display());
            ExitCode::FAILURE
        }
    }
}

/// Serves one connection after the other, until the guest or a fault ends the process.
fn serve(socket: &Path, behaviour: Behaviour) -> std::io::Result<()> {
    let listener = UnixListener::bind(socket)?;
    // Held while a request is answered: the process does not end in the middle of an answer.
    let vm = Arc::new(Mutex::new(Vm::new(behaviour)));
    for stream in listener.incoming() {
        behaviour.at("connect");
        let (stream, vm) = (stream?, vm.clone());
        thread::spawn(move || converse(stream, &vm));
    }
    Ok(())
}

fn converse(mut stream: UnixStream, vm: &Arc<Mutex<Vm>>) {
    let mut pending = Vec::new();
    while let Ok(Some(request)) = http::next(&mut stream, &mut pending) {
        let mut machine = vm.lock().unwrap_or_else(PoisonError::into_inner);
        machine.behaviour.at(&request.path);
        let answer = machine.answer(&request, vm);
        let sent = stream.write_all(&machine.behaviour.spoil(answer.to_bytes()));
        machine.behaviour.after(&request.path);
        if answer.fatal {
            println!("Firecracker exiting with error. exit_code=1");
            exit(1);
        }
        if sent.is_err() {
            return;
        }
    }
}
