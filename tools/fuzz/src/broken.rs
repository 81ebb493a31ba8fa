//! A target that goes wrong in every way there is: what this tool makes of each is tested with it.

use std::thread;
use std::time::Duration;

use crate::target::{Counts, Finding, Target, count};

/// Its cases, by seed.
pub struct Broken;

impl Target for Broken {
    fn try_case(&mut self, seed: u64, counts: &mut Counts) -> Result<(), Finding> {
        match seed {
            1 => Err("a difference".to_owned()),
            2 => std::panic::panic_any("a panic"),
            3 => std::process::abort(),
            4 => {
                thread::sleep(Duration::from_secs(3600));
                Ok(())
            }
            5 => {
                let bytes = std::hint::black_box(vec![1_u8; 64 << 30]);
                Err(format!("it got {} bytes", bytes.len()))
            }
            6 => {
                eprintln!("last words\x1b[2J");
                std::process::exit(7)
            }
            _ => {
                count(counts, "fine", 1);
                Ok(())
            }
        }
    }
}
