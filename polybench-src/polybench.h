/*
 * The program around each kernel: its arrays, its clock, and how results leave it. One source for native and WASI builds.
 *
 * A kernel file says, before it includes this header:
 *   SIZES(_)     comma-separated _(name, mini, small, medium, large, extralarge)
 *   ARRAYS(_)    comma-separated _(type, name, [dimension]...), also the parameters of the two functions below
 *   LIVE_OUT(_)  comma-separated _(array, rows, columns, field = value...): what the kernel computes, in the order in which it is
 *                dumped; the fields are those of `struct live_out`
 *   DEFAULT_TYPE_IS_INT or DEFAULT_TYPE_IS_FLOAT where the elements are not double by default
 *   NO_INTEGER_FORM where the recurrence means nothing in integers
 * and after it:
 *   INITIALISE { ... }     gives the inputs their values
 *   KERNEL(name) { ... }   the recurrence, in a function kernel_<name> of its own that profiles show
 *
 * Macros from the command line: MINI_DATASET, SMALL_DATASET, MEDIUM_DATASET, LARGE_DATASET (default), EXTRALARGE_DATASET;
 * DATA_TYPE_IS_DOUBLE, DATA_TYPE_IS_FLOAT, DATA_TYPE_IS_INT; POLYBENCH_DUMP_ARRAYS, POLYBENCH_TIME, POLYBENCH_USE_RESTRICT.
 */
#ifndef POLYBENCH_H
#define POLYBENCH_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tgmath.h>
#include <time.h>

/* The dataset. */
#if defined MINI_DATASET + defined SMALL_DATASET + defined MEDIUM_DATASET + defined LARGE_DATASET + defined EXTRALARGE_DATASET > 1
#error "define one dataset only"
#elif defined MINI_DATASET
#define PICK(mini, small, medium, large, extralarge) mini
#elif defined SMALL_DATASET
#define PICK(mini, small, medium, large, extralarge) small
#elif defined MEDIUM_DATASET
#define PICK(mini, small, medium, large, extralarge) medium
#elif defined EXTRALARGE_DATASET
#define PICK(mini, small, medium, large, extralarge) extralarge
#else
#define PICK(mini, small, medium, large, extralarge) large
#endif
#define SIZE(name, ...) name = PICK(__VA_ARGS__)
enum { SIZES(SIZE) };

/* The type of an element. */
#if defined DATA_TYPE_IS_DOUBLE + defined DATA_TYPE_IS_FLOAT + defined DATA_TYPE_IS_INT > 1
#error "define one data type only"
#elif !defined DATA_TYPE_IS_DOUBLE && !defined DATA_TYPE_IS_FLOAT && !defined DATA_TYPE_IS_INT
#if defined DEFAULT_TYPE_IS_INT
#define DATA_TYPE_IS_INT
#elif defined DEFAULT_TYPE_IS_FLOAT
#define DATA_TYPE_IS_FLOAT
#else
#define DATA_TYPE_IS_DOUBLE
#endif
#endif
#if defined DATA_TYPE_IS_INT
#ifdef NO_INTEGER_FORM
#error "this kernel has no integer form"
#endif
typedef int data_t;
#define TYPE_NAME "int"
#define ELEMENT_FORMAT "%d "
#elif defined DATA_TYPE_IS_FLOAT
typedef float data_t;
#define TYPE_NAME "float"
#define ELEMENT_FORMAT "%0.2f "
#else
typedef double data_t;
#define TYPE_NAME "double"
#define ELEMENT_FORMAT "%0.2f "
#endif
/* A constant in the type of the elements: `2 * x` with a plain 2.0 would be computed in double. */
#define SCALAR(x) ((data_t)(x))

#ifdef POLYBENCH_USE_RESTRICT
#define ARRAY_QUALIFIER restrict
#else
#define ARRAY_QUALIFIER
#endif

/* Each array in pages of its own, reached through a pointer that no compiler can see through. */
#define PAGE_BYTES 4096
#define INDEX(type, name, dimensions) index_of_##name
enum { ARRAYS(INDEX), ARRAY_COUNT };
#define BYTES(type, name, dimensions) sizeof(type dimensions)
static const size_t array_bytes[ARRAY_COUNT] = {ARRAYS(BYTES)};
static void *array_data[ARRAY_COUNT];

/* `T *name` for `T name[n]`, `T (*name)[m]` for `T name[n][m]`, and so on. */
#define PARAMETER(type, name, dimensions) __typeof__(&(*(type(*) dimensions)0)[0]) ARRAY_QUALIFIER name
#define ARGUMENT(type, name, dimensions) array_data[index_of_##name]

#define OWN_FUNCTION static __attribute__((noinline))
OWN_FUNCTION void initialise(ARRAYS(PARAMETER));
#define INITIALISE OWN_FUNCTION void initialise(ARRAYS(PARAMETER))
static void run_kernel(void);
#define KERNEL(name)                                                                                                             \
    OWN_FUNCTION void kernel_##name(ARRAYS(PARAMETER));                                                                          \
    static void run_kernel(void) { kernel_##name(ARRAYS(ARGUMENT)); }                                                            \
    OWN_FUNCTION void kernel_##name(ARRAYS(PARAMETER))

enum triangle { FULL, LOWER, UPPER };

/* One array of results and how PolyBench's dump lays it out. */
struct live_out {
    const char *name;
    const data_t *data;
    int rows, columns;
    enum triangle triangle;   /* which elements, the diagonal always among them */
    int pitch;                /* lines break where (row * pitch + column) % 20 is 0; 0: where the elements so far % 20 is 0 */
    bool break_after;         /* ... after that element, not before it */
    bool ends_dump;           /* the closing line of the dump follows this array, not the last one */
};
#define LIVE_OUT_ENTRY(array, row_count, column_count, ...)                                                                      \
    {.name = #array, .data = array_data[index_of_##array], .rows = row_count, .columns = column_count, __VA_ARGS__}

static int first_column(const struct live_out *out, int row) { return out->triangle == UPPER ? row : 0; }

static int end_column(const struct live_out *out, int row) { return out->triangle == LOWER ? row + 1 : out->columns; }

static size_t element_count(const struct live_out *out)
{
    size_t count = 0;
    for (int i = 0; i < out->rows; i++)
        count += (size_t)(end_column(out, i) - first_column(out, i));
    return count;
}

static void dump_array(const struct live_out *out)
{
    int count = 0;
    fprintf(stderr, "begin dump: %s", out->name);
    for (int i = 0; i < out->rows; i++)
        for (int j = first_column(out, i); j < end_column(out, i); j++, count++) {
            bool breaks = (out->pitch ? i * out->pitch + j : count) % 20 == 0;
            if (breaks && !out->break_after)
                putc('\n', stderr);
            fprintf(stderr, ELEMENT_FORMAT, out->data[(size_t)i * out->columns + j]);
            if (breaks && out->break_after)
                putc('\n', stderr);
        }
    fprintf(stderr, "\nend   dump: %s\n", out->name);
}

static void dump(const struct live_out *outs, size_t count)
{
    static const char closing[] = "==END   DUMP_ARRAYS==\n";
    static char buffer[1 << 16];
    bool closed = false;

    setvbuf(stderr, buffer, _IOFBF, sizeof buffer); /* else a system call for each element */
    fputs("==BEGIN DUMP_ARRAYS==\n", stderr);
    for (size_t n = 0; n < count; n++) {
        dump_array(&outs[n]);
        if (outs[n].ends_dump) {
            fputs(closing, stderr);
            closed = true;
        }
    }
    if (!closed)
        fputs(closing, stderr);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && sizeof(int) == 4, "--raw writes elements as they lie in memory");

static void write_raw(const struct live_out *outs, size_t count)
{
    for (size_t n = 0; n < count; n++) {
        const struct live_out *out = &outs[n];
        printf("%s %s %zu\n", out->name, TYPE_NAME, element_count(out));
        for (int i = 0; i < out->rows; i++)
            fwrite(out->data + (size_t)i * out->columns + first_column(out, i), sizeof(data_t),
                   (size_t)(end_column(out, i) - first_column(out, i)), stdout);
    }
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Nothing in memory is known before or after this point, so no load, store or call moves across it. */
static inline void compiler_barrier(void) { __asm__ volatile("" ::: "memory"); }

/* Initialises the arrays, runs the kernel once and gives the kernel's own time. */
static int64_t run_once_ns(void)
{
    initialise(ARRAYS(ARGUMENT));
    compiler_barrier();
    int64_t start = now_ns();
    run_kernel();
    compiler_barrier();
    return now_ns() - start;
}

static bool allocate_arrays(void)
{
    for (int n = 0; n < ARRAY_COUNT; n++) {
        size_t bytes = (array_bytes[n] + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
        array_data[n] = aligned_alloc(PAGE_BYTES, bytes);
        if (!array_data[n]) {
            fprintf(stderr, "no memory for an array of %zu bytes\n", bytes);
            return false;
        }
        /* Touches every page, so that page faults belong to initialisation on both sides, not to the kernel. */
        memset(array_data[n], 0, bytes);
    }
    return true;
}

static int usage(const char *program)
{
    fprintf(stderr,
            "usage: %s              run the kernel once\n"
            "       %s --time R     run it R times (1 to 1000000000), print the kernel's nanoseconds, a line each\n"
            "       %s --dump       run it once, print the results to standard error in PolyBench's format\n"
            "       %s --raw        run it once, write the results to standard output: for each array a line\n"
            "                       `name type count`, then its elements, little-endian\n",
            program, program, program, program);
    return 2;
}

/* The R of `--time R`, or 0. */
static long repetitions(const char *text)
{
    char *end;
    errno = 0;
    long r = strtol(text, &end, 10);
    return errno || end == text || *end || r < 1 || r > 1000000000 ? 0 : r;
}

/* 0, or 1 when something written did not arrive. */
static int finish_output(void)
{
    if (!fflush(stdout) && !fflush(stderr) && !ferror(stdout) && !ferror(stderr))
        return 0;
    perror("cannot write the results");
    return 1;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    bool time_it = argc == 3 && !strcmp(mode, "--time"), dump_it = argc == 2 && !strcmp(mode, "--dump");
    bool write_it = argc == 2 && !strcmp(mode, "--raw");
    long times = time_it ? repetitions(argv[2]) : 1;

    if (times == 0 || (argc > 1 && !time_it && !dump_it && !write_it))
        return usage(argc > 0 ? argv[0] : "kernel");
    if (!allocate_arrays())
        return 1;
    const struct live_out outs[] = {LIVE_OUT(LIVE_OUT_ENTRY)};

    for (long r = 0; r < times; r++) {
        int64_t ns = run_once_ns();
        if (time_it) {
            printf("%lld\n", (long long)ns);
            fflush(stdout); /* whoever reads sees each run as it ends */
        }
#ifdef POLYBENCH_TIME
        else if (argc <= 1)
            printf("%0.6f\n", (double)ns * 1e-9);
#endif
    }
    if (write_it)
        write_raw(outs, sizeof outs / sizeof outs[0]);
#ifdef POLYBENCH_DUMP_ARRAYS
    dump_it = dump_it || argc <= 1;
#endif
    if (dump_it)
        dump(outs, sizeof outs / sizeof outs[0]);
    return finish_output();
}

/*
 * The input of the matrix factorisations: the product P of the lower triangular T with its own transpose, where T has 1 on its
 * diagonal and 1 - j/n in column j below it; P is symmetric and positive definite. As T's columns are constant below the diagonal,
 * P[i][j] = P[j][i] = sum over t < j of T[n-1][t]^2, plus T[i][j], for j <= i. The terms are added in the order of the definition,
 * so the values are those of the triple loop, in a time that does not drown the kernel's.
 */
static inline void initialise_positive_definite(int n, data_t p[n][n])
{
    data_t squares = 0;
    for (int j = 0; j < n; j++) {
        data_t below = (data_t)-j / n + 1;
        p[j][j] = squares + 1;
        for (int i = j + 1; i < n; i++)
            p[i][j] = p[j][i] = squares + below;
        squares += below * below;
    }
}

#endif
