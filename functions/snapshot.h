/* A program with an initialiser: SNAPSHOT(initialise, run) makes both a program of them.
 *
 * Natively, and as a Wasm command, it is initialise() and then run(). As Wasm it exports besides what a snapshot needs:
 * `wizer.initialize` runs the constructors and initialise(), `wizer.resume` runs run() and takes the place of `_start`
 * in the snapshot. Link it with -nostartfiles: the C library's own `_start` would leave the constructors to the linker,
 * which would put them in front of each export.
 *
 * initialise() must not leave a file or directory open, nor end the program. See docs/snapshots.md. */
#ifndef SNAPSHOT_H
#define SNAPSHOT_H

#ifdef __wasm__
#include <stdlib.h>

#define SNAPSHOT(initialise, run)                                                                                      \
    void __wasm_call_ctors(void);                                                                                      \
    void __wasm_call_dtors(void);                                                                                      \
    __attribute__((export_name("wizer.initialize"))) void snapshot_initialise(void)                                   \
    {                                                                                                                  \
        __wasm_call_ctors();                                                                                           \
        initialise();                                                                                                  \
    }                                                                                                                  \
    __attribute__((export_name("wizer.resume"))) void snapshot_resume(void)                                           \
    {                                                                                                                  \
        int code = run();                                                                                              \
        if (code != 0)                                                                                                 \
            exit(code);                                                                                                \
        __wasm_call_dtors();                                                                                           \
    }                                                                                                                  \
    __attribute__((export_name("_start"))) void _start(void)                                                          \
    {                                                                                                                  \
        snapshot_initialise();                                                                                         \
        snapshot_resume();                                                                                             \
    }
#else
#define SNAPSHOT(initialise, run)                                                                                      \
    int main(void)                                                                                                     \
    {                                                                                                                  \
        initialise();                                                                                                  \
        return run();                                                                                                  \
    }
#endif

#endif
