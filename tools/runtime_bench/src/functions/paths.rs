//! Files and directories on their way into the store, where nobody else can write to them.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use measure_core::base::files;

use super::error::FunctionError;

/// What is executed.
pub(super) const EXECUTABLE: u32 = 0o755;
/// What is read.
pub(super) const READABLE: u32 = 0o644;

/// A new directory that only we can write to, whatever the umask; those above are made too.
pub(super) fn make_dir(path: &Path) -> Result<(), FunctionError> {
    let made = DirBuilder::new()
        .recursive(true)
        .mode(EXECUTABLE)
        .create(path);
    made.map_err(FunctionError::io(path))?;
    let mode = Permissions::from_mode(EXECUTABLE);
    fs::set_permissions(path, mode).map_err(FunctionError::io(path))
}

/// Opens the regular file `path` of a user; a pipe does not block.
pub(super) fn open_file(path: &Path) -> Result<File, FunctionError> {
    files::open_file(path).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidInput => {
            FunctionError::Refused(format!("{} is no regular file", path.display()))
        }
        _ => FunctionError::io(path)(error),
    })
}

/// The text of a file.
pub(super) fn read_text(path: &Path) -> Result<String, FunctionError> {
    let mut file = open_file(path)?;
    io::read_to_string(&mut file).map_err(FunctionError::io(path))
}

/// Copies the file `from`, the new one with `mode`.
pub(super) fn copy_file(from: &Path, to: &Path, mode: u32) -> Result<(), FunctionError> {
    let mut file = open_file(from)?;
    let copied = File::create(to).and_then(|mut new| {
        io::copy(&mut file, &mut new)?;
        new.set_permissions(Permissions::from_mode(mode))?;
        new.sync_all()
    });
    copied.map_err(FunctionError::io(to))
}

/// Writes a new file of text.
pub(super) fn write_text(to: &Path, text: &str) -> Result<(), FunctionError> {
    fs::write(to, text).map_err(FunctionError::io(to))?;
    let mode = Permissions::from_mode(READABLE);
    fs::set_permissions(to, mode).map_err(FunctionError::io(to))
}

/// Copies a directory with the files and directories in it; in the place of a link to a file in it, a copy of that.
///
/// # Errors
/// There is something else in it: a link out of it, or to a directory, or a pipe or device.
pub(super) fn copy_dir(from: &Path, to: &Path) -> Result<(), FunctionError> {
    let whole = fs::canonicalize(from).map_err(FunctionError::io(from))?;
    copy_below(&whole, from, to)
}

/// Copies what lies in `from`, a directory of `whole`.
fn copy_below(whole: &Path, from: &Path, to: &Path) -> Result<(), FunctionError> {
    make_dir(to)?;
    let entries = fs::read_dir(from).map_err(FunctionError::io(from))?;
    for entry in entries {
        let entry = entry.map_err(FunctionError::io(from))?;
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(FunctionError::io(&path))?;
        if kind.is_dir() {
            copy_below(whole, &path, &to)?;
        } else if kind.is_file() || (kind.is_symlink() && leads_to_file_in(whole, &path)) {
            let meta = fs::metadata(&path).map_err(FunctionError::io(&path))?;
            let executable = meta.permissions().mode() & 0o111 != 0;
            copy_file(&path, &to, if executable { EXECUTABLE } else { READABLE })?;
        } else {
            return Err(FunctionError::Refused(format!(
                "{} is neither file nor directory nor a link to a file beside it: put the file itself there",
                path.display()
            )));
        }
    }
    Ok(())
}

fn leads_to_file_in(whole: &Path, link: &Path) -> bool {
    fs::canonicalize(link).is_ok_and(|to| to.starts_with(whole) && to.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_directories_and_links_among_them_are_copied_and_nobody_else_can_write_to_them() {
        let dir = tempfile::tempdir().expect("a directory");
        let (from, to) = (dir.path().join("fr om"), dir.path().join("t/o"));
        fs::create_dir_all(from.join("a")).expect("made");
        fs::write(from.join("a/x.sh"), "x").expect("written");
        fs::set_permissions(from.join("a/x.sh"), Permissions::from_mode(0o777)).expect("ours");
        copy_dir(&from, &to).expect("copied");
        let mode = fs::metadata(to.join("a/x.sh"))
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, EXECUTABLE);
        std::os::unix::fs::symlink("a/x.sh", from.join("inside")).expect("a link");
        copy_dir(&from, &to).expect("copied");
        let inside = fs::symlink_metadata(to.join("inside")).expect("there");
        assert!(inside.is_file());
        std::os::unix::fs::symlink("/etc/passwd", from.join("link")).expect("a link");
        let error = copy_dir(&from, &dir.path().join("other")).expect_err("refused");
        assert!(error.to_string().contains("link"), "{error}");
        nix::unistd::mkfifo(&from.join("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        let error = open_file(&from.join("pipe"))
            .expect_err("refused")
            .to_string();
        assert!(error.contains("no regular file"), "{error}");
    }
}
