//! No path leads a program out of the directories that it was given, and none that it may only read is changed.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::script::Arg::{self, Fd, I, L, Out, Slot, Used};
use crate::script::errno::{BADF, FAULT, ILSEQ, INVAL, NAMETOOLONG, NOENT, NOTDIR, NOTSUP, PERM};
use crate::script::place::{
    Place, contains_secret, creating, directory, errors, everything, reading, reads,
};
use crate::script::{
    Answer, CREATE, DIRECTORY, EXCLUSIVE, FOLLOW, Open, READ, Script, TRUNCATE, WRITE,
};
use faaslet::Grants;

/// Every way to change what `path` names or what is there.
pub fn changes(script: &mut Script, path: &[u8]) {
    let [at, len] = script.text(path);
    let [other, other_len] = script.text(b"other");
    for oflags in [0, CREATE, CREATE | EXCLUSIVE, TRUNCATE] {
        let how = Open {
            oflags,
            rights: WRITE,
            ..reading()
        };
        script.open(0, path, how, 1);
        script.write(1, b"changed", None);
    }
    for name in [
        "path_create_directory",
        "path_unlink_file",
        "path_remove_directory",
    ] {
        script.at(name, 0, path);
    }
    let zero = L(0);
    for lookup in [0, FOLLOW] {
        let args = [Fd(0), I(lookup), at, len, zero, zero, I(0b0101)];
        script.call("path_filestat_set_times", &args);
    }
    script.call("path_symlink", &[other, other_len, Fd(0), at, len]);
    for ((from, from_len), (to, to_len)) in [
        ((at, len), (other, other_len)),
        ((other, other_len), (at, len)),
    ] {
        script.call("path_rename", &[Fd(0), from, from_len, Fd(0), to, to_len]);
        let args = [Fd(0), I(0), from, from_len, Fd(0), to, to_len];
        script.call("path_link", &args);
    }
}

#[test]
fn no_path_and_no_link_leads_out() {
    let place = Place::new();
    let links = [
        ("relative", "../outside"),
        ("deep", "d/../../outside"),
        ("chain", "relative"),
        ("longer", "d/e/../../chain"),
        ("up", ".."),
    ];
    for (link, text) in links {
        symlink(text, place.granted().join(link)).expect("a link");
    }
    symlink(place.outside(), place.granted().join("absolute")).expect("a link");
    symlink(place.outside().join("f"), place.granted().join("file")).expect("a link");
    symlink("/proc/self/root", place.granted().join("magic")).expect("a link");
    let outside = place.outside().join("f");
    let absolute = outside.to_str().expect("text");
    let magic = format!("magic{absolute}");
    let paths = [
        "../outside/f",
        "d/../../outside/f",
        "./../outside/f",
        "d/e/../../../outside/f",
        "relative/f",
        "deep/f",
        "chain/f",
        "longer/f",
        "up/outside/f",
        "absolute/f",
        "file",
        absolute,
        &magic,
        "/",
        "..",
        "d/../..",
        "up",
        "absolute",
    ];
    let before = everything(&place.outside());
    for path in paths {
        let mut script = Script::default();
        reads(&mut script, path.as_bytes());
        let said = place.run(&script, 1, true);
        assert_eq!(said[0].errno, PERM, "{path}");
        assert_eq!(said[3].errno, PERM, "{path}");
        assert!(!contains_secret(&said), "{path}");
        // What ends in a link may be renamed or removed itself; then nothing leads out any more.
        if !["file", "up", "absolute"].contains(&path) {
            let mut script = Script::default();
            changes(&mut script, path.as_bytes());
            place.run(&script, 1, true);
        }
        assert_eq!(everything(&place.outside()), before, "{path}");
    }
}

#[test]
fn links_that_lead_out_cannot_be_made_or_read_out() {
    let place = Place::new();
    symlink(place.outside(), place.granted().join("absolute")).expect("a link");
    let mut script = Script::default();
    let [text, text_len] = script.text(b"/etc/passwd");
    let [up, up_len] = script.text(b"../outside");
    let [new, new_len] = script.text(b"new");
    let [absolute, absolute_len] = script.text(b"absolute");
    script.call("path_symlink", &[text, text_len, Fd(0), new, new_len]);
    let args = [Fd(0), absolute, absolute_len, I(0x8000), I(1000), Used];
    script.ask("path_readlink", &args, Answer::Buffer);
    // One that leads up may be right where it is moved to.
    script.call("path_symlink", &[up, up_len, Fd(0), new, new_len]);
    reads(&mut script, b"new/f");
    let said = place.run(&script, 1, true);
    assert_eq!(errors(&said), [PERM, PERM, 0, PERM, BADF, BADF, PERM]);
}

#[test]
fn strange_paths_are_errors_and_no_more() {
    let place = Place::new();
    let long = "x/".repeat(3000);
    let name = "x".repeat(300);
    let cases: [(&[u8], u32); 8] = [
        (b"", NOENT),
        (b"f\0", INVAL),
        (b"\xff\xfe", ILSEQ),
        (long.as_bytes(), NAMETOOLONG),
        (name.as_bytes(), NAMETOOLONG),
        (b"f/", NOTDIR),
        (b"f/f", NOTDIR),
        (b"nothing", NOENT),
    ];
    for (path, expected) in cases {
        let mut script = Script::default();
        reads(&mut script, path);
        let said = place.run(&script, 1, true);
        assert_eq!(
            (said[0].errno, said[3].errno),
            (expected, expected),
            "{:?}",
            String::from_utf8_lossy(path)
        );
    }
    // Addresses and lengths that are not the program's, flags that there are none of.
    let mut script = Script::default();
    let [at, len] = script.text(b"f");
    let (stat, list) = ("path_filestat_get", "fd_readdir");
    let calls: [(&str, &[Arg], u32); 9] = [
        (stat, &[Fd(0), I(0), I(u32::MAX), len, Out], FAULT),
        (stat, &[Fd(0), I(0), at, I(u32::MAX), Out], FAULT),
        (stat, &[Fd(0), I(0), at, len, I(u32::MAX - 3)], FAULT),
        (stat, &[Fd(0), I(2), at, len, Out], INVAL),
        (list, &[Fd(0), I(1), I(u32::MAX), L(0), Used], FAULT),
        (
            list,
            &[Fd(0), I(0x8000), I(100), L(u64::MAX), I(u32::MAX)],
            INVAL,
        ),
        ("fd_filestat_get", &[I(u32::MAX), Out], BADF),
        ("fd_prestat_dir_name", &[Fd(0), Out, I(0)], NAMETOOLONG),
        (
            "path_open",
            &[Fd(0), I(0), at, len, I(1 << 9), L(0), L(0), I(0), Slot(1)],
            INVAL,
        ),
    ];
    for (name, args, _) in calls {
        script.call(name, args);
    }
    let errors = errors(&place.run(&script, 1, true));
    assert_eq!(errors, calls.map(|(.., expected)| expected));
}

#[test]
fn what_may_only_be_read_is_not_changed() {
    let place = Place::new();
    symlink("f", place.granted().join("l")).expect("a link");
    let before = everything(&place.granted());
    for path in ["f", "l", "d", "d/f", "d/new", "new", "other"] {
        let mut script = Script::default();
        changes(&mut script, path.as_bytes());
        for said in place.run(&script, 1, false) {
            // What could not be opened cannot be written to.
            assert!([PERM, BADF].contains(&said.errno), "{path}: {said:?}");
        }
    }
    // Through descriptors that are open, of a file and of a directory that was opened below.
    let mut script = Script::default();
    script.open(0, b"f", reading(), 1);
    script.open(0, b"d", directory(), 2);
    script.open(2, b"f", creating(), 3);
    script.write(1, b"changed", None);
    script.write(1, b"changed", Some(0));
    script.call("fd_fdstat_set_flags", &[Fd(1), I(1)]);
    script.write(1, b"changed", None);
    script.call("fd_filestat_set_size", &[Fd(1), L(0)]);
    script.call("fd_allocate", &[Fd(1), L(0), L(100)]);
    for slot in [0, 1, 2] {
        let args = [Fd(slot), L(0), L(0), I(0b0101)];
        script.call("fd_filestat_set_times", &args);
    }
    script.at("path_unlink_file", 2, b"f");
    let errors = errors(&place.run(&script, 1, false));
    assert_eq!(
        errors,
        [
            0, 0, PERM, BADF, BADF, 0, BADF, PERM, NOTSUP, PERM, PERM, PERM, PERM
        ]
    );
    assert_eq!(everything(&place.granted()), before);
}

/// GHSA-2r75-cxrj-cmph: to truncate is to write, whatever rights are asked for with it.
#[test]
fn a_file_that_may_only_be_read_is_not_truncated() {
    let place = Place::new();
    symlink("f", place.granted().join("l")).expect("a link");
    let before = everything(&place.granted());
    let mut script = Script::default();
    script.open(0, b"d", directory(), 1);
    for (dir, path) in [
        (0, "f"),
        (0, "l"),
        (0, "d/f"),
        (1, "f"),
        (1, "../f"),
        (0, "f/"),
    ] {
        for oflags in [
            TRUNCATE,
            TRUNCATE | CREATE,
            TRUNCATE | CREATE | EXCLUSIVE,
            TRUNCATE | DIRECTORY,
        ] {
            for rights in [0, READ, WRITE, READ | WRITE, (1 << 30) - 1] {
                for (lookup, fdflags) in [(FOLLOW, 0), (0, 0), (FOLLOW, 1)] {
                    let how = Open {
                        lookup,
                        oflags,
                        rights,
                        fdflags,
                    };
                    script.open(dir, path.as_bytes(), how, 2);
                    script.call("fd_filestat_set_size", &[Fd(2), L(0)]);
                }
            }
        }
    }
    let said = place.run(&script, 1, false);
    assert_eq!(said[0].errno, 0);
    for said in &said[1..] {
        assert!([PERM, BADF, INVAL].contains(&said.errno), "{said:?}");
    }
    assert_eq!(everything(&place.granted()), before);
}

/// GHSA-4ch3-9j33-3pmj: a file that may only be read does not become another that may be written to, by a link, a rename, or the
/// number of a descriptor.
#[test]
fn what_may_only_be_read_is_not_linked_or_renamed_to_where_it_may_be_written_to() {
    let place = Place::new();
    let writable = place.root.join("writable");
    fs::create_dir_all(writable.join("d")).expect("directories");
    fs::write(writable.join("own"), "own").expect("a file");
    symlink("../granted/f", writable.join("link")).expect("a link");
    let (before, own) = (everything(&place.granted()), everything(&writable));
    let mut script = Script::default();
    script.open(0, b"d", directory(), 2);
    script.open(1, b"d", directory(), 3);
    let [stolen, stolen_len] = script.text(b"stolen");
    for (from, path) in [
        (0, "f"),
        (0, "d/f"),
        (0, "d"),
        (2, "f"),
        (2, "e"),
        (2, "../f"),
    ] {
        let [at, len] = script.text(path.as_bytes());
        for (one, other) in [(from, 1), (from, 3)] {
            for lookup in [0, FOLLOW] {
                let args = [Fd(one), I(lookup), at, len, Fd(other), stolen, stolen_len];
                script.call("path_link", &args);
            }
            script.call(
                "path_rename",
                &[Fd(one), at, len, Fd(other), stolen, stolen_len],
            );
            // Nor does what is its own take the place of what is not.
            let args = [Fd(other), stolen, stolen_len, Fd(one), at, len];
            script.call("path_rename", &args);
        }
    }
    for path in ["stolen", "d/stolen", "link"] {
        script.open(
            1,
            path.as_bytes(),
            Open {
                oflags: 0,
                rights: WRITE,
                ..reading()
            },
            4,
        );
        script.write(4, b"changed", None);
    }
    // Under the number of the one that may be written to, it is what it was.
    script.call("fd_renumber", &[Fd(0), Fd(1)]);
    script.open(1, b"f", creating(), 4);
    script.at("path_unlink_file", 1, b"f");
    let grants = Grants::default()
        .with_dir(place.granted(), "/read", false)
        .with_dir(&writable, "/write", true);
    let said = place.run_with(&script, 1, grants);
    let ended = said.len() - 3;
    assert_eq!([said[0].errno, said[1].errno, said[ended].errno], [0; 3]);
    for said in said[2..ended].iter().chain(&said[ended + 1..]) {
        assert!([PERM, BADF, NOENT].contains(&said.errno), "{said:?}");
    }
    assert_eq!(everything(&place.granted()), before);
    assert_eq!(everything(&writable), own);
}

/// Where the kernel has no `openat2`, our own code does what it would.
#[test]
fn and_none_without_openat2() {
    const AGAIN: &str = "FAASM_BENCH_TEST_WITHOUT_OPENAT2";
    if std::env::var_os(AGAIN).is_some() {
        // SAFETY: it fails before it looks at its arguments.
        let answer = unsafe { libc::syscall(libc::SYS_openat2, -1, 0, 0, 0) };
        let why = std::io::Error::last_os_error().raw_os_error();
        assert_eq!((answer, why), (-1, Some(libc::ENOSYS)), "the filter holds");
        return;
    }
    let mut tests = Command::new(std::env::current_exe().expect("this program"));
    tests.args(["confinement::", "slashes::"]).env(AGAIN, "1");
    // SAFETY: between fork and exec, nothing but two system calls.
    unsafe { tests.pre_exec(forbid_openat2) };
    let ran = match tests.output() {
        Ok(ran) => ran,
        Err(why) => {
            return eprintln!("SKIPPED: files without openat2: no filter of system calls: {why}");
        }
    };
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(
        ran.status.success() && said.contains("test result: ok"),
        "{said}"
    );
}

/// From here on this thread's calls of `openat2` fail as before Linux 5.6.
fn forbid_openat2() -> std::io::Result<()> {
    // Load the call's number; if it is this one, ENOSYS, else let it pass (linux/bpf_common.h).
    let number = u32::try_from(libc::SYS_openat2).unwrap_or(u32::MAX);
    let enosys = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut steps = [
        step(0x20, 0, 0, 0),
        step(0x15, 0, 1, number),
        step(0x06, 0, 0, enosys),
        step(0x06, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog {
        len: 4,
        filter: steps.as_mut_ptr(),
    };
    // SAFETY: the filter is whole and outlives the call.
    let done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const filter,
            ) == 0
    };
    if done {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error())
    }
}
