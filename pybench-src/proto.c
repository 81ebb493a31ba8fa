/* CPython as a program with an initialiser: what python/noop and the other Python functions start from.
 *
 * As a WASI command it is `python3 ARGUMENTS`, nothing else. As a snapshot (docs/snapshots.md) `wizer.initialize` starts
 * the interpreter with the same arguments and imports the script that they name as a module, so that its imports and
 * definitions are in the snapshot; `wizer.resume` calls that module's main(). Run as a script, the same file calls
 * main() itself, under `if __name__ == "__main__"`. */
#include <Python.h>
#include "internal/pycore_pylifecycle.h"

#include <stdio.h>
#include <stdlib.h>
#include <wasi/api.h>

void __wasm_call_ctors(void);
void __wasm_call_dtors(void);

/* main() of the function, found while initialising. */
static PyObject *function;
/* random.seed if the function has imported random: what it was seeded with is in the snapshot. */
static PyObject *seed;
static PyObject *stdout_flush, *stderr_flush;

static void fail(void)
{
    PyErr_Print();
    exit(1);
}

static PyObject *checked(PyObject *object)
{
    if (object == NULL)
        fail();
    return object;
}

static char **arguments(int *count)
{
    __wasi_size_t n = 0, bytes = 0;

    if (__wasi_args_sizes_get(&n, &bytes) != 0)
        exit(71);
    uint8_t **list = calloc(n + 1, sizeof *list);
    uint8_t *buffer = malloc(bytes + 1);
    if (list == NULL || buffer == NULL || __wasi_args_get(list, buffer) != 0)
        exit(71);
    *count = (int)n;
    return (char **)list;
}

/* Where the function finds the standard library, lib/python3.13 below it, whatever the interpreter was configured for. */
#define HOME "/python"

static void start_interpreter(void)
{
    int count;
    char **list = arguments(&count);
    PyConfig config;

    PyConfig_InitPythonConfig(&config);
    PyStatus status = PyConfig_SetBytesArgv(&config, count, list);
    if (!PyStatus_Exception(status))
        status = PyConfig_SetBytesString(&config, &config.home, HOME);
    if (!PyStatus_Exception(status))
        status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    if (PyStatus_Exception(status))
        Py_ExitStatusException(status);
}

/* Imports the script by its file's name, from its directory, as `import` does. */
static PyObject *import_script(void)
{
    static const char split[] =
        "import sys\n"
        "directory, _, file = sys.argv[0].rpartition('/')\n"
        "sys.path.insert(0, directory or '.')\n"
        "name = file.removesuffix('.py')\n"
        "del directory, file, _\n";
    PyObject *names = checked(PyDict_New());

    Py_DECREF(checked(PyRun_String(split, Py_file_input, names, names)));
    PyObject *name = checked(Py_XNewRef(PyDict_GetItemString(names, "name")));
    PyObject *module = checked(PyImport_Import(name));
    Py_DECREF(name);
    Py_DECREF(names);
    return module;
}

/* NULL if no module of this name has been imported. */
static PyObject *attribute_if_imported(const char *module, const char *attribute)
{
    PyObject *found = PyDict_GetItemString(PyImport_GetModuleDict(), module);

    return found == NULL ? NULL : checked(PyObject_GetAttrString(found, attribute));
}

static PyObject *flush_of(const char *stream)
{
    PyObject *found = PySys_GetObject(stream);

    return found == NULL || found == Py_None ? NULL : checked(PyObject_GetAttrString(found, "flush"));
}

static void flush(PyObject *method)
{
    if (method == NULL)
        return;
    PyObject *done = PyObject_CallNoArgs(method);
    if (done == NULL)
        fail();
    Py_DECREF(done);
}

/* What is alive now will be alive in every start: a collection need not look at it, which would write to all of it. */
static void settle(void)
{
    PyObject *gc = checked(PyImport_ImportModule("gc"));

    Py_DECREF(checked(PyObject_CallMethod(gc, "collect", NULL)));
    Py_DECREF(checked(PyObject_CallMethod(gc, "freeze", NULL)));
    Py_DECREF(gc);
}

__attribute__((export_name("wizer.initialize"))) void initialise(void)
{
    __wasm_call_ctors();
    start_interpreter();
    PyObject *module = import_script();
    function = checked(PyObject_GetAttrString(module, "main"));
    seed = attribute_if_imported("random", "seed");
    stdout_flush = flush_of("stdout");
    stderr_flush = flush_of("stderr");
    flush(stdout_flush);
    flush(stderr_flush);
    settle();
}

/* Ends like a process that calls exit: exit handlers run, streams are flushed, and nothing is torn down that goes with
 * the instance anyway. */
__attribute__((export_name("wizer.resume"))) void resume(void)
{
    if (seed != NULL)
        Py_DECREF(checked(PyObject_CallNoArgs(seed)));
    PyObject *done = PyObject_CallNoArgs(function);
    /* SystemExit ends the program here, with its code. */
    if (done == NULL)
        PyErr_Print();
    _PyAtExit_Call(PyInterpreterState_Get());
    flush(stdout_flush);
    flush(stderr_flush);
    if (done == NULL)
        exit(1);
    Py_DECREF(done);
    __wasm_call_dtors();
}

__attribute__((export_name("_start"))) void _start(void)
{
    __wasm_call_ctors();
    start_interpreter();
    int code = Py_RunMain();
    if (code != 0)
        exit(code);
    __wasm_call_dtors();
}
