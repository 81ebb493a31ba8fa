/*
 * Relaxed multiply-adds (see relaxed.rs), before what wasm2c wrote, so that they are inlined there. Here, and nowhere else, the compiler
 * may fuse.
 */
#pragma once
#include "simde/wasm/simd128.h"

#include "module.h"

typedef float f32x4 __attribute__((vector_size(16)));
typedef double f64x2 __attribute__((vector_size(16)));

#define MULTIPLY_ADD(name, type, sign)                                                                                   \
    extern inline __attribute__((gnu_inline, always_inline)) simde_v128_t w2c_wasi__snapshot__preview1_relaxed_##name(   \
        struct w2c_wasi__snapshot__preview1 *unused, simde_v128_t a, simde_v128_t b, simde_v128_t c)                     \
    {                                                                                                                    \
        _Pragma("clang fp contract(fast)") return (simde_v128_t)((type)c sign(type) a * (type)b);                        \
    }
MULTIPLY_ADD(f32x4_madd, f32x4, +)
MULTIPLY_ADD(f32x4_nmadd, f32x4, -)
MULTIPLY_ADD(f64x2_madd, f64x2, +)
MULTIPLY_ADD(f64x2_nmadd, f64x2, -)
