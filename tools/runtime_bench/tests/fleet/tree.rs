//! The Debian system that all hosts of these tests begin as: made by debootstrap once, kept below `build/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use measure_core::base::home;
use measure_core::base::lock::FileLock;

/// What a server has, and docker. Changed, the tree is made anew.
const PACKAGES: &str = "openssh-server,python3,docker.io,iptables";
/// Downloaded into the tree's cache and not installed: a host finds it without a network.
pub const AT_HAND: &str = "bubblewrap";
/// As long as a slow mirror may take.
const PATIENCE: Duration = Duration::from_secs(900);

/// The tree's root directory.
///
/// # Errors
/// Why there is none.
pub fn debian() -> Result<PathBuf, String> {
    let dir = home::root().join("fleet");
    fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let dir = fs::canonicalize(&dir).map_err(|e| e.to_string())?;
    let _lock = FileLock::take(&dir.join("debian.lock"), PATIENCE).map_err(|e| e.to_string())?;
    let (tree, made_of) = (dir.join("debian"), dir.join("debian.packages"));
    let wanted = format!("{PACKAGES} {AT_HAND}");
    if fs::read_to_string(&made_of).is_ok_and(|packages| packages == wanted) {
        return Ok(tree);
    }
    let said = |e: std::io::Error| e.to_string();
    let new = dir.join("debian.new");
    for stale in [&tree, &new] {
        if stale.exists() {
            fs::remove_dir_all(stale).map_err(said)?;
        }
    }
    let mut make = Command::new("debootstrap");
    make.args(["--variant=minbase", "--include", PACKAGES, "bookworm"]);
    well(make.arg(&new))?;
    // A mirror that needs more than a name to be found is this host's affair.
    for file in ["etc/resolv.conf", "etc/hosts"] {
        let _ = fs::copy(Path::new("/").join(file), new.join(file));
    }
    let apt = "apt-get -q update && apt-get -q install --download-only --no-install-recommends -y";
    let mut fetch = Command::new("chroot");
    fetch
        .arg(&new)
        .args(["sh", "-c", &format!("{apt} {AT_HAND}")]);
    well(&mut fetch)?;
    fs::rename(&new, &tree).map_err(said)?;
    fs::write(&made_of, wanted).map_err(said)?;
    Ok(tree)
}

fn well(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|e| format!("{name}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let last = |output: &Output| {
        let text =
            String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned();
        text.lines().last().unwrap_or_default().to_owned()
    };
    Err(format!("{name} failed: {}", last(&output)))
}
