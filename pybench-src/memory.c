// The C library's functions on memory in 128-bit vectors, for the columns of Python that are optimised further (docs/pybench.md).
// wasi-libc's copy words or bytes. Sizes of a few words come first: those are most of an interpreter's. Compiled with
// -fno-builtin, lest the compiler make a loop here a call of the function that it is in.
#include <stddef.h>
#include <stdint.h>
#include <wasm_simd128.h>

typedef uint16_t __attribute__((aligned(1), may_alias)) any16;
typedef uint32_t __attribute__((aligned(1), may_alias)) any32;
typedef uint64_t __attribute__((aligned(1), may_alias)) any64;

// One load of each end, overlapping, is a copy of any size between one and two of T; both come before the stores, so that source and
// destination may overlap.
#define COPY_ENDS(T)                                \
    do {                                            \
        T first = *(const T *)s;                    \
        T last = *(const T *)(s + n - sizeof(T));   \
        *(T *)d = first;                            \
        *(T *)(d + n - sizeof(T)) = last;           \
    } while (0)

static inline void copy_to_16(uint8_t *d, const uint8_t *s, size_t n)
{
    if (n >= 8) {
        COPY_ENDS(any64);
    } else if (n >= 4) {
        COPY_ENDS(any32);
    } else if (n >= 2) {
        COPY_ENDS(any16);
    } else if (n) {
        *d = *s;
    }
}

static inline void copy_to_64(uint8_t *d, const uint8_t *s, size_t n)
{
    v128_t a = wasm_v128_load(s), z = wasm_v128_load(s + n - 16);
    if (n > 32) {
        v128_t b = wasm_v128_load(s + 16), y = wasm_v128_load(s + n - 32);
        wasm_v128_store(d + 16, b);
        wasm_v128_store(d + n - 32, y);
    }
    wasm_v128_store(d, a);
    wasm_v128_store(d + n - 16, z);
}

// More than 64 bytes; the last 64 are loaded before anything is stored, for memmove.
static void copy_up(uint8_t *d, const uint8_t *s, size_t n)
{
    v128_t w = wasm_v128_load(s + n - 64), x = wasm_v128_load(s + n - 48);
    v128_t y = wasm_v128_load(s + n - 32), z = wasm_v128_load(s + n - 16);
    uint8_t *end = d + n;
    for (; (size_t)(end - d) > 64; d += 64, s += 64) {
        v128_t a = wasm_v128_load(s), b = wasm_v128_load(s + 16);
        v128_t c = wasm_v128_load(s + 32), e = wasm_v128_load(s + 48);
        wasm_v128_store(d, a);
        wasm_v128_store(d + 16, b);
        wasm_v128_store(d + 32, c);
        wasm_v128_store(d + 48, e);
    }
    wasm_v128_store(end - 64, w);
    wasm_v128_store(end - 48, x);
    wasm_v128_store(end - 32, y);
    wasm_v128_store(end - 16, z);
}

static void copy_down(uint8_t *d, const uint8_t *s, size_t n)
{
    v128_t w = wasm_v128_load(s), x = wasm_v128_load(s + 16);
    v128_t y = wasm_v128_load(s + 32), z = wasm_v128_load(s + 48);
    for (; n > 64; n -= 64) {
        const uint8_t *from = s + n - 64;
        uint8_t *to = d + n - 64;
        v128_t a = wasm_v128_load(from), b = wasm_v128_load(from + 16);
        v128_t c = wasm_v128_load(from + 32), e = wasm_v128_load(from + 48);
        wasm_v128_store(to, a);
        wasm_v128_store(to + 16, b);
        wasm_v128_store(to + 32, c);
        wasm_v128_store(to + 48, e);
    }
    wasm_v128_store(d, w);
    wasm_v128_store(d + 16, x);
    wasm_v128_store(d + 32, y);
    wasm_v128_store(d + 48, z);
}

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    if (n <= 16)
        copy_to_16(to, from, n);
    else if (n <= 64)
        copy_to_64(to, from, n);
    else
        copy_up(to, from, n);
    return to;
}

void *memmove(void *to, const void *from, size_t n)
{
    if (n <= 16)
        copy_to_16(to, from, n);
    else if (n <= 64)
        copy_to_64(to, from, n);
    else if ((uintptr_t)to - (uintptr_t)from >= n)
        copy_up(to, from, n);
    else
        copy_down(to, from, n);
    return to;
}

void *memset(void *to, int byte, size_t n)
{
    uint8_t *d = to;
    v128_t all = wasm_i8x16_splat((int8_t)byte);
    uint64_t word = (uint64_t)wasm_i64x2_extract_lane(all, 0);
    if (n >= 16) {
        uint8_t *end = d + n;
        for (; (size_t)(end - d) > 16; d += 16)
            wasm_v128_store(d, all);
        wasm_v128_store(end - 16, all);
    } else if (n >= 8) {
        *(any64 *)d = word;
        *(any64 *)(d + n - 8) = word;
    } else if (n >= 4) {
        *(any32 *)d = (uint32_t)word;
        *(any32 *)(d + n - 4) = (uint32_t)word;
    } else {
        for (; n; n--)
            *d++ = (uint8_t)byte;
    }
    return to;
}

// The difference of the first bytes that differ, of two words that do.
static inline int differ(uint64_t a, uint64_t b)
{
    int shift = __builtin_ctzll(a ^ b) & ~7;
    return (int)(a >> shift & 0xff) - (int)(b >> shift & 0xff);
}

int memcmp(const void *left, const void *right, size_t n)
{
    const uint8_t *a = left, *b = right;
    for (; n >= 16; n -= 16, a += 16, b += 16) {
        v128_t same = wasm_i8x16_eq(wasm_v128_load(a), wasm_v128_load(b));
        if (!wasm_i8x16_all_true(same)) {
            int at = __builtin_ctz(~wasm_i8x16_bitmask(same));
            return a[at] - b[at];
        }
    }
    if (n >= 8) {
        uint64_t x = *(const any64 *)a, y = *(const any64 *)b;
        if (x != y)
            return differ(x, y);
        n -= 8, a += 8, b += 8;
    }
    if (n >= 4) {
        uint32_t x = *(const any32 *)a, y = *(const any32 *)b;
        if (x != y)
            return differ(x, y);
        n -= 4, a += 4, b += 4;
    }
    for (; n; n--, a++, b++)
        if (*a != *b)
            return *a - *b;
    return 0;
}

// Whole aligned vectors are looked at: what of them lies outside of the bytes asked for is in the memory, whose end is aligned.
void *memchr(const void *from, int byte, size_t n)
{
    if (!n)
        return NULL;
    uintptr_t start = (uintptr_t)from, at = start & ~(uintptr_t)15;
    v128_t sought = wasm_i8x16_splat((int8_t)byte);
    uint32_t found = wasm_i8x16_bitmask(wasm_i8x16_eq(wasm_v128_load((const void *)at), sought));
    found = found >> (start & 15) << (start & 15);
    // Left of the bytes asked for, counted from the vector; a number below 2^32, as n is of an object.
    for (uint64_t left = (uint64_t)n + (start & 15);; left -= 16) {
        if (found) {
            unsigned index = (unsigned)__builtin_ctz(found);
            return index < left ? (void *)(at + index) : NULL;
        }
        if (left <= 16)
            return NULL;
        at += 16;
        found = wasm_i8x16_bitmask(wasm_i8x16_eq(wasm_v128_load((const void *)at), sought));
    }
}

size_t strlen(const char *text)
{
    uintptr_t start = (uintptr_t)text, at = start & ~(uintptr_t)15;
    v128_t zero = wasm_i8x16_splat(0);
    uint32_t found = wasm_i8x16_bitmask(wasm_i8x16_eq(wasm_v128_load((const void *)at), zero));
    found = found >> (start & 15) << (start & 15);
    while (!found) {
        at += 16;
        found = wasm_i8x16_bitmask(wasm_i8x16_eq(wasm_v128_load((const void *)at), zero));
    }
    return at + (unsigned)__builtin_ctz(found) - start;
}
