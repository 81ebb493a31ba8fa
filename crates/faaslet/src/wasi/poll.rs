//! `poll_oneoff`, in which a program sleeps: never past its deadline, never past an interrupt.

use std::time::{Duration, Instant};

use measure_core::base::interrupt;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::time::{ClockId, clock_gettime};
use wasmtime::{Caller, Linker};

use super::memory::{Answer, Errno, Guest, code};
use crate::error::Stop;
use crate::host::Host;

/// Sizes of WASI's structs.
const SUBSCRIPTION_BYTES: u32 = 48;
const EVENT_BYTES: u32 = 32;
const SUBSCRIPTIONS_MAX: u32 = 1024;
/// How often a sleep looks whether it was interrupted.
const SLICE: Duration = Duration::from_millis(50);

pub(super) const NAME: &str = "poll_oneoff";

pub(super) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.func_wrap(
        wasm_interface::WASI,
        NAME,
        |mut c: Caller<'_, Host>, subs: u32, events: u32, n: u32, count_at: u32| match poll_oneoff(
            &mut c, subs, events, n, count_at,
        ) {
            Ok(answer) => {
                c.data().watch.in_time()?;
                Ok(code(answer))
            }
            Err(stop) => Err(wasmtime::Error::from(stop)),
        },
    )?;
    Ok(())
}

/// One subscription: what to say when it fires, and when it does.
struct Subscription {
    userdata: u64,
    kind: u8,
    when: When,
}

#[derive(Clone, Copy, PartialEq)]
enum When {
    At(Instant),
    Input,
    Now,
}

fn poll_oneoff(
    c: &mut Caller<'_, Host>,
    subs: u32,
    events: u32,
    n: u32,
    count_at: u32,
) -> Result<Answer, Stop> {
    let begun = Instant::now();
    let read = Guest::from_caller(c).and_then(|mut guest| {
        if n == 0 || n > SUBSCRIPTIONS_MAX {
            return Err(Errno::Inval);
        }
        (0..n)
            .map(|i| subscription(&mut guest, begun, offset(subs, i, SUBSCRIPTION_BYTES)?))
            .collect::<Answer<Vec<_>>>()
    });
    let subscriptions = match read {
        Ok(subscriptions) => subscriptions,
        Err(errno) => return Ok(Err(errno)),
    };
    let ready = until_ready(c.data(), &subscriptions)?;
    let answer = Guest::from_caller(c).and_then(|mut guest| {
        for (i, subscription) in (0_u32..).zip(&ready) {
            let mut event = [0_u8; EVENT_BYTES as usize];
            event[..8].copy_from_slice(&subscription.userdata.to_le_bytes());
            event[10] = subscription.kind;
            guest.write(offset(events, i, EVENT_BYTES)?, &event)?;
        }
        guest.write_u32(count_at, u32::try_from(ready.len()).unwrap_or(0))
    });
    Ok(answer)
}

/// Waits until some of `subscriptions` have fired, and returns these.
fn until_ready<'a>(
    host: &Host,
    subscriptions: &'a [Subscription],
) -> Result<Vec<&'a Subscription>, Stop> {
    loop {
        let input = host.stdin.as_ref().is_none_or(|stdin| {
            let mut fds = [PollFd::new(stdin.fd(), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::ZERO) != Ok(0)
        });
        let now = Instant::now();
        let fired = |s: &&Subscription| match s.when {
            When::Now => true,
            When::At(at) => at <= now,
            When::Input => input,
        };
        let ready: Vec<&Subscription> = subscriptions.iter().filter(fired).collect();
        if !ready.is_empty() {
            return Ok(ready);
        }
        let remaining = host.watch.remaining();
        if remaining.is_zero() {
            return Err(Stop::Deadline);
        }
        if interrupt::received().is_some() {
            return Err(Stop::Interrupted);
        }
        let next = subscriptions
            .iter()
            .filter_map(|s| match s.when {
                When::At(at) => Some(at - now),
                _ => None,
            })
            .fold(SLICE.min(remaining), Duration::min);
        // Input alone is looked at every millisecond: a program that polls it is rare.
        let step = if subscriptions.iter().any(|s| s.when == When::Input) {
            next.min(Duration::from_millis(1))
        } else {
            next
        };
        std::thread::sleep(step);
    }
}

fn offset(base: u32, i: u32, size: u32) -> Answer<u32> {
    i.checked_mul(size)
        .and_then(|offset| base.checked_add(offset))
        .ok_or(Errno::Fault)
}

/// `struct subscription`: userdata, tag, then for a clock its id, timeout, precision and flags, for a
/// stream its descriptor.
fn subscription(guest: &mut Guest<'_>, now: Instant, at: u32) -> Answer<Subscription> {
    const ABSOLUTE: u8 = 1;
    let field = |offset| at.checked_add(offset).ok_or(Errno::Fault);
    guest.bytes(at, SUBSCRIPTION_BYTES)?;
    let kind = guest.bytes(field(8)?, 1)?[0];
    let when = match kind {
        0 => {
            let id = guest.read_u32(field(16)?)?;
            let timeout = Duration::from_nanos(guest.read_u64(field(24)?)?);
            let absolute = guest.bytes(field(40)?, 1)?[0] & ABSOLUTE != 0;
            let wait = if absolute {
                timeout.saturating_sub(clock_now(id)?)
            } else {
                timeout
            };
            // Centuries away is as good as never: the deadline comes first.
            now.checked_add(wait)
                .map_or_else(|| When::At(now + Duration::from_secs(1 << 31)), When::At)
        }
        1 if guest.read_u32(field(16)?)? == 0 => When::Input,
        // Files and output are always ready.
        1 | 2 => When::Now,
        _ => return Err(Errno::Inval),
    };
    Ok(Subscription {
        userdata: guest.read_u64(at)?,
        kind,
        when,
    })
}

fn clock_now(id: u32) -> Answer<Duration> {
    let id = match id {
        0 => ClockId::CLOCK_REALTIME,
        1 => ClockId::CLOCK_MONOTONIC,
        _ => return Err(Errno::Inval),
    };
    clock_gettime(id).map(Duration::from).map_err(|_| Errno::Io)
}
