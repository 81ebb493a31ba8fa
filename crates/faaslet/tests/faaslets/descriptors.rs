//! Descriptors: how many, of what kinds, and what may be put in the place of what.

use std::fs;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::script::Arg::{Fd, I, L, Out};
use crate::script::place::{Place, creating, errors, reading};
use crate::script::{Answer, Open, Script, WRITE, errno};

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
    script.call("path_filestat_get", &[Fd(0), I(0), at, len, Out]);
    script.close(Fd(1));
    script.open(0, b"f", reading(), 2);
    for _ in 0..2 {
        // Each start has as many, so those of the one before are gone.
        let errors = errors(&place.run(&script, 1, true));
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
    script.close(Fd(1));
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
    script.ask(
        "path_filestat_get",
        &[Fd(0), I(0), at, len, Out],
        Answer::Bytes(64),
    );
    let said = place.run(&script, 1, true);
    assert_eq!(errors(&said), [0, errno::SPIPE, 0, errno::NXIO, 0]);
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
    script.ask("fd_seek", &[Fd(1), L(1), I(0), Out], Answer::Bytes(8));
    script.write(1, b"three", None);
    script.ask("fd_tell", &[Fd(1), Out], Answer::Bytes(8));
    // Its number is standard error's from here on.
    script.call("fd_renumber", &[Fd(1), I(2)]);
    script.write(1, b"closed", None);
    script.ask("fd_fdstat_get", &[I(2), Out], Answer::Bytes(24));
    script.close(I(0));
    script.close(I(0));
    let said = place.run(&script, 1, true);
    assert_eq!(
        errors(&said),
        [0, 0, 0, 0, 0, 0, 0, errno::BADF, 0, 0, errno::BADF]
    );
    assert_eq!(said[5].bytes, 13_u64.to_le_bytes());
    assert_eq!(said[8].bytes[..3], [4, 0, 1], "a regular file that appends");
    assert_eq!(
        fs::read_to_string(place.granted().join("new")).expect("a file"),
        "one two three"
    );
}

#[test]
fn writing_nothing_still_takes_a_file_that_may_be_written_to() {
    let place = Place::new();
    let mut script = Script::default();
    script.open(0, b"f", reading(), 1);
    script.write(1, b"", None);
    script.write(1, b"", Some(46));
    script.open(0, b"new", creating(), 2);
    script.write(2, b"", None);
    assert_eq!(
        errors(&place.run(&script, 1, true)),
        [0, errno::BADF, errno::BADF, 0, 0]
    );
}
