//! Functions of strangers that try to outlive their deadline or to end their host: none does, by either engine.
//!
//! `FAASLET_HOSTILE_STARTS=10000` has the suite started as often and prints how late starts ended; see docs/faaslet.md.

mod components;
mod interrupt;
mod modules;
mod overrun;
mod places;
mod stack;

use std::time::Duration;

use faaslet::function::Untimed;
use faaslet::{EngineSettings, Grants, StartError};

use crate::common::{IS_THOROUGH, engine_with, function};

/// Where a tail call moves its frame, the frame pointer is a value of the program's.
#[test]
fn a_tail_call_is_interrupted_at_any_instruction() {
    let rings: [&[usize]; 4] = [&[40, 2, 25], &[1, 60], &[7, 8, 9], &[33]];
    let (deadlines, step) = if IS_THOROUGH { (120, 37) } else { (24, 187) };
    for (i, parameters) in (0_u64..deadlines).zip(rings.iter().cycle()) {
        let engine = engine_with(EngineSettings {
            instances: 2,
            deadline: Duration::from_micros(1 + i * step % 1500),
            tick: Duration::from_millis(1),
            ..EngineSettings::default()
        });
        let module = format!(
            "(module (memory (export \"memory\") 1) {})",
            modules::ring(parameters)
        );
        let ring = function(&engine, module, Grants::default());
        for _ in 0..20 {
            let result = ring.start(&mut Untimed);
            assert!(matches!(result, Err(StartError::Deadline(_))), "{result:?}");
        }
    }
}
