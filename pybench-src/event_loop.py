"""An asyncio event loop without sockets, for both sides: WASI has no socket pairs, which the standard loop wakes
itself with. It waits for timers by sleeping, which is all that the benchmarks' coroutines do."""

import asyncio
import time


class _Timers:
    """A selector that nothing is registered with."""

    def select(self, timeout=None):
        if timeout:
            time.sleep(timeout)
        return []

    def close(self):
        pass


class TimerLoop(asyncio.BaseEventLoop):
    def __init__(self):
        super().__init__()
        self._selector = _Timers()

    def _process_events(self, events):
        pass

    def _write_to_self(self):
        pass
