/*
 * The host of a module that wasm2c wrote in C (module.c): its memory, its WASI, its traps, `main`.
 *
 * HAS_IMPORTS says that the module imports something. Memory is reserved so that no address that the module
 * can form reaches anything else: a 32-bit index, a 32-bit offset and the widest access.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "simde/wasm/simd128.h"

#include "module.h"
#include "wasm-rt.h"

#define RESERVED_BYTES ((1ull << 33) + (1u << 16))

/* The kernel holds the stack to the limit of the moment, so that it can still be lowered by the process itself. */
#define STACK_BYTES (8ul << 20)

/* As the shell shows a process that aborted. */
enum { EXIT_TRAP = 134 };
/* Error numbers of WASI. */
enum { ERRNO_BADF = 8, ERRNO_FAULT = 21, ERRNO_INVAL = 28, ERRNO_IO = 29, ERRNO_NOSPC = 51, ERRNO_SPIPE = 70 };

struct w2c_wasi__snapshot__preview1 {
    int argc;
    char **argv;
    w2c_module *instance;
};
typedef struct w2c_wasi__snapshot__preview1 host;

/* Relaxed multiply-adds (see relaxed.rs). Here, and nowhere else, the compiler may fuse. */
typedef simde_v128_t v128;
typedef float f32x4 __attribute__((vector_size(16)));
typedef double f64x2 __attribute__((vector_size(16)));
#define MULTIPLY_ADD(name, type, sign)                                                                                           \
    inline __attribute__((always_inline)) v128 w2c_wasi__snapshot__preview1_relaxed_##name(host *unused, v128 a, v128 b, v128 c) \
    {                                                                                                                            \
        _Pragma("clang fp contract(fast)") return (v128)((type)c sign(type) a * (type)b);                                        \
    }
MULTIPLY_ADD(f32x4_madd, f32x4, +)
MULTIPLY_ADD(f32x4_nmadd, f32x4, -)
MULTIPLY_ADD(f64x2_madd, f64x2, +)
MULTIPLY_ADD(f64x2_nmadd, f64x2, -)

#include "module.c"

void host_trap(wasm_rt_trap_t trap)
{
    /* On the signal's stack perhaps: no more than is safe there. */
    const char *why = wasm_rt_strerror(trap);
    static const char what[] = "trap: ";
    (void)!write(STDERR_FILENO, what, sizeof what - 1);
    (void)!write(STDERR_FILENO, why, strlen(why));
    (void)!write(STDERR_FILENO, "\n", 1);
    _exit(EXIT_TRAP);
}

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

void wasm_rt_allocate_memory(wasm_rt_memory_t *memory, uint64_t initial, uint64_t max, bool is64, uint32_t page_bytes)
{
    if (is64 || page_bytes != WASM_DEFAULT_PAGE_SIZE) {
        fputs("only 32-bit memories with pages of 64 KiB are supported\n", stderr);
        exit(EXIT_FAILURE);
    }
    uint64_t size = initial * page_bytes;
    uint8_t *data = mmap(NULL, RESERVED_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED)
        give_up("cannot reserve address space for the memory (ulimit -v?)");
    if (size > 0 && mprotect(data, size, PROT_READ | PROT_WRITE))
        give_up("no memory");
    *memory = (wasm_rt_memory_t){
        .data = data, .data_end = data + size, .page_size = page_bytes, .pages = initial, .max_pages = max, .size = size};
}

uint64_t wasm_rt_grow_memory(wasm_rt_memory_t *memory, uint64_t pages)
{
    uint64_t before = memory->pages;
    if (pages == 0)
        return before;
    if (pages > memory->max_pages || before > memory->max_pages - pages)
        return (uint64_t)-1;
    uint64_t more = pages * memory->page_size;
    if (mprotect(memory->data + memory->size, more, PROT_READ | PROT_WRITE))
        return (uint64_t)-1;
    memory->pages += pages;
    memory->size += more;
    memory->data_end = memory->data + memory->size;
    return before;
}

void wasm_rt_free_memory(wasm_rt_memory_t *memory) { munmap(memory->data, RESERVED_BYTES); }

#ifdef HAS_IMPORTS
/* The module's bytes from `offset` on, none if they are not all its own. */
static uint8_t *bytes(host *host, u32 offset, uint64_t count)
{
    const wasm_rt_memory_t *memory = w2c_module_memory(host->instance);
    return offset + count <= memory->size ? memory->data + offset : NULL;
}

static u32 put(host *host, u32 offset, const void *value, size_t count)
{
    uint8_t *to = bytes(host, offset, count);
    if (!to)
        return ERRNO_FAULT;
    memcpy(to, value, count);
    return 0;
}

#define CALL(name) w2c_wasi__snapshot__preview1_##name

u32 CALL(args_sizes_get)(host *host, u32 count_at, u32 bytes_at)
{
    u32 count = (u32)host->argc, total = 0;
    for (u32 i = 0; i < count; i++)
        total += (u32)strlen(host->argv[i]) + 1;
    u32 error = put(host, count_at, &count, sizeof count);
    return error ? error : put(host, bytes_at, &total, sizeof total);
}

u32 CALL(args_get)(host *host, u32 pointers_at, u32 text_at)
{
    u32 error = 0;
    for (u32 i = 0; i < (u32)host->argc && !error; i++) {
        size_t length = strlen(host->argv[i]) + 1;
        error = put(host, pointers_at + 4 * i, &text_at, sizeof text_at);
        if (!error)
            error = put(host, text_at, host->argv[i], length);
        text_at += (u32)length;
    }
    return error;
}

u32 CALL(environ_sizes_get)(host *host, u32 count_at, u32 bytes_at)
{
    u32 none = 0, error = put(host, count_at, &none, sizeof none);
    return error ? error : put(host, bytes_at, &none, sizeof none);
}

u32 CALL(environ_get)(host *host, u32 pointers_at, u32 text_at) { return 0; }

u32 CALL(clock_time_get)(host *host, u32 clock, u64 precision, u32 time_at)
{
    static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC};
    struct timespec now;
    if (clock >= sizeof clocks / sizeof *clocks || clock_gettime(clocks[clock], &now))
        return ERRNO_INVAL;
    u64 ns = (u64)now.tv_sec * 1000000000 + (u64)now.tv_nsec;
    return put(host, time_at, &ns, sizeof ns);
}

/* Standard output and error are there to be written to; nothing else is there. */
u32 CALL(fd_write)(host *host, u32 fd, u32 list_at, u32 count, u32 written_at)
{
    if (fd != STDOUT_FILENO && fd != STDERR_FILENO)
        return ERRNO_BADF;
    u32 total = 0;
    for (u32 i = 0; i < count; i++) {
        const uint8_t *entry = bytes(host, list_at, 8 * ((uint64_t)i + 1));
        if (!entry)
            return ERRNO_FAULT;
        u32 piece[2];
        memcpy(piece, entry + 8 * (size_t)i, sizeof piece);
        const uint8_t *from = bytes(host, piece[0], piece[1]);
        if (!from)
            return ERRNO_FAULT;
        for (u32 left = piece[1]; left > 0;) {
            ssize_t done = write((int)fd, from + (piece[1] - left), left);
            if (done < 0 && errno == EINTR)
                continue;
            if (done < 0)
                return errno == ENOSPC ? ERRNO_NOSPC : ERRNO_IO;
            left -= (u32)done;
            total += (u32)done;
        }
    }
    return put(host, written_at, &total, sizeof total);
}

u32 CALL(fd_fdstat_get)(host *host, u32 fd, u32 stat_at)
{
    /* A regular file, open for all that may be done with one. */
    struct {
        uint8_t type, padding;
        uint16_t flags;
        uint32_t more_padding;
        uint64_t rights, inherited;
    } stat = {.type = 4, .rights = ~0ull};
    return fd <= STDERR_FILENO ? put(host, stat_at, &stat, sizeof stat) : ERRNO_BADF;
}

u32 CALL(fd_seek)(host *host, u32 fd, u64 offset, u32 whence, u32 result_at) { return fd <= STDERR_FILENO ? ERRNO_SPIPE : ERRNO_BADF; }
u32 CALL(fd_close)(host *host, u32 fd) { return fd <= STDERR_FILENO ? 0 : ERRNO_BADF; }
u32 CALL(fd_prestat_get)(host *host, u32 fd, u32 stat_at) { return ERRNO_BADF; }
u32 CALL(fd_prestat_dir_name)(host *host, u32 fd, u32 name_at, u32 length) { return ERRNO_BADF; }
void CALL(proc_exit)(host *host, u32 code) { _exit((int)code); }
#endif

static void limit_stack(void)
{
    struct rlimit stack;
    if (getrlimit(RLIMIT_STACK, &stack))
        give_up("cannot read the stack's limit");
    if (stack.rlim_cur != RLIM_INFINITY && stack.rlim_cur <= STACK_BYTES)
        return;
    stack.rlim_cur = STACK_BYTES;
    if (setrlimit(RLIMIT_STACK, &stack))
        give_up("cannot limit the stack");
}

int main(int argc, char **argv)
{
    limit_stack();
    w2c_module instance;
#ifdef HAS_IMPORTS
    host host = {argc, argv, &instance};
#endif
    wasm_rt_init();
#ifdef HAS_IMPORTS
    wasm2c_module_instantiate(&instance, &host);
#else
    wasm2c_module_instantiate(&instance);
#endif
    w2c_module_0x5Fstart(&instance);
    return 0;
}
