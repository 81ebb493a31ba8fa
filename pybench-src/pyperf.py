"""Stands in for pyperf, whose runner starts processes and chooses loop counts by the clock.

The benchmarks of the suite import this module by pyperf's name and register what is to be timed. Here every side
runs it in this process, exactly as often as it was told to: one unrecorded warm-up, then `pybench.plan.iterations`
timed iterations of `pybench.plan.loops` calls each. A benchmark that registers several parts has the sum of their
times.
"""

import argparse
import gc
import runpy
import sys
import time
from time import perf_counter, perf_counter_ns  # noqa: F401 (perf_counter is part of what benchmarks use)

import pybench

__version__ = "shim"


def python_implementation():
    return sys.implementation.name


class Runner:
    """What `pyperf.Runner` is to a benchmark."""

    def __init__(self, values=None, add_cmdline_args=None, **_):
        self.argparser = argparse.ArgumentParser()
        self.metadata = {}
        self.args = None

    def parse_args(self, args=None):
        self.args = self.argparser.parse_args(args)
        return self.args

    def _parse(self):
        if self.args is None:
            self.parse_args()

    def bench_time_func(self, name, func, *args, inner_loops=None, metadata=None):
        """`func(loops, *args)` returns the seconds that its inner loop took."""
        self._parse()
        if pybench.plan.digest is not None:
            pybench.plan.digest.leave_out(func)
        pybench.plan.part(name, lambda loops: (round(func(loops, *args) * 1e9), None))

    def bench_func(self, name, func, *args, inner_loops=None, metadata=None):
        self._parse()

        def timed(loops):
            calls = range(loops)
            begun = perf_counter_ns()
            for _ in calls:
                result = func(*args)
            return perf_counter_ns() - begun, result

        pybench.plan.part(name, timed)

    def bench_async_func(self, name, func, *args, inner_loops=None, metadata=None, loop_factory=None):
        import asyncio
        from event_loop import TimerLoop

        self._parse()

        async def inside(loops):
            calls = range(loops)
            begun = perf_counter_ns()
            for _ in calls:
                result = await func(*args)
            return perf_counter_ns() - begun, result

        def timed(loops):
            with asyncio.Runner(loop_factory=TimerLoop) as runner:
                return runner.run(inside(loops))

        pybench.plan.part(name, timed)

    def bench_command(self, name, command):
        """A command that is this interpreter and a module is run in this process; no other can be."""
        self._parse()
        if command[:2] != [sys.executable, "-m"]:
            raise SystemExit(f"{name} starts a process: {command}")
        module, arguments = command[2], command[3:]

        def timed(loops):
            saved = sys.argv, sys.stdout
            spent = 0
            try:
                for _ in range(loops):
                    sys.argv, sys.stdout = [module, *arguments], pybench.Sink()
                    begun = perf_counter_ns()
                    try:
                        runpy.run_module(module, run_name="__main__", alter_sys=True)
                    except SystemExit as end:
                        if end.code not in (None, 0):
                            raise RuntimeError(f"{module} ended with {end.code}") from None
                    spent += perf_counter_ns() - begun
                    written = sys.stdout.written
            finally:
                sys.argv, sys.stdout = saved
            return spent, written

        pybench.plan.part(name, timed)
