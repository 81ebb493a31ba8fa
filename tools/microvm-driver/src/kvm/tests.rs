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
    let why = match lacks() {
        Some((why, _)) => why,
        None => match trial(false) {
            Ok(()) => {
                let kvm = Kvm::new().expect("it was there");
                return Some((kvm, Watchdog::start(1).expect("a watchdog")));
            }
            Err(error) => error.to_string(),
        },
    };
    driver_testkit::skipped(test, why);
    None
}

#[test]
fn guests_that_misbehave_are_told_apart() {
    let Some((kvm, watchdog)) = kvm("guests that misbehave") else {
        return;
    };
    let limit = Duration::from_secs(60);
    let cases: [(&[u8], &str); 5] = [
        (&HALT, "halts"),
        (&TRIPLE_FAULT, "triple fault"),
        (&RESET_ONLY, "without its hello"),
        (&OTHER_PORT, "IoOut(128"),
        (&OTHER_WORD, "in place of `hello`"),
    ];
    for (code, words) in cases {
        let error = cold(&kvm, code, &watchdog, 0, limit).expect_err("fails");
        assert!(
            matches!(&error, DriverError::StartFailed(e) if e.contains(words)),
            "{error}"
        );
    }
    let long = vec![0; MEMORY_BYTES];
    let error = cold(&kvm, &long, &watchdog, 0, limit).expect_err("too long");
    assert!(
        error.to_string().contains("beyond the guest's memory"),
        "{error}"
    );
}

#[test]
fn a_guest_that_never_ends_is_given_up_on() {
    let Some((kvm, watchdog)) = kvm("a guest that never ends") else {
        return;
    };
    let limit = Duration::from_millis(50);
    let error = cold(&kvm, &FOR_EVER, &watchdog, 0, limit).expect_err("given up");
    assert!(error.to_string().contains("--timeout"), "{error}");
    // The next start is not hit by what was meant for this one.
    let code = Function::Noop.code(false);
    cold(&kvm, &code, &watchdog, 0, Duration::from_secs(60)).expect("a start");
}

#[test]
fn a_machine_is_used_again_after_a_guest_that_never_ends() {
    let Some((kvm, watchdog)) = kvm("a machine used again") else {
        return;
    };
    let mut shell = Shell::new(&kvm).expect("a machine");
    let limit = Duration::from_millis(50);
    pooled(&mut shell, &FOR_EVER, &watchdog, 0, limit).expect_err("given up");
    let code = Function::Noop.code(false);
    for _ in 0..3 {
        pooled(&mut shell, &code, &watchdog, 0, Duration::from_secs(60)).expect("a start");
    }
}
