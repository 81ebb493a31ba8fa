"""What a digest tells, and that one which tells nothing is an error. Any Python from 3.11 on runs it: what the
interpreter would call is called here.

    python3 digest.py <pybench-src>
"""

import sys
import types
import unittest

sys.path.insert(0, sys.argv.pop(1))
# A name of its own in later versions only.
if not hasattr(sys, "monitoring"):
    sys.monitoring = types.SimpleNamespace(DISABLE=object())

import pybench  # noqa: E402
from digest import Digest  # noqa: E402


def leaf():
    pass


def twin():
    pass


def returning(digest, func, *values):
    """As if `func` had been watched while it returned `values`."""
    for value in values:
        digest._returned(func.__code__, 0, value)


class Tells(unittest.TestCase):
    def test_a_value_that_is_neither_none_nor_true(self):
        for value in (0, 1.5, "text", b"", [None], {}, leaf):
            digest = Digest()
            returning(digest, leaf, None, value)
            digest.finish()
            self.assertEqual(digest.taken, 2)

    def test_how_often_a_counted_function_returned(self):
        def after(times):
            digest = Digest(counted=("leaf",))
            returning(digest, leaf, *[None] * times)
            digest.finish()
            return str(digest)

        self.assertEqual(after(1000), after(1000))
        self.assertNotEqual(after(1000), after(1001))
        self.assertTrue(after(1000).endswith("of 1 values"))

    def test_a_result_that_was_added(self):
        digest = Digest()
        digest.add("result", 3)
        digest.finish()


class SaysNothing(unittest.TestCase):
    def refused(self, digest, why):
        with self.assertRaisesRegex(ValueError, why):
            digest.finish()

    def test_none_and_truth_values(self):
        digest = Digest()
        returning(digest, leaf, None, True, False)
        self.assertEqual(digest.taken, 3)
        self.refused(digest, "nothing that it computed")

    def test_however_many_are_taken(self):
        digest = Digest(take=100_000)
        returning(digest, leaf, *[None] * 1000)
        self.assertEqual(digest.taken, 1000)
        self.refused(digest, "nothing that it computed")

    def test_nothing_at_all(self):
        self.refused(Digest(), "nothing that it computed")

    def test_a_counted_function_that_never_returned(self):
        digest = Digest(counted=("leaf", "misspelt"))
        returning(digest, leaf, None)
        returning(digest, twin, 5)
        self.refused(digest, "misspelt is to be counted")

    def test_the_script_ends_with_it(self):
        pybench.plan.parts = 1
        pybench.plan.digest = Digest(take=100_000)
        with self.assertRaisesRegex(SystemExit, "silent: nothing that it computed"):
            pybench._answer("silent")


if __name__ == "__main__":
    unittest.main()
