//! A round: processes that try cases, watched, and what they found.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use measure_core::base::exit::Exit;
use measure_core::base::interrupt;
use measure_core::base::stdout::print;
use measure_core::base::words::one_line;
use nix::sys::signal::Signal;

use crate::error::FuzzError;
use crate::lines::Line;
use crate::options::{Options, SECOND_ENGINE_EVERY};
use crate::target::{Counts, count};

/// Between two words on how far it is.
const EVERY: Duration = Duration::from_secs(30);
/// Kept of what a process said before it died, or of what is wrong.
const WORDS_CHARS: usize = 600;

/// What a round has come to.
struct Round {
    next: u64,
    end: u64,
    /// The first seed of those that were given out, and not tried to their end.
    unfinished: Option<u64>,
    counts: Counts,
    findings: u64,
    said: Instant,
    error: Option<FuzzError>,
}

/// Makes the round that `options` describes.
///
/// # Errors
/// No process, no output.
pub fn run(options: &Options) -> Result<Exit, FuzzError> {
    let begun = Instant::now();
    let first = options.first();
    let round = Mutex::new(Round {
        next: first,
        end: first.saturating_add(options.count()),
        unfinished: None,
        counts: Counts::new(),
        findings: 0,
        said: begun,
        error: None,
    });
    let until = options.minutes.map(|m| begun + Duration::from_secs(60 * m));
    thread::scope(|scope| {
        for _ in 0..options.jobs {
            scope.spawn(|| work(options, &round, until));
        }
    });
    let round = round.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = round.error {
        return Err(error);
    }
    print(round.summary(options, begun.elapsed())).map_err(FuzzError::Output)?;
    Ok(match (interrupt::received(), round.findings) {
        (Some(exit), _) => exit,
        (None, 0) => Exit::Ok,
        (None, _) => Exit::Failed,
    })
}

fn lock(round: &Mutex<Round>) -> MutexGuard<'_, Round> {
    round.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One process after the other, until there is nothing left to try.
fn work(options: &Options, round: &Mutex<Round>, until: Option<Instant>) {
    loop {
        let cases = {
            let mut round = lock(round);
            let over = until.is_some_and(|until| Instant::now() >= until);
            if over
                || round.next >= round.end
                || round.error.is_some()
                || interrupt::received().is_some()
            {
                return;
            }
            let first = round.next;
            let end = round
                .end
                .min(first.saturating_add(options.target.cases_a_process()));
            round.next = end;
            first..end
        };
        let mut left = cases;
        while !left.is_empty() {
            match Process::watch(options, left.clone(), round) {
                Ok(Some(tried)) => left.start = tried,
                Ok(None) => {
                    let mut round = lock(round);
                    let first = round.unfinished.map_or(left.start, |n| n.min(left.start));
                    round.unfinished = Some(first);
                    return;
                }
                Err(error) => {
                    lock(round).error.get_or_insert(error);
                    return;
                }
            }
        }
    }
}

impl Round {
    /// What it came to: all that was counted, the same as a row of a table in the lab notes, and how to go on.
    fn summary(&self, options: &Options, spent: Duration) -> String {
        let (target, first) = (options.target.word(), options.first());
        let next = self.unfinished.unwrap_or(self.next);
        let last = next.saturating_sub(1);
        let mut text = format!("{target}: seeds {first} to {last}, {} s\n", spent.as_secs());
        for (what, n) in &self.counts {
            text.push_str(&format!("  {what}: {n}\n"));
        }
        text.push_str(&format!("  wrong: {}\n", self.findings));
        let counted = options.target.in_words(&self.counts);
        text.push_str(&format!(
            "| {target} | {first} to {last} | {counted}, in {} min | {} |\n",
            spent.as_secs() / 60,
            self.findings
        ));
        if options.seed.is_none() {
            text.push_str(&format!("go on: fuzz {target} --first {next}\n"));
        }
        text
    }

    fn add(&mut self, counts: Counts) {
        for (what, n) in counts {
            count(&mut self.counts, &what, n);
        }
        if self.said.elapsed() >= EVERY {
            self.said = Instant::now();
            let cases = self.counts.get("cases").copied().unwrap_or(0);
            eprintln!("{cases} cases tried, {} wrong", self.findings);
        }
    }

    fn found(&mut self, options: &Options, seed: u64, what: &str) -> Result<(), FuzzError> {
        self.findings += 1;
        let target = options.target.word();
        let mut again = format!("fuzz {target} --seed {seed}");
        let every = options.second_engine_every;
        if every != SECOND_ENGINE_EVERY {
            again.push_str(&format!(" --second-engine-every {every}"));
        }
        let what = one_line(what, WORDS_CHARS);
        let line = format!("WRONG {target} {seed}: {what}; again: {again}\n");
        print(line).map(|_| ()).map_err(FuzzError::Output)
    }
}

/// A process that tries cases.
struct Process {
    child: Child,
    lines: Lines,
    /// What it says on standard error.
    said: File,
}

impl Process {
    /// Has `cases` tried by a new process; returns the first seed that was not, or nothing where a signal came before their end.
    fn watch(
        options: &Options,
        cases: std::ops::Range<u64>,
        round: &Mutex<Round>,
    ) -> Result<Option<u64>, FuzzError> {
        if interrupt::received().is_some() {
            return Ok(None);
        }
        let mut process = Self::start(options, &cases)?;
        let mut current = cases.start;
        loop {
            let what = match process.lines.next(options.patience()) {
                Next::Line(Line::Begins(seed)) => {
                    current = seed;
                    continue;
                }
                Next::Line(Line::Found(what)) => {
                    lock(round).found(options, current, &what)?;
                    continue;
                }
                Next::Line(Line::Counts(counts)) => {
                    process.end();
                    lock(round).add(counts);
                    return Ok(Some(cases.end));
                }
                Next::Nothing => format!("hangs: nothing for {:?}", options.patience()),
                Next::End(why) => why,
            };
            let how = process.end();
            if interrupt::received().is_some() {
                return Ok(None);
            }
            let said = process.last_words();
            let what = format!("{what}; the process {how}; it said: {said}");
            let mut round = lock(round);
            let lost = Counts::from([("cases".to_owned(), current + 1 - cases.start)]);
            round.add(lost);
            round.found(options, current, &what)?;
            return Ok(Some(current + 1));
        }
    }

    fn start(options: &Options, cases: &std::ops::Range<u64>) -> Result<Self, FuzzError> {
        // The very file that runs, whatever lies at its name by now.
        let program = "/proc/self/exe";
        let failed = |cause| FuzzError::Child {
            program: program.into(),
            cause,
        };
        let said = tempfile::tempfile().map_err(FuzzError::Scratch)?;
        let theirs = said.try_clone().map_err(failed)?;
        let mut command = Command::new(program);
        command
            .args([options.target.word(), "--child"])
            .args(["--first", &cases.start.to_string()])
            .args(["--count", &(cases.end - cases.start).to_string()])
            .args([
                "--second-engine-every",
                &options.second_engine_every.to_string(),
            ])
            .args(["--deadline-starts", &options.deadline_starts.to_string()]);
        if let Some(dir) = &options.keep {
            command.arg("--keep").arg(dir);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(theirs)
            .spawn()
            .map_err(failed)?;
        let lines = child.stdout.take().map(Lines::new);
        let lines = lines.ok_or_else(|| failed(ErrorKind::BrokenPipe.into()))?;
        Ok(Self { child, lines, said })
    }

    /// Ends it, if it has not ended; how it did.
    fn end(&mut self) -> String {
        // One that is about to end by itself has the time to.
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(5) && !self.lines.hangs {
            if let Ok(Some(status)) = self.child.try_wait() {
                return how(status);
            }
            thread::sleep(Duration::from_millis(1));
        }
        let _ = self.child.kill();
        self.child.wait().map_or_else(|e| e.to_string(), how)
    }

    fn last_words(&mut self) -> String {
        use std::io::Seek;
        let mut text = Vec::new();
        let read = self
            .said
            .rewind()
            .and_then(|()| self.said.read_to_end(&mut text));
        let text = String::from_utf8_lossy(&text);
        match read {
            Ok(0) | Err(_) => "nothing".to_owned(),
            Ok(_) => one_line(&text, WORDS_CHARS),
        }
    }
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with {code}"),
        (None, Some(signal)) => match Signal::try_from(signal) {
            Ok(signal) => format!("was ended by {signal}"),
            Err(_) => format!("was ended by signal {signal}"),
        },
        (None, None) => "ended".to_owned(),
    }
}

/// What comes next.
enum Next {
    Line(Line),
    /// For too long.
    Nothing,
    /// No more lines, and why.
    End(String),
}

/// Lines as they come.
struct Lines {
    from: ChildStdout,
    read: Vec<u8>,
    hangs: bool,
}

impl Lines {
    fn new(from: ChildStdout) -> Self {
        Self {
            from,
            read: Vec::new(),
            hangs: false,
        }
    }

    fn next(&mut self, patience: Duration) -> Next {
        let begun = Instant::now();
        loop {
            if let Some(at) = self.read.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=at).collect();
                return match serde_json::from_slice(&line) {
                    Ok(line) => Next::Line(line),
                    Err(error) => Next::End(format!("it told nonsense: {error}")),
                };
            }
            let left = patience.saturating_sub(begun.elapsed());
            if left.is_zero() {
                self.hangs = true;
                return Next::Nothing;
            }
            if interrupt::received().is_some() {
                self.hangs = true;
                return Next::End("interrupted".to_owned());
            }
            match self.more(left) {
                Ok(true) => {}
                Ok(false) => return Next::End("it died".to_owned()),
                Err(error) => return Next::End(error.to_string()),
            }
        }
    }

    /// Reads on, if something comes in time; false at the end.
    fn more(&mut self, left: Duration) -> io::Result<bool> {
        if !interrupt::wait_readable(self.from.as_fd(), Some(left))? {
            return Ok(true);
        }
        let mut bytes = [0; 4096];
        let n = self.from.read(&mut bytes)?;
        self.read.extend_from_slice(&bytes[..n]);
        Ok(n > 0)
    }
}
