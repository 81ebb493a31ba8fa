//! Files in which the kernel describes the host, and what more than one sampler reads out of them.

mod fact_error;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use procfs::FromBufRead;

pub use fact_error::FactError;

/// Where the files are: the root directory, or a made-up one in tests.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    pub(crate) root: PathBuf,
}

impl Host {
    pub(crate) fn real() -> Self {
        Self {
            root: PathBuf::from("/"),
        }
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The file's text, trimmed.
    pub(crate) fn text(&self, path: &str) -> Result<String, FactError> {
        let path_below_root = self.path(path);
        let path = path.to_owned();
        match fs::read_to_string(path_below_root) {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(FactError::NoFile(path)),
            Err(cause) => Err(FactError::Read { path, cause }),
        }
    }

    pub(crate) fn number(&self, path: &str) -> Result<u64, FactError> {
        let text = self.text(path)?;
        text.parse().map_err(|_| FactError::no_number(path, &text))
    }

    /// A file of /proc that `procfs` knows.
    pub(crate) fn parsed<T: FromBufRead>(&self, path: &'static str) -> Result<T, FactError> {
        let text = self.text(path)?;
        T::from_buf_read(text.as_bytes()).map_err(|cause| FactError::Parse { path, cause })
    }

    /// What `parse` finds in the file, which is to hold what is `wanted`.
    pub(crate) fn found<T>(
        &self,
        path: &str,
        wanted: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, FactError> {
        let text = self.text(path)?;
        parse(&text).ok_or_else(|| FactError::Malformed {
            what: path.to_owned(),
            wanted,
            text: text.lines().next().unwrap_or_default().to_owned(),
        })
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        Path::new(&self.path(path)).exists()
    }

    pub(crate) fn cpu_ticks(&self) -> Result<CpuTicks, FactError> {
        self.found("/proc/stat", "CPU times", parse_cpu_ticks)
    }

    /// In and out since boot.
    pub(crate) fn swapped_pages(&self) -> Result<u64, FactError> {
        self.found("/proc/vmstat", "swapped pages", parse_swapped_pages)
    }
}

/// What all CPUs did since boot, in ticks of `USER_HZ`, from the first line of /proc/stat.
///
/// Not by `procfs`, to which a /proc/stat is an error as a whole where a kernel leaves out what is not needed here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CpuTicks {
    /// CPUs that are online.
    pub(crate) cpus: u64,
    /// Tasks at work, in user mode (of guests and niced ones too) and in the kernel.
    pub(crate) tasks: u64,
    /// Interrupts, of whomever's devices.
    pub(crate) interrupts: u64,
    /// Idle or waiting for I/O.
    pub(crate) idle: u64,
    /// Ready to run while the hypervisor ran something else.
    pub(crate) steal: u64,
}

/// `cpu user nice system idle iowait irq softirq steal guest guest_nice`; guest time is in user.
pub(crate) fn parse_cpu_ticks(text: &str) -> Option<CpuTicks> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line
        .split_whitespace()
        .map_while(|word| word.parse().ok())
        .collect();
    let sum = |fields: &[usize]| {
        let known = fields.iter().filter_map(|&i| ticks.get(i));
        known.fold(0_u64, |sum, &ticks| sum.saturating_add(ticks))
    };
    let is_cpu = |line: &&str| {
        line.strip_prefix("cpu")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    (ticks.len() >= 4).then(|| CpuTicks {
        cpus: text.lines().filter(is_cpu).count() as u64,
        tasks: sum(&[0, 1, 2]),
        interrupts: sum(&[5, 6]),
        idle: sum(&[3, 4]),
        steal: sum(&[7]),
    })
}

pub(crate) fn parse_swapped_pages(text: &str) -> Option<u64> {
    let field = |name: &str| {
        text.lines().find_map(|line| {
            let (key, value) = line.split_once(' ')?;
            (key == name).then(|| value.trim().parse::<u64>().ok())?
        })
    };
    Some(field("pswpin")?.saturating_add(field("pswpout")?))
}

/// The number that `file` holds and nothing else.
pub(crate) fn number_in(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A machine whose files are `files`: each line is a path and the text, ` | ` between its lines.
    pub(crate) fn made_up(files: &str) -> (tempfile::TempDir, Host) {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().to_path_buf();
        write_files(&root, files);
        (dir, Host { root })
    }

    pub(crate) fn write_files(root: &Path, files: &str) {
        for (path, text) in files
            .lines()
            .filter_map(|line| line.trim().split_once(": "))
        {
            let path = root.join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().expect("below the root")).expect("made");
            fs::write(path, text.replace(" | ", "\n") + "\n").expect("written");
        }
    }

    #[test]
    fn fields_are_summed_by_who_worked() {
        let stat = "cpu  130 1 120 1100 40 5 6 70 9 9\ncpu0 1\ncpu1 1\nctxt 4\n";
        let expected = CpuTicks {
            cpus: 2,
            tasks: 251,
            interrupts: 11,
            idle: 1140,
            steal: 70,
        };
        assert_eq!(parse_cpu_ticks(stat), Some(expected));
        // Kernels before 2.6.11 know no steal.
        let old = parse_cpu_ticks("cpu  1 2 3 4\n").expect("enough");
        assert_eq!((old.tasks, old.steal), (6, 0));
        assert_eq!(parse_cpu_ticks("cpu  1 2 3\n"), None);
    }

    #[test]
    fn swapping_is_the_sum_of_both_ways() {
        let swapped = parse_swapped_pages("pswpin 3\npswpinx 9\npswpout 4\n");
        assert_eq!(swapped, Some(7));
        assert_eq!(parse_swapped_pages("pgfault 3\n"), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "cpu [0-9 ]{0,80}|\\PC{0,80}") {
            let _ = (parse_cpu_ticks(&text), parse_swapped_pages(&text));
        }

        #[test]
        fn what_the_kernel_writes_is_what_is_read(fields in prop::collection::vec(0_u64..1 << 50, 10)) {
            let words: Vec<String> = fields.iter().map(ToString::to_string).collect();
            let ticks = parse_cpu_ticks(&format!("cpu  {}\ncpu0 0\n", words.join(" "))).expect("a line");
            prop_assert_eq!(ticks.tasks, fields[0] + fields[1] + fields[2]);
            prop_assert_eq!(ticks.idle, fields[3] + fields[4]);
            prop_assert_eq!((ticks.cpus, ticks.steal), (1, fields[7]));
        }
    }
}
