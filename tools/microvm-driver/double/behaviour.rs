//! Ways to misbehave.

use std::fs;
use std::path::Path;
use std::process::exit;
use std::thread;
use std::time::Duration;

/// What it does wrong, and where: `spawn`, `connect`, or the path of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Behaviour {
    /// Nothing.
    #[default]
    Good,
    /// `dies-at PLACE`: ends with exit code 7 when it gets there.
    DiesAt(Place),
    /// `dies-after PLACE`: ends so when it has answered.
    DiesAfter(Place),
    /// `hangs-at PLACE`: does nothing more from there on.
    HangsAt(Place),
    /// `halves-answers`: sends half of an answer and nothing more.
    HalvesAnswers,
    /// `talks-nonsense`: answers with what is no HTTP.
    TalksNonsense,
    /// `refuses PLACE`: answers with a fault.
    Refuses(Place),
    /// `mute-guest`: the guest never says a word.
    MuteGuest,
    /// `strange-guest`: the guest says something else and ends.
    StrangeGuest,
    /// `lingers`: the guest ends and the monitor does not.
    Lingers,
    /// `fails`: the guest ends and the monitor reports a failure.
    Fails,
}

/// A place, by the end of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(&'static str);

const PLACES: [&str; 7] = [
    "spawn",
    "connect",
    "/machine-config",
    "/boot-source",
    "/actions",
    "/snapshot/load",
    "/snapshot/create",
];

impl Behaviour {
    /// What the file `behaviour` in the directory of `program` says; good if there is none.
    pub fn beside(program: &Path) -> Self {
        let text = fs::read_to_string(program.with_file_name("behaviour")).unwrap_or_default();
        let mut words = text.split_whitespace();
        let (what, place) = (words.next().unwrap_or_default(), words.next());
        let place = || {
            let known = PLACES.into_iter().find(|known| Some(*known) == place);
            Place(known.unwrap_or_else(|| unknown(&text)))
        };
        match what {
            "" => Self::Good,
            "dies-at" => Self::DiesAt(place()),
            "dies-after" => Self::DiesAfter(place()),
            "hangs-at" => Self::HangsAt(place()),
            "halves-answers" => Self::HalvesAnswers,
            "talks-nonsense" => Self::TalksNonsense,
            "refuses" => Self::Refuses(place()),
            "mute-guest" => Self::MuteGuest,
            "strange-guest" => Self::StrangeGuest,
            "lingers" => Self::Lingers,
            "fails" => Self::Fails,
            _ => unknown(&text),
        }
    }

    /// Arrives at `place`.
    pub fn at(self, place: &str) {
        match self {
            Self::DiesAt(Place(there)) if there == place => die(),
            Self::HangsAt(Place(there)) if there == place => hang(),
            _ => {}
        }
    }

    /// Has answered at `place`.
    pub fn after(self, place: &str) {
        if matches!(self, Self::DiesAfter(Place(there)) if there == place) {
            die();
        }
    }

    /// Whether a call of `path` is to be refused.
    pub fn refuses(self, path: &str) -> bool {
        matches!(self, Self::Refuses(Place(there)) if there == path)
    }

    /// An answer as it is sent.
    pub fn spoil(self, answer: Vec<u8>) -> Vec<u8> {
        match self {
            Self::HalvesAnswers => answer[..answer.len() / 2].to_vec(),
            Self::TalksNonsense => b"220 mail.example ESMTP\r\n\r\n".to_vec(),
            _ => answer,
        }
    }
}

fn die() -> ! {
    println!("a fault on purpose");
    exit(7)
}

/// Does nothing more, for longer than any test waits.
pub fn hang() -> ! {
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}

fn unknown(text: &str) -> ! {
    eprintln!("unknown behaviour: {text}");
    exit(99)
}
