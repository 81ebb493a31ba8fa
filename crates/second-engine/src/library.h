/* What a library of a module and its loader agree on, as abi.rs states it, which writes abi.h. */
#pragma once
#include <stdint.h>

#include "abi.h"

/* One start. */
struct faaslet_start {
    void *context;
    /* Calls import number `import`; its arguments lie in `values`, where its result is put. 0 if the program may go on. */
    int32_t (*call)(void *context, uint32_t import, uint64_t *values);
    /* Grows the memory by so many pages of 64 KiB, in place; how many it had before, -1, or GROW_STOPPED if the program may not go on. */
    int64_t (*grow)(void *context, uint64_t pages);
    /* A struct block, the loader's; all zero before it is made. */
    void *block;
    /* What mutable globals begin with, two of these for each. */
    const uint64_t *globals;
    /* What is run: the first, if there is one, then the other. */
    void (*begin)(void *block);
    void (*entry)(void *block);
    /* The memory, which must not move. No access of the module reaches beyond the guard that its loader has behind it. */
    uint8_t *memory;
    uint64_t memory_bytes;
    /* The host is not called with less stack than from here on. */
    uintptr_t stack_limit;
    /* Of the library: a stack pointer to call faaslet_escape with; 0 while that must not be. */
    volatile uintptr_t escape_sp;
    void *back;
};

/* How large blocks are, and how much of one, from its beginning, a run may change. */
struct faaslet_layout {
    uint64_t block_bytes;
    uint64_t changed_bytes;
};
CHECK_FAASLET_START

#define OFFERED __attribute__((visibility("default")))

OFFERED extern const struct faaslet_layout faaslet_layout;
/* Makes the block of `start`: an instance of which nothing has run, and its tables. */
OFFERED int32_t faaslet_make(struct faaslet_start *start);
/* Runs the module once, in a block as it was made. */
OFFERED int32_t faaslet_run(struct faaslet_start *start);
/* Makes either return `status`, from wherever the module's code was interrupted: gone on at by handlers of signals alone. */
OFFERED __attribute__((noreturn)) void faaslet_escape(struct faaslet_start *start, int32_t status);

struct w2c_wasi__snapshot__preview1 {
    struct faaslet_start *start;
};

/* Calls the host, or ends the start. */
void call_host(struct w2c_wasi__snapshot__preview1 *host, uint32_t import, uint64_t *values);
