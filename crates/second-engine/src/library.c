/*
 * A module that wasm2c wrote in C as a shared library: its way to the host and its way out. Memory, instance, tables, functions and
 * deadline are the loader's: nothing is allocated here, so nothing is lost wherever a start is left.
 *
 * HAS_IMPORTS says that the module imports something. A trap, a host that says stop, and a deadline all leave by a handler of
 * signals that moves the program counter to faaslet_escape, on a stack kept for it, and from there by longjmp: between
 * faaslet_run and there are only frames of the module. So a module may use up its stack to the last byte: nothing but code of
 * this library, which a handler can leave at any instruction, runs on what is left. What else is called asks for room first.
 */
#include <setjmp.h>
#include <stddef.h>

#include "block.h"
#include "wasm-rt.h"

/* A function finds its return address at the stack pointer where calls push it. */
#ifdef __x86_64__
enum { RETURN_ADDRESS_BYTES = 8 };
#else
enum { RETURN_ADDRESS_BYTES = 0 };
#endif

/* Of the stack, what functions of the host need that are called from any depth. */
enum { ROOM_BYTES = 16 << 10 };

enum { TABLE_ALIGNMENT = 16 };

/* Whose block is being made on this thread, and how much of its room for tables has been given out. */
static __thread struct {
    struct block *block;
    size_t used;
} making;

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

/* Does `work`, which can be left from wherever it is. */
static int32_t guarded(struct faaslet_start *start, void (*work)(struct faaslet_start *start))
{
    jmp_buf back;
    /* The stack of faaslet_escape when a signal found the module's own used up. */
    _Alignas(16) volatile char room[4096];
    start->back = &back;
    int32_t status = _setjmp(back);
    if (status == STATUS_DONE) {
        start->escape_sp = (uintptr_t)(room + sizeof room) - RETURN_ADDRESS_BYTES;
        work(start);
        start->escape_sp = 0;
    }
    return status;
}

static void make(struct faaslet_start *start)
{
    struct block *block = start->block;
    making.block = block;
    making.used = 0;
#ifdef HAS_IMPORTS
    wasm2c_module_instantiate(&block->instance, &block->host);
#else
    wasm2c_module_instantiate(&block->instance);
#endif
    set_globals(&block->instance, start->globals);
}

static void run(struct faaslet_start *start)
{
    struct block *block = start->block;
    block->host.start = start;
    *w2c_module_memory(&block->instance) = (wasm_rt_memory_t){.data = start->memory,
                                                              .data_end = start->memory + start->memory_bytes,
                                                              .page_size = WASM_DEFAULT_PAGE_SIZE,
                                                              .pages = start->memory_bytes / WASM_DEFAULT_PAGE_SIZE,
                                                              .size = start->memory_bytes};
    if (start->begin)
        start->begin(block);
    start->entry(block);
}

int32_t faaslet_make(struct faaslet_start *start) { return guarded(start, make); }

int32_t faaslet_run(struct faaslet_start *start) { return guarded(start, run); }

void call_host(struct w2c_wasi__snapshot__preview1 *host, uint32_t import, uint64_t *values)
{
    struct faaslet_start *start = host->start;
    if ((uintptr_t)__builtin_frame_address(0) < start->stack_limit)
        leave(STATUS_STACK);
    if (start->call(start->context, import, values))
        leave(STATUS_STOPPED);
}

void wasm_rt_trap(wasm_rt_trap_t trap)
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

/* It is the loader's, who says where it is when the module runs. */
void wasm_rt_allocate_memory(wasm_rt_memory_t *memory, uint64_t initial, uint64_t max, bool is64, uint32_t page_bytes)
{
    (void)initial, (void)max;
    if (is64 || page_bytes != WASM_DEFAULT_PAGE_SIZE)
        leave(STATUS_NO_INSTANCE);
    *memory = (wasm_rt_memory_t){.page_size = page_bytes};
}

void wasm_rt_free_memory(wasm_rt_memory_t *memory) { (void)memory; }

uint64_t wasm_rt_grow_memory(wasm_rt_memory_t *memory, uint64_t pages)
{
    need_room();
    /* The memory is a part of its instance, which is a part of its block. */
    w2c_module *none = 0;
    size_t offset = (size_t)((char *)w2c_module_memory(none) - (char *)none) + offsetof(struct block, instance);
    struct faaslet_start *start = ((struct block *)((char *)memory - offset))->host.start;
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

/* So many bytes of the block that is being made, all zero. */
static void *room_for_table(size_t elements, size_t element_bytes)
{
    size_t bytes = (elements * element_bytes + TABLE_ALIGNMENT - 1) / TABLE_ALIGNMENT * TABLE_ALIGNMENT;
    size_t left = faaslet_layout.block_bytes - offsetof(struct block, tables) - making.used;
    if (bytes > left)
        leave(STATUS_NO_INSTANCE);
    void *room = making.block->tables + making.used;
    making.used += bytes;
    return room;
}

void wasm_rt_allocate_funcref_table(wasm_rt_funcref_table_t *table, uint32_t elements, uint32_t max)
{
    wasm_rt_funcref_t *data = room_for_table(elements, sizeof *data);
    *table = (wasm_rt_funcref_table_t){.data = data, .max_size = max, .size = elements};
}

void wasm_rt_allocate_externref_table(wasm_rt_externref_table_t *table, uint32_t elements, uint32_t max)
{
    wasm_rt_externref_t *data = room_for_table(elements, sizeof *data);
    *table = (wasm_rt_externref_table_t){.data = data, .max_size = max, .size = elements};
}

void wasm_rt_free_funcref_table(wasm_rt_funcref_table_t *table) { (void)table; }

void wasm_rt_free_externref_table(wasm_rt_externref_table_t *table) { (void)table; }
