//! What the workers of an open loop and their generator know of one another: a page of memory that both processes have mapped.
//!
//! All arrivals are drawn beforehand, so a worker that has ended a start sees by the clock whether another is due, and takes it. Only one that
//! finds none needs the generator: it says here that it waits, and is woken through the pipe when an arrival comes due. So neither side
//! makes a system call for an arrival that somebody is there to take, as in a queue between two processes; and a generator that shares its CPU
//! with what is measured need not run while nobody waits.
//!
//! A worker that waits has been counted before it looks at the clock for the last time, and a generator that rests says so before it looks for the last
//! time whether somebody waits: so no arrival comes due unseen by both.

use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::ftruncate;

/// A page of any Linux that this runs on, or part of one.
const BYTES: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");

/// In a cache line of its own, so that who writes one word disturbs no reader of another.
#[repr(C, align(64))]
struct Line<T>(T);

#[repr(C)]
struct Words {
    /// When the loop begins, `CLOCK_MONOTONIC`; 0 until that has been said.
    begin_ns: Line<AtomicU64>,
    /// How many arrivals were taken: the number of the next one.
    taken: Line<AtomicU64>,
    /// Workers that wait, and that the generator has not yet sent a byte for.
    waiting: Line<AtomicU32>,
    /// 1 while the generator rests; a futex.
    resting: Line<AtomicU32>,
}

const _: () = assert!(size_of::<Words>() <= BYTES.get());

/// The mapped page.
#[derive(Debug)]
pub struct ReleasePage {
    words: NonNull<Words>,
}

// SAFETY: a mapping that lives until this is dropped, of which only atomic words are used.
unsafe impl Send for ReleasePage {}
// SAFETY: as above.
unsafe impl Sync for ReleasePage {}

impl ReleasePage {
    /// A new page, and the descriptor by which another process maps it.
    ///
    /// # Errors
    /// No descriptor or memory is to be had.
    pub fn make() -> Result<(Self, OwnedFd), Errno> {
        let fd = memfd_create(c"faasm-bench-releases", MFdFlags::MFD_CLOEXEC)?;
        ftruncate(&fd, i64::try_from(BYTES.get()).unwrap_or(i64::MAX))?;
        Ok((Self::map(&fd)?, fd))
    }

    /// The page behind `fd`, which [`ReleasePage::make`] made elsewhere.
    ///
    /// # Errors
    /// `EINVAL` if it is none, or it cannot be mapped.
    pub fn map(fd: impl AsFd) -> Result<Self, Errno> {
        let stat = fstat(&fd)?;
        let is_file = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG;
        // What is shorter would end us by a signal.
        if !is_file || usize::try_from(stat.st_size).is_ok_and(|size| size < BYTES.get()) {
            return Err(Errno::EINVAL);
        }
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at a place of the kernel's choice.
        let base = unsafe { mmap(None, BYTES, access, MapFlags::MAP_SHARED, fd, 0) }?;
        Ok(Self { words: base.cast() })
    }

    fn words(&self) -> &Words {
        // SAFETY: mapped, as large and as aligned as `Words`, for which any bytes will do.
        unsafe { self.words.as_ref() }
    }

    /// Makes ready for another loop; no worker is there yet.
    pub fn reset(&self) {
        let words = self.words();
        words.begin_ns.0.store(0, SeqCst);
        words.taken.0.store(0, SeqCst);
        words.waiting.0.store(0, SeqCst);
        words.resting.0.store(0, SeqCst);
    }

    /// Says when the loop begins, `CLOCK_MONOTONIC`.
    pub fn begin(&self, begin_ns: u64) {
        self.words().begin_ns.0.store(begin_ns, SeqCst);
    }

    /// When the loop begins, once that has been said.
    #[must_use]
    pub fn begin_ns(&self) -> Option<u64> {
        Some(self.words().begin_ns.0.load(SeqCst)).filter(|&ns| ns > 0)
    }

    /// How many arrivals were taken: the number of the next one.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.words().taken.0.load(SeqCst)
    }

    /// Takes the next arrival, if `is_due` says of its number that it may be taken.
    pub fn take_if(&self, is_due: impl Fn(u64) -> bool) -> Option<u64> {
        let next = |taken| is_due(taken).then_some(taken + 1);
        self.words().taken.0.fetch_update(SeqCst, SeqCst, next).ok()
    }

    /// A worker says that it is about to wait for a byte. What comes due from here on the generator sends one for; what came due before, the worker
    /// must look for once more.
    pub fn begin_waiting(&self) {
        self.words().waiting.0.fetch_add(1, SeqCst);
    }

    /// A worker no longer waits; `false` if a byte is on its way to it, which it has to read.
    #[must_use]
    pub fn cancel_waiting(&self) -> bool {
        let fewer = |waiting: u32| waiting.checked_sub(1);
        let waiting = &self.words().waiting.0;
        waiting.fetch_update(SeqCst, SeqCst, fewer).is_ok()
    }

    /// A worker that waits makes sure that the generator looks at the clock.
    pub fn call_generator(&self) {
        let resting = &self.words().resting.0;
        if resting.load(SeqCst) == 1 && resting.swap(0, SeqCst) == 1 {
            futex_wake(resting);
        }
    }

    /// How many workers wait.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.words().waiting.0.load(SeqCst)
    }

    /// Takes up to `most` workers from those that wait, and says how many: the generator owes each a byte.
    #[must_use]
    pub fn claim_waiting(&self, most: u32) -> u32 {
        let left = |waiting: u32| (waiting.min(most) > 0).then(|| waiting - waiting.min(most));
        let waiting = &self.words().waiting.0;
        let before = waiting.fetch_update(SeqCst, SeqCst, left);
        before.map_or(0, |waiting| waiting.min(most))
    }

    /// The generator rests until a worker waits, for `limit` at most.
    pub fn rest(&self, limit: Duration) {
        let resting = &self.words().resting.0;
        resting.store(1, SeqCst);
        if self.waiting() == 0 {
            futex_wait(resting, 1, limit);
        }
        resting.store(0, SeqCst);
    }
}

impl Drop for ReleasePage {
    fn drop(&mut self) {
        // SAFETY: the mapping that `map` made; no reference to it outlives this.
        let _ = unsafe { munmap(self.words.cast(), BYTES.get()) };
    }
}

/// Sleeps while `word` has the value `expected`, for `limit` at most; may end early.
fn futex_wait(word: &AtomicU32, expected: u32, limit: Duration) {
    let limit = libc::timespec {
        tv_sec: libc::time_t::try_from(limit.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    };
    // SAFETY: `word` and `limit` live for the call, which reads both. Whatever ends it, who called looks again.
    let _ = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT,
            expected,
            &raw const limit,
        )
    };
}

/// Wakes whoever sleeps on `word`.
fn futex_wake(word: &AtomicU32) {
    // SAFETY: `word` lives for the call, which only takes its address.
    let _ = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, 1) };
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::thread;
    use std::time::Instant;

    use super::*;

    #[test]
    fn both_mappings_are_one_page() {
        let (ours, fd) = ReleasePage::make().expect("a page");
        let theirs = ReleasePage::map(&fd).expect("the same");
        assert_eq!(theirs.begin_ns(), None);
        ours.begin(7);
        assert_eq!(theirs.begin_ns(), Some(7));
        assert_eq!(theirs.take_if(|number| number == 0), Some(0));
        assert_eq!(theirs.take_if(|number| number != 1), None);
        assert_eq!(ours.taken(), 1);
        ours.reset();
        assert_eq!((theirs.taken(), theirs.begin_ns()), (0, None));
    }

    #[test]
    fn what_is_no_page_is_refused() {
        let null = std::fs::File::open("/dev/null").expect("a device");
        assert_eq!(ReleasePage::map(&null).map(drop), Err(Errno::EINVAL));
        let short = memfd_create(c"short", MFdFlags::MFD_CLOEXEC).expect("a file");
        assert_eq!(ReleasePage::map(&short).map(drop), Err(Errno::EINVAL));
    }

    #[test]
    fn every_arrival_is_taken_once_whoever_takes_it() {
        const ARRIVALS: u64 = 100_000;
        let (page, _fd) = ReleasePage::make().expect("a page");
        let counts: Vec<AtomicUsize> = (0..ARRIVALS).map(|_| AtomicUsize::new(0)).collect();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while let Some(number) = page.take_if(|number| number < ARRIVALS) {
                        counts[usize::try_from(number).expect("small")].fetch_add(1, SeqCst);
                    }
                });
            }
        });
        assert!(counts.iter().all(|count| count.load(SeqCst) == 1));
    }

    #[test]
    fn a_worker_that_was_claimed_cannot_cancel() {
        let (page, _fd) = ReleasePage::make().expect("a page");
        page.begin_waiting();
        page.begin_waiting();
        assert_eq!(page.claim_waiting(0), 0);
        assert_eq!(page.claim_waiting(1), 1);
        assert!(page.cancel_waiting());
        assert!(!page.cancel_waiting());
        assert_eq!(page.claim_waiting(9), 0);
    }

    #[test]
    fn a_generator_that_rests_is_called() {
        let (page, _fd) = ReleasePage::make().expect("a page");
        // Nobody calls: it rests for as long as it may.
        let begun = Instant::now();
        page.rest(Duration::from_millis(20));
        assert!(begun.elapsed() >= Duration::from_millis(20));
        for _ in 0..1000 {
            thread::scope(|scope| {
                scope.spawn(|| {
                    page.begin_waiting();
                    page.call_generator();
                });
                let mut rests = 0;
                while page.waiting() == 0 {
                    page.rest(Duration::from_secs(60));
                    rests += 1;
                }
                assert!(rests < 10, "it was woken {rests} times for nothing");
            });
            assert!(page.cancel_waiting());
        }
        // Somebody waits already: it does not rest at all.
        page.begin_waiting();
        page.rest(Duration::from_secs(60));
    }
}
