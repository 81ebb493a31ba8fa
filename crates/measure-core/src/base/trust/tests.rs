use std::os::unix::fs::{PermissionsExt, chown, symlink};

use tempfile::TempDir;

use super::*;

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
}

/// `a/b/native`, all of it ours alone.
fn place() -> (TempDir, PathBuf) {
    let top = tempfile::tempdir().expect("a directory");
    let dir = top.path().join("a/b");
    fs::create_dir_all(&dir).expect("directories");
    let native = dir.join("native");
    fs::write(&native, "code").expect("a file");
    for (path, bits) in [
        (&native, 0o755),
        (&dir, 0o755),
        (&top.path().join("a"), 0o755),
    ] {
        mode(path, bits);
    }
    (top, native)
}

fn refused(path: &Path) -> String {
    let error = open(path).map(|found| found.path).expect_err("refused");
    assert!(!error.is_not_found(), "{error}");
    error.to_string()
}

#[test]
fn what_only_the_trusted_can_write_is_opened_by_its_own_name() {
    let (top, native) = place();
    assert_eq!(read(&native).expect("trusted"), b"code");
    symlink("a", top.path().join("link")).expect("a link");
    symlink(&native, top.path().join("a/direct")).expect("a link");
    for way in [
        "link/b/native",
        "a/direct",
        "a/b/../b/./native",
        "link/../a/direct",
    ] {
        let found = open(&top.path().join(way)).expect("trusted");
        let whole = native.canonicalize().expect("there");
        assert_eq!(
            (found.path(), found.read().expect("read")),
            (&*whole, b"code".to_vec()),
            "{way}"
        );
    }
    let missing = open(&top.path().join("a/nothing")).expect_err("missing");
    assert!(missing.is_not_found());
    let through = open(&native.join("below")).expect_err("no directory");
    assert!(through.is_not_found());
    symlink("loop", top.path().join("loop")).expect("a link");
    assert!(refused(&top.path().join("loop")).contains("symbolic links"));
}

#[test]
fn what_others_can_write_is_refused_by_name_with_what_mends_it() {
    let (top, native) = place();
    let (b, a) = (native.parent().expect("b"), top.path().join("a"));
    symlink("a", top.path().join("link")).expect("a link");
    for (path, bits, whom) in [
        (&*native, 0o775, "its group can"),
        (&native, 0o757, "others can"),
        (b, 0o777, "its group and others can"),
        (&a, 0o775, "its group can"),
    ] {
        let before = fs::metadata(path).expect("there").mode();
        mode(path, bits);
        for way in [&native, &top.path().join("link/b/native")] {
            let said = refused(way);
            let whole = path.canonicalize().expect("there");
            let named = format!("run code from {}: {whom}", whole.display());
            assert!(said.contains(&named), "{said}");
            assert!(
                said.ends_with(&format!("chmod go-w {}", whole.display())),
                "{said}"
            );
        }
        mode(path, before);
    }
    // Nobody renames what is another's there.
    mode(&a, 0o1777);
    open(&native).expect("trusted");
    // But a file that anyone can write to stays one.
    mode(&native, 0o1777);
    refused(&native);
}

#[test]
fn what_belongs_to_others_is_refused_links_too() {
    if !geteuid().is_root() {
        return eprintln!("SKIPPED: files of others: needs root to give files away");
    }
    let (top, native) = place();
    let link = top.path().join("link");
    symlink(&native, &link).expect("a link");
    open(&link).expect("trusted");
    std::os::unix::fs::lchown(&link, Some(4711), None).expect("given away");
    let said = refused(&link);
    assert!(said.contains("link: it belongs to user 4711"), "{said}");
    assert!(said.contains("chown -h 0"), "{said}");
    for path in [native.parent().expect("b"), &native] {
        chown(path, Some(4711), None).expect("given away");
        let said = refused(&native);
        assert!(
            said.contains(&format!("{}: it belongs", path.display())),
            "{said}"
        );
        chown(path, Some(0), None).expect("taken back");
    }
}
