"""What every bench_*.py is made of: takes a benchmark of the suite and runs it as often as it is told.

    python bench_float.py --time 5     five timed iterations, after an unrecorded one: a line of nanoseconds each
    python bench_float.py --curve 20   twenty, the first of them too: how an interpreter that lives on gets faster
    python bench_float.py --digest     one iteration, watched: a line `digest` with what it computed

Both sides run the same file with the same arguments. A failure ends with exit code 1 and its traceback in a line, cause first.
"""

import argparse
import builtins
import os
import sys
import types
import zlib
from contextlib import contextmanager, nullcontext

HERE = os.path.dirname(os.path.abspath(__file__))


class Plan:
    """How often to run what the benchmark registers, and what came of it."""

    def __init__(self):
        self.iterations = 1
        self.loops = 1
        self.digest = None
        self.times_ns = []
        self.parts = 0
        self.only = None
        self.warm_up = True
        self.watch = True

    def part(self, name, timed):
        """Runs a part. `timed(loops)` returns nanoseconds and the last result."""
        if self.only is not None and name not in self.only:
            return
        self.parts += 1
        if self.digest is not None:
            with self.digest.watching() if self.watch else nullcontext():
                _, result = timed(self.loops)
            self.digest.add(name, result)
            return
        if self.warm_up:
            timed(self.loops)
        for i in range(self.iterations):
            elapsed_ns = timed(self.loops)[0]
            if i < len(self.times_ns):
                self.times_ns[i] += elapsed_ns
            else:
                self.times_ns.append(elapsed_ns)


class Sink:
    """Standard output of a program run in this process: kept as a length and a checksum."""

    encoding = "utf-8"

    def __init__(self):
        self.length = self.sum = 0

    @property
    def written(self):
        return self.length, self.sum

    def write(self, text):
        self.length += len(text)
        self.sum = zlib.crc32(text.encode(), self.sum)
        return len(text)

    def flush(self):
        pass


plan = Plan()


def suite():
    """The directory of the suite's benchmarks."""
    import importlib.util

    package = importlib.util.find_spec("pyperformance")
    if package is None or not package.submodule_search_locations:
        raise SystemExit("the suite is not installed: make python")
    return os.path.join(package.submodule_search_locations[0], "data-files", "benchmarks")


def benchmark(name, *options, loops=1, script="run_benchmark.py", result=None, watch=True, only=None, **digest):
    """Runs the suite's benchmark `name` with the command line `options`, `loops` calls an iteration.

    `result(globals)` names what it computed, where neither its return value nor those of the Python functions it
    calls tell; `watch=False` leaves out all of these, where they follow the order of sets of objects; `only` names the
    parts to run; `digest` is what `digest.Digest` takes.
    """
    _prepare(loops, only, digest)
    plan.watch = watch
    path = os.path.join(suite(), name, script)
    sys.argv = [path, *options]
    # As if the script had been started itself: its own directory first.
    sys.path.insert(0, os.path.dirname(path))
    with _silence():
        variables = _run(path)
        if plan.digest is not None and result is not None:
            plan.digest.add("result", result(variables))
    _answer(name)


def _run(path):
    """Runs the script at `path` as the main module, which benchmarks take themselves for, and returns its names."""
    main = types.ModuleType("__main__")
    main.__file__ = path
    main.__builtins__ = builtins
    sys.modules["__main__"] = main
    with open(path, "rb") as script:
        code = compile(script.read(), path, "exec")
    exec(code, main.__dict__)
    return main.__dict__


def own(name, func, loops=1):
    """Runs a benchmark that is not of the suite: a function without arguments."""
    _prepare(loops, None, {})
    sys.argv = [sys.argv[0]]
    import pyperf

    with _silence():
        pyperf.Runner().bench_func(name, func)
    _answer(name)


def _prepare(loops, only, digest):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--time", type=int, metavar="N", help="N timed iterations, after an unrecorded one")
    parser.add_argument("--digest", action="store_true", help="print what one iteration computed, not its time")
    parser.add_argument("--loops", type=int, default=loops, metavar="N", help="calls an iteration (default: %(default)s)")
    parser.add_argument("--curve", type=int, metavar="N", help="N timed iterations, the very first one too")
    arguments = parser.parse_args()
    _limit_memory()
    plan.warm_up = arguments.curve is None
    plan.iterations = arguments.curve or (1 if arguments.time is None else arguments.time)
    plan.loops = arguments.loops
    plan.only = only
    if arguments.digest:
        from digest import Digest

        plan.digest = Digest(**digest)


@contextmanager
def _silence():
    """What a benchmark prints is no part of our answer."""
    output = sys.stdout
    sys.stdout = Sink()
    try:
        yield
    finally:
        sys.stdout = output


def _limit_memory():
    """Natively the limit is set here; Wasm's is the engine's."""
    mebibytes = os.environ.get("PYBENCH_MEMORY_MIB")
    if mebibytes:
        import resource

        limit = int(mebibytes) << 20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _tell(kind, error, trace):
    """A failure in a line, its cause first: only the beginning of what a program says fits into a report."""
    places = []
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{os.path.basename(code.co_filename)}:{trace.tb_lineno} in {code.co_name}")
        trace = trace.tb_next
    print(f"{kind.__name__}: {error}; {' < '.join(reversed(places))}", file=sys.stderr)


sys.excepthook = _tell


def _answer(name):
    if plan.parts == 0:
        raise SystemExit(f"{name} registered nothing to time")
    if plan.digest is not None:
        try:
            plan.digest.finish()
        except ValueError as silent:
            raise SystemExit(f"{name}: {silent}") from None
        print("digest", plan.digest)
        return
    for elapsed_ns in plan.times_ns:
        print(elapsed_ns)
