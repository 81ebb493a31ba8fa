//! The functions that are appended to a module.

use wasm_encoder::{BlockType, Function, InstructionSink, MemArg, ValType};

use super::Interrupted;

/// The host moves as many bytes at once, at most.
pub(super) const PIECE_BYTES: i32 = 1 << 20;
/// So few are moved by code of the module: calling and asking the host costs more.
pub(super) const LOOP_BYTES: i32 = 16 << 10;
const VECTOR_BYTES: i32 = 16;
/// The number of pages that no memory has room for.
const ASK: i32 = -1;

/// Asks the host whether the program may go on, unless that looks by itself.
pub(super) fn ask(code: &mut InstructionSink<'_>, interrupted: Interrupted) {
    if interrupted == Interrupted::BySignal {
        code.i32_const(ASK).memory_grow(0).drop();
    }
}

const BYTES: MemArg = MemArg {
    offset: 0,
    align: 0,
    memory_index: 0,
};

/// Parameters of the helpers: where to, where from (or what), how many bytes.
const TO: u32 = 0;
const FROM: u32 = 1;
const LEFT: u32 = 2;
/// A local of theirs.
const PIECE: u32 = 3;

/// `local <- local + by`, or minus.
fn step(
    code: &mut InstructionSink<'_>,
    local: u32,
    by: impl Fn(&mut InstructionSink<'_>),
    up: bool,
) {
    code.local_get(local);
    by(code);
    if up {
        code.i32_add();
    } else {
        code.i32_sub();
    }
    code.local_set(local);
}

/// Whether `local .. local + LEFT` is out of the memory's bounds.
fn beyond(code: &mut InstructionSink<'_>, local: u32) {
    code.local_get(local).i64_extend_i32_u();
    code.local_get(LEFT).i64_extend_i32_u().i64_add();
    code.memory_size(0).i64_extend_i32_u();
    code.i64_const(16).i64_shl().i64_gt_u();
}

/// `while LEFT >= at_least { body }`
fn while_left(
    code: &mut InstructionSink<'_>,
    at_least: i32,
    body: impl Fn(&mut InstructionSink<'_>),
) {
    code.block(BlockType::Empty).loop_(BlockType::Empty);
    code.local_get(LEFT).i32_const(at_least).i32_lt_u().br_if(1);
    body(code);
    code.br(0).end().end();
}

/// `PIECE <- min(LEFT, PIECE_BYTES)`
fn next_piece(code: &mut InstructionSink<'_>) {
    code.local_get(LEFT).i32_const(PIECE_BYTES);
    code.local_get(LEFT).i32_const(PIECE_BYTES).i32_lt_u();
    code.select().local_set(PIECE);
}

fn piece(code: &mut InstructionSink<'_>) {
    code.local_get(PIECE);
}

fn vector(code: &mut InstructionSink<'_>) {
    code.i32_const(VECTOR_BYTES);
}

fn byte(code: &mut InstructionSink<'_>) {
    code.i32_const(1);
}

/// Whether a copy may go upwards: it does not overwrite what it has yet to read.
fn upwards(code: &mut InstructionSink<'_>) {
    code.local_get(TO).local_get(FROM).i32_sub();
    code.local_get(LEFT).i32_ge_u();
}

/// `memory.copy`.
pub(super) fn copy(pieces: u32, interrupted: Interrupted) -> Function {
    let mut function = Function::new([]);
    let mut code = function.instructions();
    beyond(&mut code, TO);
    beyond(&mut code, FROM);
    code.i32_or().if_(BlockType::Empty);
    // It traps as it always did.
    code.local_get(TO).local_get(FROM).local_get(LEFT);
    code.memory_copy(0, 0).end();
    if interrupted == Interrupted::ByItself {
        code.local_get(TO).local_get(FROM).local_get(LEFT);
        code.call(pieces).end();
        return function;
    }
    code.local_get(LEFT).i32_const(LOOP_BYTES).i32_gt_u();
    code.if_(BlockType::Empty);
    code.local_get(TO).local_get(FROM).local_get(LEFT);
    code.call(pieces).return_().end();
    upwards(&mut code);
    code.if_(BlockType::Empty);
    while_left(&mut code, VECTOR_BYTES, |code| {
        code.local_get(TO).local_get(FROM).v128_load(BYTES);
        code.v128_store(BYTES);
        step(code, TO, vector, true);
        step(code, FROM, vector, true);
        step(code, LEFT, vector, false);
    });
    while_left(&mut code, 1, |code| {
        code.local_get(TO).local_get(FROM).i32_load8_u(BYTES);
        code.i32_store8(BYTES);
        step(code, TO, byte, true);
        step(code, FROM, byte, true);
        step(code, LEFT, byte, false);
    });
    code.return_().end();
    let at = |code: &mut InstructionSink<'_>, local: u32| {
        code.local_get(local).local_get(LEFT).i32_add();
    };
    while_left(&mut code, VECTOR_BYTES, |code| {
        step(code, LEFT, vector, false);
        at(code, TO);
        at(code, FROM);
        code.v128_load(BYTES).v128_store(BYTES);
    });
    while_left(&mut code, 1, |code| {
        step(code, LEFT, byte, false);
        at(code, TO);
        at(code, FROM);
        code.i32_load8_u(BYTES).i32_store8(BYTES);
    });
    code.end();
    function
}

/// `memory.copy` within bounds, in pieces.
pub(super) fn copy_pieces(interrupted: Interrupted) -> Function {
    let mut function = Function::new([(1, ValType::I32)]);
    let mut code = function.instructions();
    upwards(&mut code);
    code.if_(BlockType::Empty);
    while_left(&mut code, 1, |code| {
        next_piece(code);
        code.local_get(TO).local_get(FROM).local_get(PIECE);
        code.memory_copy(0, 0);
        ask(code, interrupted);
        step(code, TO, piece, true);
        step(code, FROM, piece, true);
        step(code, LEFT, piece, false);
    });
    code.return_().end();
    while_left(&mut code, 1, |code| {
        next_piece(code);
        step(code, LEFT, piece, false);
        code.local_get(TO).local_get(LEFT).i32_add();
        code.local_get(FROM).local_get(LEFT).i32_add();
        code.local_get(PIECE).memory_copy(0, 0);
        ask(code, interrupted);
    });
    code.end();
    function
}

/// `memory.fill` within bounds, in pieces.
fn fill_pieces(code: &mut InstructionSink<'_>, interrupted: Interrupted) {
    while_left(code, 1, |code| {
        next_piece(code);
        code.local_get(TO).local_get(FROM).local_get(PIECE);
        code.memory_fill(0);
        ask(code, interrupted);
        step(code, TO, piece, true);
        step(code, LEFT, piece, false);
    });
}

/// `memory.fill`.
pub(super) fn fill(interrupted: Interrupted) -> Function {
    let filled = 4;
    let mut function = Function::new([(1, ValType::I32), (1, ValType::V128)]);
    let mut code = function.instructions();
    beyond(&mut code, TO);
    code.if_(BlockType::Empty);
    code.local_get(TO).local_get(FROM).local_get(LEFT);
    code.memory_fill(0).end();
    if interrupted == Interrupted::ByItself {
        fill_pieces(&mut code, interrupted);
        code.end();
        return function;
    }
    code.local_get(LEFT).i32_const(LOOP_BYTES).i32_gt_u();
    code.if_(BlockType::Empty);
    fill_pieces(&mut code, interrupted);
    code.end();
    code.local_get(FROM).i8x16_splat().local_set(filled);
    while_left(&mut code, VECTOR_BYTES, |code| {
        code.local_get(TO).local_get(filled).v128_store(BYTES);
        step(code, TO, vector, true);
        step(code, LEFT, vector, false);
    });
    while_left(&mut code, 1, |code| {
        code.local_get(TO).local_get(FROM).i32_store8(BYTES);
        step(code, TO, byte, true);
        step(code, LEFT, byte, false);
    });
    code.end();
    function
}

/// `memory.grow`.
pub(super) fn grow() -> Function {
    let mut function = Function::new([]);
    let mut code = function.instructions();
    code.local_get(0).if_(BlockType::Result(ValType::I32));
    code.local_get(0).memory_grow(0);
    code.else_().memory_size(0).end().end();
    function
}

/// `memory.init` of a segment. One of no bytes at the end traps if all of it would.
pub(super) fn init(segment: u32, interrupted: Interrupted) -> Function {
    let mut function = Function::new([(1, ValType::I32)]);
    let mut code = function.instructions();
    beyond(&mut code, TO);
    // No segment is so long that the sum does not fit.
    code.local_get(FROM).local_get(LEFT).i32_add();
    code.local_get(FROM).i32_lt_u().i32_or();
    code.if_(BlockType::Empty);
    code.local_get(TO).local_get(FROM).local_get(LEFT);
    code.memory_init(0, segment).end();
    code.i32_const(0);
    code.local_get(FROM).local_get(LEFT).i32_add();
    code.i32_const(0).memory_init(0, segment);
    while_left(&mut code, 1, |code| {
        next_piece(code);
        code.local_get(TO).local_get(FROM).local_get(PIECE);
        code.memory_init(0, segment);
        ask(code, interrupted);
        step(code, TO, piece, true);
        step(code, FROM, piece, true);
        step(code, LEFT, piece, false);
    });
    ask(&mut code, interrupted);
    code.end();
    function
}
