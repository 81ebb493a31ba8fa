//! `engine-init`: the hidden child that is init of the engine's namespaces.
//!
//! It is the first process of a process id namespace, so the kernel kills dockerd, containerd, every
//! shim and every container when it dies; mounts, bridges and firewall rules go with the mount and
//! network namespaces. It dies with the driver: by the parent-death signal, and because it holds the
//! read end of a pipe (its standard input) whose only writer is the driver.

use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use measure_core::base::exit::Exit;
use measure_core::driver_kit::mounts::mounts_below;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid, setsid};
use serde::{Deserialize, Serialize};

/// The hidden command's name.
pub const COMMAND: &str = "engine-init";

/// What the driver writes to end the daemon in good order; closing the pipe ends it at once.
pub const STOP: u8 = b'S';

/// Where the daemons write what no option of theirs places: dockerd a key (`/etc/docker/key.json`), containerd empty directories
/// (`/opt/containerd`).
const WRITTEN_BESIDES: [&str; 2] = ["/etc", "/opt"];

/// Everything the engine's init needs to know: one JSON line on its standard input.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct InitConfig {
    /// Cgroup directories to join first.
    pub cgroups: Vec<PathBuf>,
    /// A network namespace of its own (else the engine shares the host's).
    pub own_network: bool,
    /// Mount points to take away.
    pub hide_mounts: Vec<PathBuf>,
    /// Directory below `/run` that stays shared with the host: the API socket lies in it.
    pub shared_dir: PathBuf,
    /// The daemon and its arguments; empty to set up the namespaces and end, as a probe.
    pub command: Vec<String>,
}

/// A step of an engine's start that the kernel refused.
#[derive(Debug, thiserror::Error)]
#[error("{step}: {cause}")]
pub(crate) struct InitError {
    step: String,
    #[source]
    cause: io::Error,
}

impl InitError {
    /// That `step` failed.
    pub(crate) fn at(step: impl Into<String>, cause: impl Into<io::Error>) -> Self {
        Self {
            step: step.into(),
            cause: cause.into(),
        }
    }
}

/// Names the step that failed.
pub(crate) trait Step<T> {
    fn step(self, step: impl Into<String>) -> Result<T, InitError>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, step: impl Into<String>) -> Result<T, InitError> {
        self.map_err(|cause| InitError::at(step, cause))
    }
}

/// Runs as init until the daemon ends or the driver is gone. Its standard error is the engine's log.
pub fn run() -> Exit {
    match init() {
        Ok(None) => Exit::Ok,
        Ok(Some(status)) => {
            eprintln!("{COMMAND}: dockerd ended: {status}");
            match status.code() {
                Some(0) => Exit::Ok,
                _ if status.signal().is_some() => Exit::EngineLost,
                _ => Exit::Failed,
            }
        }
        Err(error) => {
            eprintln!("{COMMAND}: {error}");
            Exit::Unavailable
        }
    }
}

fn init() -> Result<Option<ExitStatus>, InitError> {
    prctl::set_pdeathsig(Signal::SIGKILL).step("set the parent-death signal")?;
    let _ = prctl::set_name(c"engine-init");
    if getpid() != Pid::from_raw(1) {
        return Err(io::Error::other(
            "not the first process of a namespace: this command is for docker-driver's own use",
        ))
        .step("start");
    }
    // Out of the terminal's process group: Ctrl-C is for the driver, which then ends the engine.
    setsid().step("start a session")?;
    let config = read_config()?;
    for dir in &config.cgroups {
        let file = dir.join("cgroup.procs");
        fs::write(&file, "0").step(format!("join {}", file.display()))?;
    }
    isolate(&config)?;
    let [program, arguments @ ..] = config.command.as_slice() else {
        return Ok(None);
    };
    let signals = SigSet::from_iter([Signal::SIGCHLD]);
    signals.thread_block().step("block signals")?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .step("make a signal descriptor")?;
    // Only spawned, never waited for as a `Child`: all children are reaped in one place.
    let daemon = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .spawn()
        .step(format!("start {program}"))?;
    let daemon = Pid::from_raw(daemon.id().cast_signed());
    supervise(daemon, &signals)
}

/// One line, read byte by byte: what follows on the pipe is for [`supervise`].
fn read_config() -> Result<InitConfig, InitError> {
    let mut line = Vec::new();
    let mut input = io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map(fs::File::from)
        .step("read the configuration")?;
    let mut byte = [0];
    while input.read(&mut byte).step("read the configuration")? == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    serde_json::from_slice(&line)
        .map_err(io::Error::from)
        .step("read the configuration")
}

fn isolate(config: &InitConfig) -> Result<(), InitError> {
    const NONE: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS).step("make a mount namespace")?;
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)
        .step("make mounts private")?;
    let safe = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), safe, NONE).step("mount /proc")?;
    for point in &config.hide_mounts {
        match umount2(point, MntFlags::MNT_DETACH) {
            // Not mounted, or not even there.
            Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => {}
            Err(error) => return Err(error).step(format!("hide {}", point.display())),
        }
    }
    if config.own_network {
        unshare(CloneFlags::CLONE_NEWNET).step("make a network namespace")?;
        loopback_up().step("set the loopback device up")?;
    }
    private_run(&config.shared_dir)?;
    WRITTEN_BESIDES.into_iter().try_for_each(private_writes)
}

/// An empty `/run` but for what must be shared: shims, containerd and runc keep sockets, namespaces
/// and state below it that then die with the mount namespace, and no engine of the host's is found.
fn private_run(shared: &Path) -> Result<(), InitError> {
    // The resolver's configuration may be a link into /run; the daemon needs it to pull an image.
    let resolver = fs::canonicalize("/etc/resolv.conf")
        .ok()
        .filter(|path| path.starts_with("/run"))
        .and_then(|path| path.parent().map(Path::to_path_buf));
    let kept: Vec<Kept> = [Some(shared.to_path_buf()), resolver]
        .into_iter()
        .flatten()
        .filter(|dir| dir.starts_with("/run") && dir.is_dir())
        .map(keep)
        .collect::<Result<_, _>>()?;
    let mode = Some("mode=755");
    mount(
        Some("tmpfs"),
        "/run",
        Some("tmpfs"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
        mode,
    )
    .step("mount /run")?;
    for kept in kept {
        let dir = &kept.path;
        fs::create_dir_all(dir).step(format!("make {}", dir.display()))?;
        kept.share()?;
    }
    Ok(())
}

/// Has what is written below `dir` go to the private `/run`, above what the host has there, so that it dies with the mount namespace.
fn private_writes(dir: &str) -> Result<(), InitError> {
    let Ok(found) = fs::metadata(dir) else {
        return Ok(());
    };
    // An overlay shows a directory as it is without them: a container's /etc/resolv.conf is one.
    let mut mounts = mounts_below(Path::new(dir)).step("read the mounts")?;
    mounts.retain(|point| point != Path::new(dir));
    let mounts: Vec<Kept> = mounts.into_iter().flat_map(keep).collect();
    let [upper, work] = ["upper", "work"].map(|part| format!("/run/writes{dir}/{part}"));
    for part in [&upper, &work] {
        fs::create_dir_all(part).step(format!("make {part}"))?;
    }
    fs::set_permissions(&upper, found.permissions()).step(format!("set the mode of {upper}"))?;
    let layers = format!("lowerdir={dir},upperdir={upper},workdir={work}");
    let overlay = Some("overlay");
    if let Err(why) = mount(overlay, dir, overlay, MsFlags::empty(), Some(&*layers)) {
        // Such as of a host that is itself an overlay above an overlay. It is no reason not to run.
        eprintln!("{COMMAND}: what the daemons write below {dir} stays there: {why}");
        return Ok(());
    }
    mounts.iter().try_for_each(Kept::share)
}

/// Something that is to be seen where it is, whatever is mounted above it.
struct Kept {
    path: PathBuf,
    held: OwnedFd,
}

impl Kept {
    fn share(&self) -> Result<(), InitError> {
        let source = format!("/proc/self/fd/{}", self.held.as_raw_fd());
        const NONE: Option<&str> = None;
        mount(Some(&*source), &self.path, NONE, MsFlags::MS_BIND, NONE)
            .step(format!("share {}", self.path.display()))
    }
}

fn keep(path: PathBuf) -> Result<Kept, InitError> {
    let opened = fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH)
        .open(&path);
    let held = opened.step(format!("open {}", path.display()))?.into();
    Ok(Kept { path, held })
}

fn loopback_up() -> io::Result<()> {
    let socket = nix::sys::socket::socket(
        nix::sys::socket::AddressFamily::Inet,
        nix::sys::socket::SockType::Datagram,
        nix::sys::socket::SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    // SAFETY: an ifreq is plain data, for which all zeros is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads an ifreq, which outlives the call.
    Errno::result(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request) })?;
    Ok(())
}

/// Reaps every orphan of the namespace until the daemon is among them; ends it when told to. When
/// the driver is gone it returns at once, and the kernel kills whatever is left.
fn supervise(daemon: Pid, signals: &SignalFd) -> Result<Option<ExitStatus>, InitError> {
    let stdin = io::stdin();
    let mut watch_driver = true;
    loop {
        let mut fds = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        if watch_driver {
            fds.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
        }
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).step("wait"),
        }
        if fds.get(1).and_then(PollFd::any).unwrap_or(false) {
            let mut byte = [0];
            match nix::unistd::read(stdin.as_fd(), &mut byte) {
                Ok(1) if byte[0] == STOP => {
                    let _ = kill(daemon, Signal::SIGTERM);
                }
                Ok(1) => {}
                _ => watch_driver = false,
            }
            if !watch_driver {
                return Ok(None);
            }
        }
        while let Ok(Some(_)) = signals.read_signal() {}
        if let Some(status) = reap(daemon) {
            return Ok(Some(status));
        }
    }
}

fn reap(daemon: Pid) -> Option<ExitStatus> {
    let mut ended = None;
    loop {
        match waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == daemon => {
                ended = Some(ExitStatus::from_raw(code << 8));
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == daemon => {
                ended = Some(ExitStatus::from_raw(signal as i32));
            }
            Ok(WaitStatus::StillAlive) | Err(_) => return ended,
            Ok(_) => {}
        }
    }
}
