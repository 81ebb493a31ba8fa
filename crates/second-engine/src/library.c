/*
 * A module that wasm2c wrote in C as a shared library: its instance, its way to the host and its way out. Memory, functions and
 * deadline are the loader's.
 *
 * HAS_IMPORTS says that the module imports something. A trap, a host that says stop, and a deadline all leave by a handler of
 * signals that moves the program counter to faaslet_escape, on a stack kept for it, and from there by longjmp: between
 * faaslet_run and there are only frames of the module. So a module may use up its stack to the last byte: nothing but code of
 * this library, which a handler can leave at any instruction, runs on what is left. What else is called asks for room first.
 */
#include <setjmp.h>
#include <stdlib.h>

#include "library.h"
#include "module.h"
#include "wasm-rt.h"

/* A function finds its return address at the stack pointer where calls push it. */
#ifdef __x86_64__
enum { RETURN_ADDRESS_BYTES = 8 };
#else
enum { RETURN_ADDRESS_BYTES = 0 };
#endif

static __thread struct faaslet_start *current;

/* Of the stack, what functions of the C library need that are called from any depth. */
enum { ROOM_BYTES = 16 << 10 };

/* Ends the start with `status`, which the handler finds where functions have their first argument. */
static inline __attribute__((noreturn, always_inline)) void leave(int32_t status)
{
#ifdef __x86_64__
    __asm__ volatile("ud2" : : "D"((uint64_t)(uint32_t)status));
#else
    register uint64_t argument __asm__("x0") = (uint32_t)status;
    __asm__ volatile("udf #0" : : "r"(argument));
#endif
    __builtin_unreachable();
}

/* A stack that has less than ROOM_BYTES left ends the start here, as each page is touched. */
static __attribute__((noinline)) void need_room(void)
{
    volatile char room[ROOM_BYTES];
    room[0] = 0;
}

void faaslet_escape(struct faaslet_start *start, int32_t status)
{
    start->escape_sp = 0;
    _longjmp(*(jmp_buf *)start->back, status);
}

int32_t faaslet_run(struct faaslet_start *start)
{
    jmp_buf back;
    /* The stack of faaslet_escape when a signal found the module's own used up. */
    _Alignas(16) volatile char room[4096];
    w2c_module *instance = calloc(1, sizeof *instance);
    if (!instance)
        return STATUS_NO_INSTANCE;
    current = start;
    start->back = &back;
    int32_t status = _setjmp(back);
    if (status == STATUS_DONE) {
        start->escape_sp = (uintptr_t)(room + sizeof room) - RETURN_ADDRESS_BYTES;
#ifdef HAS_IMPORTS
        struct w2c_wasi__snapshot__preview1 host = {start};
        wasm2c_module_instantiate(instance, &host);
#else
        wasm2c_module_instantiate(instance);
#endif
        w2c_module_0x5Fstart(instance);
        start->escape_sp = 0;
    }
    current = NULL;
    wasm2c_module_free(instance);
    free(instance);
    return status;
}

void call_host(struct w2c_wasi__snapshot__preview1 *host, uint32_t import, uint64_t *values)
{
    struct faaslet_start *start = host->start;
    if ((uintptr_t)__builtin_frame_address(0) < start->stack_limit)
        leave(STATUS_STACK);
    if (start->call(start->context, import, values))
        leave(STATUS_STOPPED);
}

void host_trap(wasm_rt_trap_t trap)
{
    int32_t status = STATUS_OTHER_TRAP;
    switch (trap) {
    case WASM_RT_TRAP_OOB:
        status = STATUS_MEMORY;
        break;
    case WASM_RT_TRAP_EXHAUSTION:
        status = STATUS_STACK;
        break;
    case WASM_RT_TRAP_UNREACHABLE:
        status = STATUS_UNREACHABLE;
        break;
    case WASM_RT_TRAP_CALL_INDIRECT:
        status = STATUS_INDIRECT_CALL;
        break;
    case WASM_RT_TRAP_DIV_BY_ZERO:
        status = STATUS_DIVISION_BY_ZERO;
        break;
    case WASM_RT_TRAP_INT_OVERFLOW:
        status = STATUS_OVERFLOW;
        break;
    case WASM_RT_TRAP_INVALID_CONVERSION:
        status = STATUS_CONVERSION;
        break;
    case WASM_RT_TRAP_NULL_REF:
        status = STATUS_NULL;
        break;
    default:
        break;
    }
    leave(status);
}

void wasm_rt_allocate_memory(wasm_rt_memory_t *memory, uint64_t initial, uint64_t max, bool is64, uint32_t page_bytes)
{
    uint8_t *data = current->memory;
    uint64_t size = initial * page_bytes;
    if (is64 || page_bytes != WASM_DEFAULT_PAGE_SIZE || size > current->memory_bytes)
        leave(STATUS_NO_INSTANCE);
    *memory = (wasm_rt_memory_t){
        .data = data, .data_end = data + size, .page_size = page_bytes, .pages = initial, .max_pages = max, .size = size};
}

uint64_t wasm_rt_grow_memory(wasm_rt_memory_t *memory, uint64_t pages)
{
    need_room();
    struct faaslet_start *start = current;
    if ((uintptr_t)__builtin_frame_address(0) < start->stack_limit)
        leave(STATUS_STACK);
    int64_t before = start->grow(start->context, pages);
    if (before == GROW_STOPPED)
        leave(STATUS_STOPPED);
    if (before < 0)
        return (uint64_t)-1;
    memory->pages = (uint64_t)before + pages;
    memory->size = memory->pages * memory->page_size;
    memory->data_end = memory->data + memory->size;
    return (uint64_t)before;
}

/* It is the loader's. */
void wasm_rt_free_memory(wasm_rt_memory_t *memory) { (void)memory; }
