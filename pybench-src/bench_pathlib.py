"""Lists, globs and stats two thousand files."""

import os
import tempfile

from pybench import benchmark


def directory():
    """Of the same name on both sides, so that paths can be compared."""
    path = os.path.join(tempfile.gettempdir(), "pathlib")
    os.makedirs(path, exist_ok=True)
    return path


tempfile.mkdtemp = directory
benchmark("bm_pathlib", library=("pathlib/_local.py", "pathlib/_abc.py"), take=100_000)
