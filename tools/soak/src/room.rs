//! A room of its own: namespaces, cgroup hierarchies that begin there, empty places for temporary files and state.
//!
//! This program starts itself again, thrice. `Join` enters new cgroups and becomes `unshare`, which becomes `Init`: it mounts, and
//! reaps orphans; `Campaign` does the work. At the end whatever is in these cgroups is killed.

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, File};
use std::io::{self, stdin};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use measure_core::base::exit::Exit;
use measure_core::base::{home, interrupt, label};
use measure_core::driver_kit::cgroup::{MountedHierarchy, processes};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::prctl::{set_child_subreaper, set_pdeathsig};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::{Pid, geteuid, getpid};

use crate::error::{SoakError, Step};

/// Names the group that the room lives in, from the first stage to the next.
const GROUP_VARIABLE: &str = "FAASM_BENCH_SOAK_GROUP";

/// Where the campaign's own files lie; not part of a census.
pub const SCRATCH: &str = "/tmp/soak";

/// What is empty in the room, and at its end gone.
pub const EMPTY_PLACES: [&str; 4] = ["/tmp", "/run", "/dev/shm", "/var/lib/faasm-bench"];

/// Between two looks.
const TICK: Duration = Duration::from_millis(100);
/// How long a campaign may take to end once it is told to.
const PATIENCE: Duration = Duration::from_secs(20);

/// Which part of this program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Join,
    Init,
    Campaign,
}

impl FromStr for Stage {
    type Err = SoakError;

    fn from_str(word: &str) -> Result<Self, SoakError> {
        match word {
            "join" => Ok(Self::Join),
            "init" => Ok(Self::Init),
            "campaign" => Ok(Self::Campaign),
            _ => Err(SoakError::Usage(format!("no stage is called {word}"))),
        }
    }
}

/// This program once more, as `stage`, with the arguments it has.
fn again(program: &str, stage: &str) -> Command {
    let mut command = Command::new(program);
    let mut left = env::args_os().skip(1).peekable();
    while let Some(argument) = left.next() {
        if argument == "--stage" {
            left.next();
        } else {
            command.arg(argument);
        }
    }
    command.args(["--stage", stage]);
    command
}

/// Makes the room, has the campaign made in it and removes it.
pub fn enter() -> Result<Exit, SoakError> {
    if !geteuid().is_root() {
        let why = "needs root: it makes namespaces and cgroups; run it with sudo";
        return Err(SoakError::Unavailable(why.to_owned()));
    }
    interrupt::install().step("catch signals")?;
    let group = label::name(getpid().as_raw(), "soak");
    let hierarchies = MountedHierarchy::all()?;
    let outcome = make_groups(&hierarchies, &group).and_then(|()| {
        let mut command = again("/proc/self/exe", "join");
        until_its_end(command.env(GROUP_VARIABLE, &group)).step("start this program again")
    });
    for hierarchy in &hierarchies {
        remove_group(&hierarchy.point.join(&group));
    }
    if let Some(exit) = interrupt::received() {
        return Ok(exit);
    }
    match outcome?.code() {
        Some(0) => Ok(Exit::Ok),
        Some(3) => Ok(Exit::Unavailable),
        Some(2) => Ok(Exit::Usage),
        _ => Ok(Exit::Failed),
    }
}

/// Runs `command`. After a signal its standard input is closed, by which the campaign knows ([`is_to_end`]), and it has [`PATIENCE`] to say
/// what it has found; what is left of it then goes with its group.
fn until_its_end(command: &mut Command) -> io::Result<ExitStatus> {
    let mut child = command.stdin(Stdio::piped()).spawn()?;
    let told = child.stdin.take();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if !interrupt::sleep(TICK) {
            break;
        }
    }
    drop(told);
    let since = Instant::now();
    while since.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        thread::sleep(TICK);
    }
    child.kill()?;
    child.wait()
}

/// Waits for `duration`, or until the campaign is to end: whether it is.
pub fn is_to_end(duration: Duration) -> bool {
    interrupt::wait_readable(stdin().as_fd(), Some(duration)).unwrap_or(true)
        || interrupt::received().is_some()
}

fn make_groups(hierarchies: &[MountedHierarchy], group: &str) -> Result<(), SoakError> {
    for hierarchy in hierarchies {
        let dir = hierarchy.point.join(group);
        fs::create_dir(&dir).step(format!("make the cgroup {}", dir.display()))?;
        // A new group of cpuset takes no process before it has both.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let own = dir.join(file);
            if !hierarchy.v2 && own.exists() {
                let all = fs::read(hierarchy.point.join(file)).step(format!("read {file}"))?;
                fs::write(&own, all).step(format!("write {}", own.display()))?;
            }
        }
    }
    Ok(())
}

/// Kills what is left of the room in the group `dir`, and removes this and all below it.
fn remove_group(dir: &Path) {
    for _ in 0..100 {
        let below = groups_below(dir);
        for pid in below
            .iter()
            .flat_map(|dir| processes(dir).unwrap_or_default())
        {
            // Gone already is as good.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        if below.iter().rev().all(|dir| fs::remove_dir(dir).is_ok()) {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    eprintln!("warning: cannot remove the cgroup {}", dir.display());
}

/// `dir`, if it is there, and all directories below it, outer ones first.
pub fn groups_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = if dir.is_dir() {
        vec![dir.into()]
    } else {
        vec![]
    };
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|t| t.is_dir())) {
        found.extend(groups_below(&entry.path()));
    }
    found
}

/// Joins the room's groups and becomes `unshare`, whose child is the room's first process.
pub fn join() -> Result<Exit, SoakError> {
    // Kept by the program that this one becomes: if whoever removes the room is killed, the room goes too.
    set_pdeathsig(Signal::SIGKILL).step("ask for a signal")?;
    let group = env::var(GROUP_VARIABLE)
        .map_err(|_| SoakError::Usage("--stage is this program's own".to_owned()))?;
    for hierarchy in MountedHierarchy::all()? {
        let file = hierarchy.point.join(&group).join("cgroup.procs");
        fs::write(&file, getpid().to_string()).step(format!("write {}", file.display()))?;
    }
    let me = env::current_exe().step("find this program")?;
    let init = again("unused", "init");
    // Not of process ids: by those that its labels bear, whoever else cleans up on this host judges what is made in the room.
    let error = Command::new("unshare")
        .args(["--cgroup", "--mount", "--net", "--ipc", "--"])
        .arg(me)
        .args(init.get_args())
        .exec();
    let why = format!("cannot execute `unshare` ({error}): install util-linux");
    Err(SoakError::Unavailable(why))
}

/// Furnishes the room, starts the campaign and reaps whatever becomes an orphan, until the campaign ends.
pub fn init() -> Result<Exit, SoakError> {
    if env::var_os(GROUP_VARIABLE).is_none() {
        let why = "--stage is this program's own";
        return Err(SoakError::Usage(why.to_owned()));
    }
    // A terminal's Ctrl-C reaches all of them: the campaign is to end first.
    interrupt::install().step("catch signals")?;
    set_child_subreaper(true).step("become who reaps orphans")?;
    let hierarchies = MountedHierarchy::all()?;
    for hierarchy in &hierarchies {
        mount_hierarchy(hierarchy)?;
    }
    if let [only] = &*hierarchies
        && only.v2
    {
        // Below a group with processes there could be no controllers.
        let leaf = only.point.join("campaign");
        fs::create_dir(&leaf).step("make a cgroup")?;
        let own = getpid().to_string();
        fs::write(leaf.join("cgroup.procs"), own).step("join a cgroup")?;
    }
    empty_places()?;
    // There is no network in a test of ours without this one; it is down in a new namespace.
    let up = Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .status();
    if !up.is_ok_and(|status| status.success()) {
        let why = "`ip link set lo up` fails: install iproute2";
        return Err(SoakError::Unavailable(why.to_owned()));
    }
    let me = env::current_exe().step("find this program")?;
    let campaign = again(&me.to_string_lossy(), "campaign")
        .current_dir(SCRATCH)
        .spawn()
        .step("start the campaign")?;
    let campaign = campaign.id().cast_signed();
    loop {
        match wait().step("wait for the campaign")? {
            WaitStatus::Exited(pid, code) if pid.as_raw() == campaign => {
                return Ok(match code {
                    0 => Exit::Ok,
                    2 => Exit::Usage,
                    3 => Exit::Unavailable,
                    _ => Exit::Failed,
                });
            }
            WaitStatus::Signaled(pid, ..) if pid.as_raw() == campaign => return Ok(Exit::Failed),
            _ => {}
        }
    }
}

/// Has the campaign end if the room's first process does, and by itself if it is told to.
pub fn follow() -> Result<(), SoakError> {
    interrupt::install().step("catch signals")?;
    set_pdeathsig(Signal::SIGKILL).step("ask for a signal")
}

/// Mounts `hierarchy` again, so that the room's group is its root.
fn mount_hierarchy(hierarchy: &MountedHierarchy) -> Result<(), SoakError> {
    let point = &hierarchy.point;
    let step = format!("mount cgroups at {}", point.display());
    umount2(point, MntFlags::MNT_DETACH).step(&step)?;
    let no_options = MsFlags::empty();
    if hierarchy.v2 {
        mount(
            Some("cgroup2"),
            point,
            Some("cgroup2"),
            no_options,
            None::<&str>,
        )
        .step(&step)?;
        return Ok(());
    }
    let unnamed = |option: &&String| !matches!(option.as_str(), "rw" | "ro" | "xattr");
    let mut options: Vec<&str> = hierarchy
        .options
        .iter()
        .filter(unnamed)
        .filter(|option| !option.starts_with("release_agent"))
        .map(String::as_str)
        .collect();
    if options.iter().any(|option| option.starts_with("name=")) {
        options.insert(0, "none");
    }
    let options = options.join(",");
    mount(
        Some("cgroup"),
        point,
        Some("cgroup"),
        no_options,
        Some(&*options),
    )
    .step(step)
}

/// Mounts an empty directory over each of [`EMPTY_PLACES`]; the programs and what they run, if they lie in one of these, are
/// mounted there again.
fn empty_places() -> Result<(), SoakError> {
    let me = env::current_exe().step("find this program")?;
    let home = fs::canonicalize(home::root()).ok();
    let kept: BTreeSet<PathBuf> = me
        .parent()
        .map(Into::into)
        .into_iter()
        .chain(home)
        .collect();
    let open = |dir: &PathBuf| Some((dir.clone(), File::open(dir).ok()?));
    let kept: Vec<_> = kept.iter().filter_map(open).collect();
    for place in EMPTY_PLACES {
        fs::create_dir_all(place).step(format!("make {place}"))?;
        let options = Some("mode=1777,size=4g");
        mount(
            Some("soak"),
            place,
            Some("tmpfs"),
            MsFlags::empty(),
            options,
        )
        .step(format!("mount an empty {place}"))?;
    }
    for (dir, file) in kept {
        if EMPTY_PLACES.iter().any(|place| dir.starts_with(place)) {
            let from = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
            bind(&from, &dir).step(format!("mount {}", dir.display()))?;
        }
    }
    fs::create_dir_all(SCRATCH).step(format!("make {SCRATCH}"))
}

fn bind(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    Ok(mount(
        Some(from),
        to,
        None::<&str>,
        MsFlags::MS_BIND,
        None::<&str>,
    )?)
}
