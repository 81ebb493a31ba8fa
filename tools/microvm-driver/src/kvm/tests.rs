use super::*;

/// `jmp` to itself.
const FOR_EVER: [u8; 2] = [0xeb, 0xfe];
/// `hlt`
const HALT: [u8; 1] = [0xf4];
/// `ud2`, with no handler for it.
const TRIPLE_FAULT: [u8; 2] = [0x0f, 0x0b];
/// `mov al, 0xfe; out 0x64, al`: a reset without a hello.
const RESET_ONLY: [u8; 4] = [0xb0, 0xfe, 0xe6, 0x64];
/// `out 0x80, al`: a port that nobody answers.
const OTHER_PORT: [u8; 2] = [0xe6, 0x80];
/// `mov dx, 0x3f8; mov al, 10; out dx, al`: an empty line.
const OTHER_WORD: [u8; 7] = [0x66, 0xba, 0xf8, 0x03, 0xb0, b'\n', 0xee];

fn kvm(test: &str) -> Option<(Kvm, Watchdog)> {
    if let Probe::Unavailable { why, .. } = FlatRung::new(false, &Options::default()).probe() {
        driver_testkit::skipped(test, why);
        return None;
    }
    let kvm = Kvm::new().expect("it was there");
    Some((kvm, Watchdog::start(1).expect("a watchdog")))
}

fn start<'a>(code: &'a [u8], watchdog: &'a Watchdog, limit: Duration) -> Start<'a> {
    Start {
        code,
        watchdog,
        worker: 0,
        timeout: limit,
    }
}

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

#[test]
fn guests_that_misbehave_are_told_apart() {
    let Some((kvm, watchdog)) = kvm("guests that misbehave") else {
        return;
    };
    let cases: [(&[u8], &str); 6] = [
        (&HALT, "halts"),
        (&TRIPLE_FAULT, "triple fault"),
        (&RESET_ONLY, "without its hello"),
        (&OTHER_PORT, "IoOut(128"),
        (&OTHER_WORD, "in place of `hello`"),
        (&[0; MEMORY_BYTES], "beyond the guest's memory"),
    ];
    for (code, words) in cases {
        let outcome = start(code, &watchdog, LONG).cold(&kvm);
        let error = outcome.expect_err("fails");
        assert!(error.to_string().contains(words), "{error}");
        let is_the_guests = matches!(error, DriverError::StartFailed(_));
        assert_eq!(is_the_guests, code.len() < MEMORY_BYTES, "{error}");
    }
}

#[test]
fn a_guest_that_never_ends_is_given_up_on() {
    let Some((kvm, watchdog)) = kvm("a guest that never ends") else {
        return;
    };
    let outcome = start(&FOR_EVER, &watchdog, SHORT).cold(&kvm);
    let error = outcome.expect_err("given up").to_string();
    assert!(error.contains("--timeout"), "{error}");
    // The next start is not hit by what was meant for this one.
    let code = Function::Noop.code(false);
    start(&code, &watchdog, LONG).cold(&kvm).expect("a start");
}

#[test]
fn a_machine_is_used_again_after_a_guest_that_never_ends() {
    let Some((kvm, watchdog)) = kvm("a machine used again") else {
        return;
    };
    let mut shell = Shell::new(&kvm).expect("a machine");
    let endless = start(&FOR_EVER, &watchdog, SHORT);
    endless.pooled(&mut shell).expect_err("given up");
    let code = Function::Noop.code(false);
    for _ in 0..3 {
        let start = start(&code, &watchdog, LONG);
        start.pooled(&mut shell).expect("a start");
    }
}
