//! Damaged requests to the upload server, which answers each in HTTP or closes, soon, and lives on.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use procfs::process::Process;
use tempfile::TempDir;

use crate::error::FuzzError;
use crate::files::mutate;
use crate::seed::Draw;
use crate::target::{Counts, Finding, Setting, Target, count};

const SERVER: &str = "faasm-driver";
const TOKEN: &str = "0123456789abcdef0123";
/// As the server's `--timeout`, and as long again as any host is late.
const STALLS_S: &str = "2";
const TOO_LONG: Duration = Duration::from_secs(20);
const MOST_ANSWER_BYTES: u64 = 4 << 20;
/// More than a server of small modules and one client ever needs, in KiB.
const MOST_RESIDENT_KIB: u64 = 1 << 20;
/// What a stranger's module begins as.
const MODULE: &str = r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1) (func (export "_start") (call $exit (i32.const 0))))"#;

/// The server, and requests that it knows.
pub struct Requests {
    program: Option<PathBuf>,
    seeds: Vec<Vec<u8>>,
    server: Option<Server>,
    setting: Setting,
}

struct Server {
    child: Child,
    address: SocketAddr,
    _home: TempDir,
}

impl Requests {
    /// The server beside this program; where there is none, cases are counted as not tried.
    ///
    /// # Errors
    /// The requests cannot be made.
    pub fn new(setting: &Setting) -> Result<Self, FuzzError> {
        let beside = std::env::current_exe().ok();
        let program = beside.and_then(|exe| Some(exe.parent()?.join(SERVER)));
        let program = program.filter(|program| program.is_file());
        if program.is_none() {
            eprintln!("SKIPPED: requests: no {SERVER} beside this program: `make build` builds it");
        }
        Ok(Self {
            program,
            seeds: seeds(),
            server: None,
            setting: setting.clone(),
        })
    }

    fn server(&mut self) -> Result<&mut Server, Finding> {
        let Some(program) = &self.program else {
            return Err("there is no server".to_owned());
        };
        match &mut self.server {
            Some(server) => Ok(server),
            none => {
                let server = Server::start(program);
                Ok(none.insert(server.map_err(|e| format!("the server does not start: {e}"))?))
            }
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let wasm = wat::parse_str(MODULE).unwrap_or_default();
    let head = |first: &str, more: &str| {
        format!("{first} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\nconnection: close\r\n{more}\r\n").into_bytes()
    };
    let put = |more: &str, body: &[u8]| [head("PUT /f/ann/it", more), body.to_vec()].concat();
    let length = format!(
        "content-type: application/wasm\r\ncontent-length: {}\r\n",
        wasm.len()
    );
    let chunks = [
        format!("{:x}\r\n", wasm.len()).as_bytes(),
        &wasm,
        b"\r\n0\r\n\r\n",
    ]
    .concat();
    vec![
        put(&length, &wasm),
        put(&length, &wasm),
        put(&format!("{length}expect: 100-continue\r\n"), &wasm),
        put("transfer-encoding: chunked\r\n", &chunks),
        head("GET /f/ann/it", ""),
        head(
            "GET /f/ann/it",
            "if-none-match: \"0123456789abcdef0123456789abcdef\"\r\nrange: bytes=0-7\r\n",
        ),
        head("HEAD /f/ann/it", ""),
        head("DELETE /f/ann/../%2e%2e/it%00", ""),
        [
            head("GET /f/ann/it", ""),
            head("PUT /f/bob/it", "content-length: 3\r\n"),
            b"abc".to_vec(),
        ]
        .concat(),
    ]
}

impl Server {
    fn start(program: &Path) -> std::io::Result<Self> {
        let home = TempDir::new()?;
        let users = home.path().join("users");
        fs::write(&users, format!("ann {TOKEN}\n"))?;
        fs::set_permissions(&users, Permissions::from_mode(0o600))?;
        let mut command = Command::new(program);
        // Not even an abort of this process leaves it.
        // SAFETY: it makes one system call.
        unsafe { command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?)) };
        let mut child = command
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--timeout",
                STALLS_S,
                "--users-file",
            ])
            .arg(&users)
            .env("FAASM_BENCH_HOME", home.path())
            .env_remove("FAASM_BENCH_TOKEN")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let address = line
            .trim()
            .strip_prefix("listening on http://")
            .and_then(|a| a.parse().ok());
        let Some(address) = address else {
            let _ = child.kill();
            let status = child.wait()?;
            return Err(std::io::Error::other(format!(
                "it ended ({status}) and said `{}`",
                line.trim()
            )));
        };
        Ok(Self {
            child,
            address,
            _home: home,
        })
    }

    /// Sends `request`, and nothing more; what comes back.
    fn ask(&self, request: &[u8]) -> Result<Vec<u8>, Finding> {
        let failed = |e: std::io::Error| format!("no connection to the server: {e}");
        let mut stream = TcpStream::connect(self.address).map_err(failed)?;
        let limit = Some(TOO_LONG);
        stream
            .set_read_timeout(limit)
            .and_then(|()| stream.set_write_timeout(limit))
            .map_err(failed)?;
        // One that has seen enough may answer and close before all is sent.
        let _ = stream
            .write_all(request)
            .and_then(|()| stream.shutdown(Shutdown::Write));
        let mut answer = Vec::new();
        // As may one that is reset by it.
        let _ = stream.take(MOST_ANSWER_BYTES).read_to_end(&mut answer);
        Ok(answer)
    }

    fn lives(&mut self) -> Result<(), Finding> {
        if let Some(status) = self.child.try_wait().map_err(|e| e.to_string())? {
            return Err(format!("the server ended: {status}"));
        }
        let status = Process::new(self.child.id().cast_signed()).and_then(|p| p.status());
        match status.ok().and_then(|status| status.vmhwm) {
            Some(kib) if kib > MOST_RESIDENT_KIB => {
                Err(format!("the server had {kib} KiB of memory"))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = kill(
            Pid::from_raw(self.child.id().cast_signed()),
            Signal::SIGKILL,
        );
        let _ = self.child.wait();
    }
}

/// The status of an answer; none where there is no answer, which a request that ends early may come to.
fn status_of(answer: &[u8]) -> Result<Option<u16>, Finding> {
    if answer.is_empty() {
        return Ok(None);
    }
    let line = answer
        .split(|&byte| byte == b'\r')
        .next()
        .unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let status = line
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
    match status {
        Some(status @ 100..=499 | status @ 503 | status @ 505 | status @ 507) => Ok(Some(status)),
        _ => Err(format!("the server answers `{}`", line.escape_debug())),
    }
}

impl Target for Requests {
    fn try_case(&mut self, seed: u64, counts: &mut Counts) -> Result<(), Finding> {
        let mut draw = Draw::new("requests", seed);
        let request: &Vec<u8> = draw.one(self.seeds.as_slice());
        let damaged = mutate(request, &mut draw);
        if let Some(keep) = &self.setting.keep {
            let file = keep.join(format!("requests-{seed}"));
            fs::write(&file, &damaged).map_err(|e| format!("{}: {e}", file.display()))?;
        }
        if self.program.is_none() {
            count(counts, "not tried", 1);
            return Ok(());
        }
        let server = self.server()?;
        let begun = Instant::now();
        let answer = server.ask(&damaged);
        let took = begun.elapsed();
        let lives = server.lives();
        if lives.is_err() {
            self.server = None;
        }
        let status = lives.and(answer).and_then(|answer| status_of(&answer))?;
        if took > TOO_LONG {
            return Err(format!("the server took {took:?}"));
        }
        match status {
            None => count(counts, "closed without an answer", 1),
            Some(status) => count(counts, &format!("answered {status}"), 1),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_answer_is_told() {
        assert_eq!(status_of(b""), Ok(None));
        assert_eq!(status_of(b"HTTP/1.1 404 Not Found\r\n\r\n"), Ok(Some(404)));
        assert_eq!(status_of(b"HTTP/1.0 200 OK\r\n"), Ok(Some(200)));
        for wrong in [
            &b"HTTP/1.1 500 Internal\r\n"[..],
            b"HTTP/1.1",
            b"\x1b[2J",
            b"HTTP/1.1 9 x\r\n",
        ] {
            assert!(status_of(wrong).is_err(), "{wrong:?}");
        }
    }
}
