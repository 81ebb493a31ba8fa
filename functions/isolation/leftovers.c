/* Looks through fresh memory for the pattern that an earlier start wrote, then writes it everywhere itself. With the parameter
 * `again` it does so twice in one start, where nothing stands between the two: the control. */
#include "probe.h"

/* Made at run time, so that no copy of the program holds it. */
static uint64_t pattern(void)
{
    return strtoull(parameter("pattern"), NULL, 16) * 0x9e3779b97f4a7c15 + 1;
}

static int look_and_leave(volatile uint64_t *words, size_t n)
{
    uint64_t sought = pattern();
    int found = 0;
    for (size_t i = 0; i < n; i++) {
        found += words[i] == sought;
        words[i] = sought;
    }
    return found > 0;
}

static int once(size_t bytes)
{
    volatile uint64_t stack[4096];
    uint64_t *memory = malloc(bytes);
    if (memory == NULL)
        return LIMITED;
    int found = look_and_leave(memory, bytes / 8);
    found |= look_and_leave(stack, sizeof stack / sizeof *stack);
    free(memory);
    return found ? REACHED : ABSENT;
}

static int probe(void)
{
    int outcome = once((size_t)number("bytes"));
    return number("again") ? once((size_t)number("bytes")) : outcome;
}
