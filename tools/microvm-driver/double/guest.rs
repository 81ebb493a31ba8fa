//! What a guest says and waits for, step by step, without running it.

use std::fs;
use std::io::{Read, Write, stdin, stdout};
use std::process::exit;
use std::sync::{Condvar, Mutex, PoisonError};

use microvm_driver::guest::{EXIT, HELLO, READY, elf, flat};
use serde::{Deserialize, Serialize};

use crate::behaviour::{Behaviour, hang};

/// A step of a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    Say(String),
    Wait,
}

/// A running guest: which steps, how many are done, whether it may go on.
#[derive(Debug, Default)]
pub struct Progress {
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Progress {
    /// At step `done`, `paused` or not.
    pub fn at(done: usize, paused: bool) -> Self {
        Self {
            state: Mutex::new((done, paused)),
            changed: Condvar::new(),
        }
    }

    pub fn pause(&self, paused: bool) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 = paused;
        self.changed.notify_all();
    }

    pub fn done(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    /// Waits until the guest runs.
    fn runs(&self) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let _state = self.changed.wait_while(state, |(_, paused)| *paused);
    }

    fn advance(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0 += 1;
    }
}

/// The steps of what `kernel` and `arguments` boot; none for a kernel that is not known.
pub fn steps(kernel: &str, arguments: &str) -> Vec<Step> {
    let image = fs::read(kernel).unwrap_or_default();
    let say = |text: &str| Step::Say(text.to_owned());
    let body = |parks: bool, ready: bool| {
        let mut steps = Vec::new();
        if ready {
            steps.extend([say(READY), Step::Wait]);
        }
        steps.push(say(HELLO));
        if parks {
            steps.push(Step::Wait);
        }
        steps
    };
    for function in [flat::Function::Noop, flat::Function::Park] {
        for ready in [false, true] {
            if image == elf::image(&function.code(ready)) {
                return body(function == flat::Function::Park, ready);
            }
        }
    }
    let Some((_, init)) = arguments.split_once(" -- ") else {
        return Vec::new();
    };
    let mut steps = body(init.contains("park"), init.ends_with(" ready"));
    steps.push(say(&format!("{EXIT} 0")));
    steps
}

/// Goes through the steps that are not done and ends the process, once no request is being answered: nobody
/// holds `answering` then.
pub fn run<T>(steps: &[Step], progress: &Progress, behaviour: Behaviour, answering: &Mutex<T>) {
    if behaviour == Behaviour::MuteGuest || steps.is_empty() {
        hang();
    }
    for step in steps.iter().skip(progress.done()) {
        progress.runs();
        match step {
            Step::Say(_) if behaviour == Behaviour::StrangeGuest => say("Kernel panic"),
            Step::Say(text) => say(text),
            Step::Wait => {
                let mut byte = [0];
                // At the end of its input a guest waits for ever.
                if stdin().read(&mut byte).unwrap_or(0) == 0 {
                    hang();
                }
                progress.runs();
            }
        }
        progress.advance();
    }
    progress.runs();
    let _answering = answering.lock().unwrap_or_else(PoisonError::into_inner);
    match behaviour {
        Behaviour::Lingers => hang(),
        Behaviour::Fails => exit(3),
        _ => exit(0),
    }
}

fn say(line: &str) {
    let mut out = stdout().lock();
    let _ = writeln!(out, "{line}\r").and_then(|()| out.flush());
}
