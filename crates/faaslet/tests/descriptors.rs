//! Descriptors: how many, of what kinds, and what may be put in the place of what.

mod script;

use std::fs;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use script::place::{Place, creating, reading};
use script::{Answer, Arg, Open, Script, WRITE, errno};

#[test]
fn a_program_has_a_limit_of_descriptors_and_none_are_left_open() {
    let place = Place::new();
    // Beside the streams and the directory.
    let room = 1024 - 4;
    let mut script = Script::default();
    for _ in 0..room {
        script.open(0, b"f", reading(), 1);
    }
    script.open(0, b"new", creating(), 2);
    script.open(0, b"f", reading(), 2);
    let [at, len] = script.text(b"new");
    // Nothing was created for which there was no number.
    script.call(
        "path_filestat_get",
        &[Arg::Fd(0), Arg::I(0), at, len, Arg::Out],
        Answer::Nothing,
    );
    script.call("fd_close", &[Arg::Fd(1)], Answer::Nothing);
    script.open(0, b"f", reading(), 2);
    for _ in 0..2 {
        // Each start has as many, so those of the one before are gone.
        let errors: Vec<u32> = place
            .run(&script, 1, true)
            .iter()
            .map(|said| said.errno)
            .collect();
        assert!(errors[..room].iter().all(|&errno| errno == 0));
        assert_eq!(
            errors[room..],
            [errno::MFILE, errno::MFILE, errno::NOENT, 0, 0]
        );
    }
}

#[test]
fn a_pipe_in_a_directory_keeps_nobody_waiting() {
    let place = Place::new();
    mkfifo(&place.granted().join("pipe"), Mode::S_IRWXU).expect("a pipe");
    let mut script = Script::default();
    script.open(0, b"pipe", reading(), 1);
    script.read(1, 10, None);
    script.call("fd_close", &[Arg::Fd(1)], Answer::Nothing);
    script.open(
        0,
        b"pipe",
        Open {
            rights: WRITE,
            ..reading()
        },
        2,
    );
    let [at, len] = script.text(b"pipe");
    script.call(
        "path_filestat_get",
        &[Arg::Fd(0), Arg::I(0), at, len, Arg::Out],
        Answer::Bytes(64),
    );
    let said = place.run(&script, 1, true);
    let errors: Vec<u32> = said.iter().map(|said| said.errno).collect();
    assert_eq!(errors, [0, errno::SPIPE, 0, errno::NXIO, 0]);
    assert_eq!(said[4].bytes[16], 0, "preview 1 has no kind for it");
}

#[test]
fn a_file_takes_the_place_of_a_stream_and_appends() {
    let place = Place::new();
    let mut script = Script::default();
    script.open(
        0,
        b"new",
        Open {
            fdflags: 1,
            ..creating()
        },
        1,
    );
    script.write(1, b"one ", None);
    script.write(1, b"two ", Some(0));
    script.call(
        "fd_seek",
        &[Arg::Fd(1), Arg::L(1), Arg::I(0), Arg::Out],
        Answer::Bytes(8),
    );
    script.write(1, b"three", None);
    script.call("fd_tell", &[Arg::Fd(1), Arg::Out], Answer::Bytes(8));
    // Its number is standard error's from here on.
    script.call("fd_renumber", &[Arg::Fd(1), Arg::I(2)], Answer::Nothing);
    script.write(1, b"closed", None);
    script.call("fd_fdstat_get", &[Arg::I(2), Arg::Out], Answer::Bytes(24));
    script.call("fd_close", &[Arg::I(0)], Answer::Nothing);
    script.call("fd_close", &[Arg::I(0)], Answer::Nothing);
    let said = place.run(&script, 1, true);
    let errors: Vec<u32> = said.iter().map(|said| said.errno).collect();
    assert_eq!(
        errors,
        [0, 0, 0, 0, 0, 0, 0, errno::BADF, 0, 0, errno::BADF]
    );
    assert_eq!(said[5].bytes, 13_u64.to_le_bytes());
    assert_eq!(said[8].bytes[..3], [4, 0, 1], "a regular file that appends");
    assert_eq!(
        fs::read_to_string(place.granted().join("new")).expect("a file"),
        "one two three"
    );
}
