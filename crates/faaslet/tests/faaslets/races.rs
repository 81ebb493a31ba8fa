//! What others do to the directories meanwhile leads no program out of them.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::script::Arg::{Fd, I, L};
use crate::script::place::{
    Place, SECRET, contains_secret, creating, directory, everything, reading, reads,
};
use crate::script::{Said, Script};

/// Has the other thread stop, also when this one fails.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What the calls of `script` answer while another thread does `meanwhile`, until it is told to stop.
fn run_while(
    place: &Place,
    script: &Script,
    meanwhile: impl FnOnce(&AtomicBool) + Send,
) -> Vec<Said> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| meanwhile(&stop));
        let _stops = Stops(&stop);
        place.run(script, 1500, true)
    })
}

/// Swaps `granted/d` and a link to `outside` in its place until told to stop.
fn swap(place: &Place, stop: &AtomicBool) -> u32 {
    let at = |name: &str| place.root.join(name);
    symlink(place.outside(), at("link")).expect("a link");
    let mut swaps = 0;
    let rename = |from: &str, to: &str| fs::rename(at(from), at(to)).expect("renamed");
    while !stop.load(Ordering::Relaxed) {
        rename("granted/d", "away");
        rename("link", "granted/d");
        rename("granted/d", "link");
        rename("away", "granted/d");
        swaps += 1;
    }
    swaps
}

#[test]
fn a_directory_that_becomes_a_link_meanwhile_does_not_lead_out() {
    let place = Place::new();
    let outside = everything(&place.outside());
    let mut script = Script::default();
    for path in [&b"d/f"[..], b"d/e/f", b"d/../d/e/../f"] {
        reads(&mut script, path);
    }
    script.open(0, b"d/made", creating(), 2);
    script.write(2, b"changed", None);
    script.close(Fd(2));
    script.at("path_unlink_file", 0, b"d/made");
    script.at("path_create_directory", 0, b"d/dir");
    script.at("path_remove_directory", 0, b"d/dir");
    // Entries of the directory itself: the kernel is given a name alone and must not follow it.
    reads(&mut script, b"d");
    let [d, d_len] = script.text(b"d");
    script.open(0, b"d", directory(), 3);
    script.readdir(3, 0);
    script.close(Fd(3));
    let args = [Fd(0), I(0), d, d_len, L(0), L(0), I(0b0101)];
    script.call("path_filestat_set_times", &args);
    let mut swaps = 0;
    let said = run_while(&place, &script, |stop| swaps = swap(&place, stop));
    assert!(swaps > 0);
    assert!(!contains_secret(&said));
    // A size is enough to give it away.
    let size = u64::try_from(SECRET.len()).expect("small").to_le_bytes();
    let is_secret = |said: &&Said| said.bytes.len() == 64 && said.bytes[32..40] == size;
    assert_eq!(said.iter().find(is_secret), None);
    assert_eq!(everything(&place.outside()), outside);
}

#[test]
fn a_directory_that_was_moved_out_leads_nowhere_from_there() {
    let place = Place::new();
    // Opened once it stays what it is, but what is above it is out of reach.
    let mut script = Script::default();
    script.open(0, b"d/e", directory(), 1);
    script.open(1, b"../f", reading(), 2);
    script.open(1, b"../../outside/f", reading(), 2);
    script.read(2, 100, None);
    script.close(Fd(1));
    let said = run_while(&place, &script, |stop| {
        let (here, there) = (place.granted().join("d/e"), place.outside().join("moved"));
        while !stop.load(Ordering::Relaxed) {
            fs::rename(&here, &there).expect("renamed");
            fs::rename(&there, &here).expect("renamed");
        }
    });
    for said in said.chunks(5) {
        for said in &said[1..4] {
            assert_ne!(said.errno, 0);
        }
    }
}
