"""What a benchmark computed, in a line: its result, and what its Python functions and those of the packages that it
uses returned and yielded on the way.

Most benchmarks of the suite return nothing, so their functions are watched: of each place that returns or yields, the
first values are taken, as far as they are plain (numbers, text, containers of them, a benchmark's own objects with
their plain attributes; of other objects the type). Floating point is taken to eight or nine digits, because the C
libraries of the two sides differ in the last one. The digest is a sum, so it does not depend on the order; it differs
if one return of the interpreter's 32-bit side differs from the other's.
"""

import os
import stat
import sys
from array import array
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction
from hashlib import blake2b

# Of each place, so many returned values; then it is no longer watched and costs nothing.
PER_PLACE = 200
# Of a container, so many elements, to this depth.
ELEMENTS = 24
DEPTH = 3
# The standard library is left out, for it looks at its platform at every turn, and so is what measures.
LIBRARY = os.path.dirname(os.__file__) + os.sep
LEFT_OUT = (LIBRARY, os.path.dirname(os.path.abspath(__file__)) + os.sep)
CO_GENERATOR = 0x20
# Where values depend on the width of a word, on addresses or on the clock by design.
PLATFORM = frozenset({"__hash__", "__sizeof__", "time", "perf_counter", "getpid"})


def plain(value, depth=DEPTH):
    """`value` as bytes that are the same wherever it was computed."""
    kind = type(value)
    if value is None or kind is bool or kind is int:
        return b"%d" % value if kind is int and -(1 << 63) < value < 1 << 63 else repr_int(value)
    if kind is float:
        return rounded(value)
    if kind is complex:
        return rounded(value.real) + b"," + rounded(value.imag)
    if kind is str:
        return value.encode("utf-8", "surrogatepass")
    if kind is bytes or kind is bytearray:
        return bytes(value)
    if kind is Decimal or kind is Fraction:
        return str(value).encode()
    ours = kind.__module__ == "__main__"
    if depth and (kind is tuple or kind is list or kind is array or ours and isinstance(value, (tuple, list))):
        return b"[%d:%b]" % (len(value), b",".join(plain(v, depth - 1) for v in value[:ELEMENTS]))
    if depth and kind is dict:
        # Insertion order may follow the order of a set, which follows hashes.
        parts = sorted(plain(k, depth - 1) + b"=" + plain(v, depth - 1) for k, v in value.items()) if len(value) <= ELEMENTS else []
        return b"{%d:%b}" % (len(value), b",".join(parts))
    if kind is set or kind is frozenset:
        return b"set %d" % len(value)
    if kind is os.stat_result:
        return b"%d bytes of kind %o" % (value.st_size, stat.S_IFMT(value.st_mode))
    name = kind.__qualname__.encode()
    if depth == DEPTH and ours:
        # Of what it holds only what is plain itself: objects hold each other in circles.
        return b"%b{%b}" % (name, b",".join(k.encode() + b"=" + plain(v, 0) for k, v in sorted(attributes(value).items())))
    return name


def attributes(value):
    """What an object holds, in slots or not."""
    held = dict(getattr(value, "__dict__", None) or {})
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            if hasattr(value, slot):
                held[slot] = getattr(value, slot)
    return held


def rounded(value):
    """Nine digits of a large number, eight places of a small one: what is left of a difference of equals is noise."""
    if abs(value) >= 1 or value != value:
        return b"%.9g" % value
    text = b"%.8f" % value
    return b"0.00000000" if text == b"-0.00000000" else text


def repr_int(value):
    """None and bool by name; a big number by its bytes: text would meet the limit on its digits."""
    if type(value) is int:
        return value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return repr(value).encode()


def hashed(name, value):
    return int.from_bytes(blake2b(name.encode() + b"\0" + plain(value), digest_size=8).digest(), "little")


class Digest:
    """`ignore` names functions that are left out, `library` files of the standard library that are not; `see` names local
    variables of functions, which are taken when they return; `take` values are taken of each place; `counted` names
    functions that return nothing by design: how often each returned is taken, and that alone."""

    def __init__(self, ignore=(), library=(), see=None, take=PER_PLACE, counted=()):
        self.sum = 0
        self.taken = 0
        # How many of them tell more than None or a truth value does.
        self.telling = 0
        self.counts = dict.fromkeys(counted, 0)
        self.library = tuple(LIBRARY + file for file in library)
        self.see = see or {}
        self.take = take
        self.ignore = PLATFORM | frozenset(ignore)
        self.places = {}
        self.timers = set()

    def add(self, name, value):
        """The value goes in by itself."""
        self.sum = (self.sum + hashed(name, value)) & 0xFFFF_FFFF_FFFF_FFFF
        self.taken += 1
        if value is not None and type(value) is not bool:
            self.telling += 1

    def leave_out(self, func):
        """`func` returns the time it took."""
        self.timers.add(getattr(func, "__code__", None))

    def _watched(self, code):
        return (
            code.co_filename.endswith(".py")
            and (not code.co_filename.startswith(LEFT_OUT) or code.co_filename in self.library)
            and code.co_name not in self.ignore
            and code.co_qualname not in self.ignore
            and code not in self.timers
        )

    def finish(self):
        """Takes the counts. Raises ValueError where the digest would say nothing of what was computed."""
        for name, returns in self.counts.items():
            if not returns:
                raise ValueError(f"{name} is to be counted and never returned")
            self.add(f"{name} returned", returns)
        if not self.telling:
            raise ValueError(
                "nothing that it computed is in the digest: see `result`, `library`, `see` and `counted` of pybench.py"
            )

    def _returned(self, code, offset, value):
        if code.co_qualname in self.counts:
            self.counts[code.co_qualname] += 1
            return None
        names = self.see.get(code.co_qualname)
        watched = self._watched(code)
        place = (code, offset)
        seen = self.places.get(place, 0)
        if seen >= self.take or not (watched or names):
            return sys.monitoring.DISABLE
        self.places[place] = seen + 1
        if watched:
            self.add(code.co_qualname, value)
        if names:
            variables = sys._getframe(1).f_locals
            for name in names:
                self.add(f"{code.co_qualname}.{name}", variables[name])

    def _yielded(self, code, offset, value):
        # A coroutine's are its event loop's.
        if not code.co_flags & CO_GENERATOR:
            return sys.monitoring.DISABLE
        return self._returned(code, offset, value)

    @contextmanager
    def watching(self):
        monitoring = sys.monitoring
        tool = monitoring.PROFILER_ID
        monitoring.use_tool_id(tool, "digest")
        events = monitoring.events
        monitoring.register_callback(tool, events.PY_RETURN, self._returned)
        monitoring.register_callback(tool, events.PY_YIELD, self._yielded)
        monitoring.set_events(tool, events.PY_RETURN | events.PY_YIELD)
        try:
            yield
        finally:
            monitoring.set_events(tool, 0)
            monitoring.free_tool_id(tool)

    def __str__(self):
        return f"{self.sum:016x} of {self.taken} values"
