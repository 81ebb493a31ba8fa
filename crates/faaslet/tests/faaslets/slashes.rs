//! A slash at the end of a path, or of a link's text.

use std::os::unix::fs::symlink;

use crate::confinement::changes;
use crate::script::Arg::{Fd, I, Out, Used};
use crate::script::place::{Place, contains_secret, everything, reading};
use crate::script::{Answer, DIRECTORY, FOLLOW, Open, READ, Script};

const LINKS: [(&str, &str); 7] = [
    ("out", "../outside"),
    ("out-slash", "../outside/"),
    ("chain", "out-slash/"),
    ("file", "../outside/f/"),
    ("up", "../"),
    ("dots", "d/../../"),
    ("new", "../outside/new/"),
];

/// RUSTSEC-2026-0269: a slash at the end, of a path or of a link's text, does not lead out.
#[test]
fn no_slash_at_the_end_leads_out() {
    let place = Place::new();
    let outside = place.outside();
    let slashed = format!("{}/", outside.display());
    for (link, text) in LINKS.into_iter().chain([("absolute", &*slashed)]) {
        symlink(text, place.granted().join(link)).expect("a link");
    }
    let before = everything(&outside);
    let ways_out = ["../", "../outside/", "d/../../outside/", "//"];
    let mut paths: Vec<String> = ways_out.map(str::to_owned).into();
    paths.push(slashed.clone());
    for link in LINKS.map(|(link, _)| link).into_iter().chain(["absolute"]) {
        for end in ["/", "//", "/.", "/./", "/../outside/", "/f", "/f/", "/e/"] {
            paths.push(format!("{link}{end}"));
        }
    }
    for path in &paths {
        let reads = place.run(&all_reads(path.as_bytes()), 1, true);
        assert!(!contains_secret(&reads), "{path}");
        assert!(
            reads.iter().all(|said| said.errno != 0),
            "{path}: {reads:?}"
        );
        let mut script = Script::default();
        changes(&mut script, path.as_bytes());
        place.run(&script, 1, true);
        assert_eq!(everything(&outside), before, "{path}");
    }
}

/// Every call that reads what lies at `path`, or below it.
fn all_reads(path: &[u8]) -> Script {
    let mut script = Script::default();
    for (lookup, oflags) in [(FOLLOW, 0), (0, 0), (FOLLOW, DIRECTORY), (0, DIRECTORY)] {
        let open = Open {
            lookup,
            oflags,
            rights: READ,
            fdflags: 0,
        };
        script.open(0, path, open, 1);
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
    let args = [Fd(0), at, len, I(0x8000), I(1000), Used];
    script.ask("path_readlink", &args, Answer::Buffer);
    script
}
