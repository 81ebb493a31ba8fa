/*
 * What compilers call for many bytes at once, as code of this library: a handler of signals can leave it at any instruction, and
 * nothing of another library runs at the end of a module's stack.
 */
#include <stddef.h>
#include <stdint.h>

/* Or the loops below would become calls of what they are. */
#if defined(__has_attribute) && __has_attribute(no_builtin)
#define LOOPS __attribute__((no_builtin))
#else
#define LOOPS __attribute__((optimize("no-tree-loop-distribute-patterns")))
#endif

typedef uint8_t vector __attribute__((vector_size(32), aligned(1), may_alias));
typedef uint64_t word __attribute__((aligned(1), may_alias));

/* From so many bytes on the processor's own loop is as fast as any. */
enum { LONG_BYTES = 1024 };

LOOPS void *memset(void *to, int value, size_t n)
{
    uint8_t *at = to, byte = (uint8_t)value;
#ifdef __x86_64__
    if (n >= LONG_BYTES) {
        __asm__ volatile("rep stosb" : "+D"(at), "+c"(n) : "a"(byte) : "memory");
        return to;
    }
#endif
    const vector bytes = (vector){0} + byte;
    for (; n >= sizeof(vector); at += sizeof(vector), n -= sizeof(vector))
        *(vector *)at = bytes;
    for (; n >= sizeof(word); at += sizeof(word), n -= sizeof(word))
        *(word *)at = byte * 0x0101010101010101u;
    for (; n; at++, n--)
        *at = byte;
    return to;
}

LOOPS void *memmove(void *to, const void *from, size_t n)
{
    uint8_t *at = to;
    const uint8_t *source = from;
    if ((uintptr_t)at - (uintptr_t)source < n) {
        while (n >= sizeof(vector)) {
            n -= sizeof(vector);
            *(vector *)(at + n) = *(const vector *)(source + n);
        }
        while (n >= sizeof(word)) {
            n -= sizeof(word);
            *(word *)(at + n) = *(const word *)(source + n);
        }
        while (n) {
            n--;
            at[n] = source[n];
        }
        return to;
    }
#ifdef __x86_64__
    if (n >= LONG_BYTES) {
        __asm__ volatile("rep movsb" : "+D"(at), "+S"(source), "+c"(n) : : "memory");
        return to;
    }
#endif
    for (; n >= sizeof(vector); at += sizeof(vector), source += sizeof(vector), n -= sizeof(vector))
        *(vector *)at = *(const vector *)source;
    for (; n >= sizeof(word); at += sizeof(word), source += sizeof(word), n -= sizeof(word))
        *(word *)at = *(const word *)source;
    for (; n; at++, source++, n--)
        *at = *source;
    return to;
}

LOOPS void *memcpy(void *restrict to, const void *restrict from, size_t n) { return memmove(to, from, n); }
