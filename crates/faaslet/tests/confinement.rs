//! No path leads a program out of the directories that it was given, and none that it may only read is changed.

mod script;

use std::os::unix::fs::symlink;

use script::place::{Place, contains_secret, creating, everything, reading, reads};
use script::{
    Answer, Arg, CREATE, DIRECTORY, EXCLUSIVE, FOLLOW, Open, Script, TRUNCATE, WRITE, errno,
};

/// Every way to change what `path` names or what is there.
fn changes(script: &mut Script, path: &[u8]) {
    let [at, len] = script.text(path);
    let [other, other_len] = script.text(b"other");
    for oflags in [0, CREATE, CREATE | EXCLUSIVE, TRUNCATE] {
        script.open(
            0,
            path,
            Open {
                oflags,
                rights: WRITE,
                ..reading()
            },
            1,
        );
        script.write(1, b"changed", None);
    }
    for name in [
        "path_create_directory",
        "path_unlink_file",
        "path_remove_directory",
    ] {
        script.call(name, &[Arg::Fd(0), at, len], Answer::Nothing);
    }
    let zero = Arg::L(0);
    for lookup in [0, FOLLOW] {
        let args = [
            Arg::Fd(0),
            Arg::I(lookup),
            at,
            len,
            zero,
            zero,
            Arg::I(0b0101),
        ];
        script.call("path_filestat_set_times", &args, Answer::Nothing);
    }
    script.call(
        "path_symlink",
        &[other, other_len, Arg::Fd(0), at, len],
        Answer::Nothing,
    );
    for ((from, from_len), (to, to_len)) in [
        ((at, len), (other, other_len)),
        ((other, other_len), (at, len)),
    ] {
        script.call(
            "path_rename",
            &[Arg::Fd(0), from, from_len, Arg::Fd(0), to, to_len],
            Answer::Nothing,
        );
        let args = [
            Arg::Fd(0),
            Arg::I(0),
            from,
            from_len,
            Arg::Fd(0),
            to,
            to_len,
        ];
        script.call("path_link", &args, Answer::Nothing);
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
        assert_eq!(said[0].errno, errno::PERM, "{path}");
        assert_eq!(said[3].errno, errno::PERM, "{path}");
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
    script.call(
        "path_symlink",
        &[text, text_len, Arg::Fd(0), new, new_len],
        Answer::Nothing,
    );
    let args = [
        Arg::Fd(0),
        absolute,
        absolute_len,
        Arg::I(0x8000),
        Arg::I(1000),
        Arg::Used,
    ];
    script.call("path_readlink", &args, Answer::Buffer);
    // One that leads up may be right where it is moved to.
    script.call(
        "path_symlink",
        &[up, up_len, Arg::Fd(0), new, new_len],
        Answer::Nothing,
    );
    reads(&mut script, b"new/f");
    let said = place.run(&script, 1, true);
    let errors: Vec<u32> = said.iter().map(|said| said.errno).collect();
    assert_eq!(
        errors,
        [
            errno::PERM,
            errno::PERM,
            0,
            errno::PERM,
            errno::BADF,
            errno::BADF,
            errno::PERM
        ]
    );
}

#[test]
fn strange_paths_are_errors_and_no_more() {
    let place = Place::new();
    let long = "x/".repeat(3000);
    let name = "x".repeat(300);
    let cases: [(&[u8], u32); 8] = [
        (b"", errno::NOENT),
        (b"f\0", errno::INVAL),
        (b"\xff\xfe", 25),
        (long.as_bytes(), errno::NAMETOOLONG),
        (name.as_bytes(), errno::NAMETOOLONG),
        (b"f/", errno::NOTDIR),
        (b"f/f", errno::NOTDIR),
        (b"nothing", errno::NOENT),
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
    let fault = 21;
    let calls: [(&str, &[Arg], u32); 9] = [
        (
            "path_filestat_get",
            &[Arg::Fd(0), Arg::I(0), Arg::I(u32::MAX), len, Arg::Out],
            fault,
        ),
        (
            "path_filestat_get",
            &[Arg::Fd(0), Arg::I(0), at, Arg::I(u32::MAX), Arg::Out],
            fault,
        ),
        (
            "path_filestat_get",
            &[Arg::Fd(0), Arg::I(0), at, len, Arg::I(u32::MAX - 3)],
            fault,
        ),
        (
            "path_filestat_get",
            &[Arg::Fd(0), Arg::I(2), at, len, Arg::Out],
            errno::INVAL,
        ),
        (
            "fd_readdir",
            &[
                Arg::Fd(0),
                Arg::I(1),
                Arg::I(u32::MAX),
                Arg::L(0),
                Arg::Used,
            ],
            fault,
        ),
        (
            "fd_readdir",
            &[
                Arg::Fd(0),
                Arg::I(0x8000),
                Arg::I(100),
                Arg::L(u64::MAX),
                Arg::I(u32::MAX),
            ],
            errno::INVAL,
        ),
        (
            "fd_filestat_get",
            &[Arg::I(u32::MAX), Arg::Out],
            errno::BADF,
        ),
        (
            "fd_prestat_dir_name",
            &[Arg::Fd(0), Arg::Out, Arg::I(0)],
            errno::NAMETOOLONG,
        ),
        (
            "path_open",
            &[
                Arg::Fd(0),
                Arg::I(0),
                at,
                len,
                Arg::I(1 << 9),
                Arg::L(0),
                Arg::L(0),
                Arg::I(0),
                Arg::Slot(1),
            ],
            errno::INVAL,
        ),
    ];
    for (name, args, _) in calls {
        script.call(name, args, Answer::Nothing);
    }
    let errors: Vec<u32> = place
        .run(&script, 1, true)
        .iter()
        .map(|said| said.errno)
        .collect();
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
            assert!(
                [errno::PERM, errno::BADF].contains(&said.errno),
                "{path}: {said:?}"
            );
        }
    }
    // Through descriptors that are open, of a file and of a directory that was opened below.
    let mut script = Script::default();
    script.open(0, b"f", reading(), 1);
    script.open(
        0,
        b"d",
        Open {
            oflags: DIRECTORY,
            ..reading()
        },
        2,
    );
    script.open(2, b"f", creating(), 3);
    script.write(1, b"changed", None);
    script.write(1, b"changed", Some(0));
    script.call(
        "fd_fdstat_set_flags",
        &[Arg::Fd(1), Arg::I(1)],
        Answer::Nothing,
    );
    script.write(1, b"changed", None);
    script.call(
        "fd_filestat_set_size",
        &[Arg::Fd(1), Arg::L(0)],
        Answer::Nothing,
    );
    script.call(
        "fd_allocate",
        &[Arg::Fd(1), Arg::L(0), Arg::L(100)],
        Answer::Nothing,
    );
    for slot in [0, 1, 2] {
        let args = [Arg::Fd(slot), Arg::L(0), Arg::L(0), Arg::I(0b0101)];
        script.call("fd_filestat_set_times", &args, Answer::Nothing);
    }
    let [at, len] = script.text(b"f");
    script.call("path_unlink_file", &[Arg::Fd(2), at, len], Answer::Nothing);
    let errors: Vec<u32> = place
        .run(&script, 1, false)
        .iter()
        .map(|said| said.errno)
        .collect();
    let (perm, badf) = (errno::PERM, errno::BADF);
    assert_eq!(
        errors,
        [
            0, 0, perm, badf, badf, 0, badf, perm, 58, perm, perm, perm, perm
        ]
    );
    assert_eq!(everything(&place.granted()), before);
}
