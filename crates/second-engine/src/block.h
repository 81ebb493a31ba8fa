/* What a library keeps of a start besides memory, in room that is its loader's. */
#pragma once
#include "library.h"
#include "module.h"

struct block {
    struct w2c_wasi__snapshot__preview1 host;
    w2c_module instance;
    _Alignas(16) unsigned char tables[];
};

/* Gives the instance the values that its mutable globals begin with. */
void set_globals(w2c_module *instance, const uint64_t *values);
