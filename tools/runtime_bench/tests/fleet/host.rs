//! A host of its own on this machine: a Debian tree below an overlay, in namespaces of processes, mounts, names and network,
//! with sshd as its first process and a veth pair as its line. It dies with the test, and nothing of it outlives it but its
//! directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use driver_testkit::{Started, children, eventually};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, SFlag, mknod};
use nix::unistd::Pid;

/// What the first process of a host's namespaces does before it is sshd. The line is laid from outside.
const BOOT: &str = r#"
set -eu
mount -t overlay overlay -o "lowerdir=$TREE,upperdir=$DIR/upper,workdir=$DIR/work" "$DIR/root"
cd "$DIR/root"
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
hostname "$NAME"
ip link set lo up
until ip link show eth0 >/dev/null 2>&1; do sleep 0.1; done
ip addr add "$INNER/30" dev eth0
ip link set eth0 up
mkdir -p run/sshd
exec chroot . /usr/sbin/sshd -D -e
"#;

/// A kernel of files, which `tune` of a host takes for its own: file, what it says as it is found.
const KERNEL: [(&str, &str); 4] = [
    ("sys/devices/system/cpu/online", "0-1"),
    (
        "sys/devices/system/cpu/cpufreq/policy0/scaling_governor",
        "schedutil",
    ),
    ("sys/devices/system/cpu/smt/control", "on"),
    ("proc/sys/kernel/random/boot_id", "first"),
];
/// If set, how fast each host's line is both ways, as tc(8) writes it: `8mbit`.
const RATE: &str = "FAASM_BENCH_TEST_FLEET_RATE";

/// Where that lies on a host.
pub const KERNEL_ROOT: &str = "/srv/kernel";

pub struct Host {
    pub name: &'static str,
    number: u8,
    tree: PathBuf,
    dir: PathBuf,
    process: Option<Started>,
}

impl Host {
    /// A host that has not been booted, its files in `scratch`; whoever has a key of `keys` is let in.
    pub fn new(name: &'static str, number: u8, tree: &Path, scratch: &Path, keys: &str) -> Self {
        let dir = scratch.join(name);
        for part in ["root", "work", "upper/root/.ssh"] {
            fs::create_dir_all(dir.join(part)).expect("made");
        }
        let host = Self {
            name,
            number,
            tree: tree.to_owned(),
            dir,
            process: None,
        };
        for (file, found) in KERNEL {
            host.write(&format!("{KERNEL_ROOT}/{file}"), found);
        }
        fs::create_dir(host.dir.join(format!("upper{KERNEL_ROOT}/run"))).expect("made");
        host.let_in(keys);
        host
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.dir.join("upper").join(file.trim_start_matches('/'));
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, format!("{text}\n")).expect("written");
    }

    /// Only before it is booted, as an overlay does not like to be changed from below.
    pub fn let_in(&self, keys: &str) {
        assert!(self.process.is_none());
        self.write("root/.ssh/authorized_keys", keys);
    }

    /// As if it had never had docker.
    pub fn without_docker(&self) {
        let daemon = self.dir.join("upper/usr/sbin/dockerd");
        fs::create_dir_all(daemon.parent().expect("a parent")).expect("made");
        // What an overlay takes for a file that was removed.
        mknod(&daemon, SFlag::S_IFCHR, Mode::empty(), 0).expect("made");
    }

    /// Its end of the line, and ours: of the addresses kept for tests of networks (RFC 2544), a pair for each process and host.
    fn addresses(&self) -> (String, String) {
        let (third, fourth) = (std::process::id() % 256, 4 * self.number);
        let address = |last: u8| format!("198.18.{third}.{}", fourth + last);
        (address(2), address(1))
    }

    pub fn address(&self) -> String {
        self.addresses().0
    }

    fn device(&self) -> String {
        format!("fleet{}.{}", std::process::id() % 100_000, self.number)
    }

    pub fn boot(&mut self) {
        let (inner, outer) = self.addresses();
        let log = fs::File::create(self.dir.join("console")).expect("made");
        let namespaces = ["--mount", "--net", "--pid", "--uts", "--ipc"];
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "unshare"])
            .args(namespaces)
            .args(["--fork", "--kill-child", "sh", "-c", BOOT])
            .envs([("TREE", &self.tree), ("DIR", &self.dir)])
            .envs([("NAME", self.name), ("INNER", &*inner)])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("a host");
        let process = self.process.insert(Started(child)).pid();
        eventually("it has a first process", || !children(process).is_empty());
        let first = self.first_process().to_string();
        let device = self.device();
        let peer = ["peer", "name", "eth0", "netns", &first];
        eventually("its namespace has a line", || {
            ip(&[&["link", "add", &device, "type", "veth"], &peer[..]].concat())
        });
        assert!(ip(&["addr", "add", &format!("{outer}/30"), "dev", &device]));
        assert!(ip(&["link", "set", &device, "up"]));
        if let Ok(rate) = std::env::var(RATE) {
            self.limit_line(&rate);
        }
        let ssh = format!("{inner}:22").parse().expect("an address");
        eventually("it listens", || {
            std::net::TcpStream::connect_timeout(&ssh, std::time::Duration::from_secs(1)).is_ok()
        });
    }

    fn limit_line(&self, rate: &str) {
        let (device, first) = (self.device(), self.first_process().to_string());
        let bucket = [
            "root", "tbf", "rate", rate, "burst", "32kb", "latency", "400ms",
        ];
        let mut ours = Command::new("tc");
        ours.args(["qdisc", "add", "dev", &device]).args(bucket);
        let mut theirs = Command::new("nsenter");
        theirs
            .args([
                "--net", "--target", &first, "tc", "qdisc", "add", "dev", "eth0",
            ])
            .args(bucket);
        for command in [&mut ours, &mut theirs] {
            assert!(
                command.status().expect("it starts").success(),
                "{command:?}"
            );
        }
    }

    fn first_process(&self) -> i32 {
        let process = self.process.as_ref().expect("booted").pid();
        children(process)[0]
    }

    /// Where its files are, while it runs.
    pub fn path(&self, file: &str) -> PathBuf {
        let root = format!("/proc/{}/root", self.first_process());
        Path::new(&root).join(file.trim_start_matches('/'))
    }

    /// Takes its power.
    pub fn kill(&mut self) {
        kill(Pid::from_raw(self.first_process()), Signal::SIGKILL).expect("killed");
        let mut process = self.process.take().expect("booted");
        process.end();
        let device = self.device();
        eventually("its line is gone", || !ip(&["link", "show", &device]));
    }

    /// Cuts its line, or mends it.
    pub fn set_line(&self, state: &str) {
        assert!(ip(&["link", "set", &self.device(), state]));
    }

    /// Every file that it has, and each one's mode, size, time and target; those that a login writes left out, and those of
    /// the kernel, which [`Self::expect_untuned`] looks at.
    pub fn files(&self) -> Vec<String> {
        let root = self.path("/");
        let mut found = Vec::new();
        for place in ["", "run", "tmp"] {
            let output = Command::new("find")
                .arg(root.join(place))
                .args(["-xdev", "(", "-type", "d", "-printf", "%P/ %m\n", ")", "-o"])
                .args(["-printf", "%P %m %s %T@ %l\n"])
                .output()
                .expect("find");
            let text = String::from_utf8(output.stdout).expect("names");
            let by_logins = [
                "motd.dynamic",
                "var/log/lastlog",
                "var/log/wtmp",
                "sshd.pid",
                "sshd",
            ];
            let lines = text.lines().filter(|line| {
                let name = line.split(' ').next().unwrap_or_default();
                let name = name.trim_end_matches('/');
                let is_kernel = name.starts_with(KERNEL_ROOT.trim_start_matches('/'));
                !by_logins.contains(&name) && (!is_kernel || name.ends_with("/faasm-bench"))
            });
            found.extend(lines.map(|line| format!("{place}/{line}")));
        }
        found.sort();
        found
    }

    /// What its kernel of files says is what was found.
    #[track_caller]
    pub fn expect_untuned(&self) {
        for (file, found) in KERNEL {
            let now = fs::read_to_string(self.path(&format!("{KERNEL_ROOT}/{file}")));
            assert_eq!(now.expect("a setting").trim(), found, "{file}");
        }
        let state = format!("{KERNEL_ROOT}/run/faasm-bench/tune.json");
        assert!(!self.path(&state).exists(), "{} is tuned", self.name);
    }

    pub fn is_tuned(&self) -> bool {
        self.path(&format!("{KERNEL_ROOT}/run/faasm-bench/tune.json"))
            .exists()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill();
        }
    }
}

fn ip(arguments: &[&str]) -> bool {
    let mut ip = Command::new("ip");
    ip.args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    ip.status().is_ok_and(|status| status.success())
}
