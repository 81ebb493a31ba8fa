//! A slash at the end of a path, or of a link's text.

use std::os::unix::fs::symlink;

use crate::confinement::changes;
use crate::script::Arg::{Fd, I, Out, Used};
use crate::script::place::{Place, contains_secret, everything, reading};
use crate::script::{Answer, DIRECTORY, FOLLOW, Open, READ, Script};

/// RUSTSEC-2026-0269: a slash at the end, of a path or of a link's text, does not lead out.
#[test]
fn no_slash_at_the_end_leads_out() {
    let place = Place::new();
    let outside = place.outside();
    for (link, text) in [
        ("out", "../outside"),
        ("out-slash", "../outside/"),
        ("chain", "out-slash/"),
        ("file", "../outside/f/"),
        ("up", "../"),
        ("dots", "d/../../"),
        ("new", "../outside/new/"),
    ] {
        symlink(text, place.granted().join(link)).expect("a link");
    }
    let slashed = format!("{}/", outside.display());
    symlink(&slashed, place.granted().join("absolute")).expect("a link");
    let before = everything(&outside);
    let links = [
        "out",
        "out-slash",
        "chain",
        "file",
        "up",
        "dots",
        "new",
        "absolute",
    ];
    let mut paths = vec![
        slashed,
        "../".into(),
        "../outside/".into(),
        "d/../../outside/".into(),
        "//".into(),
    ];
    for link in links {
        for end in ["/", "//", "/.", "/./", "/../outside/", "/f", "/f/", "/e/"] {
            paths.push(format!("{link}{end}"));
        }
    }
    for path in &paths {
        let path = path.as_bytes();
        let mut script = Script::default();
        for (lookup, oflags) in [(FOLLOW, 0), (0, 0), (FOLLOW, DIRECTORY), (0, DIRECTORY)] {
            script.open(
                0,
                path,
                Open {
                    lookup,
                    oflags,
                    rights: READ,
                    fdflags: 0,
                },
                1,
            );
            script.read(1, 100, None);
            script.readdir(1, 0);
            script.open(1, b"f", reading(), 2);
            script.read(2, 100, None);
        }
        let [at, len] = script.text(path);
        for lookup in [0, FOLLOW] {
            let args = [Fd(0), I(lookup), at, len, Out];
            script.ask("path_filestat_get", &args, Answer::Bytes(64));
        }
        script.ask(
            "path_readlink",
            &[Fd(0), at, len, I(0x8000), I(1000), Used],
            Answer::Buffer,
        );
        let reads = place.run(&script, 1, true);
        assert!(
            !contains_secret(&reads),
            "{}",
            String::from_utf8_lossy(path)
        );
        assert!(
            reads.iter().all(|said| said.errno != 0),
            "{}: {reads:?}",
            String::from_utf8_lossy(path)
        );
        let mut script = Script::default();
        changes(&mut script, path);
        place.run(&script, 1, true);
        assert_eq!(
            everything(&outside),
            before,
            "{}",
            String::from_utf8_lossy(path)
        );
    }
}
