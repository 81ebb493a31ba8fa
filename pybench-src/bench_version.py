"""Asks the interpreter for its version, as a program that does next to nothing."""

import platform
import sys

from pybench import own


def version():
    return platform.python_version(), sys.version_info[:3], sys.implementation.name


own("version", version, loops=1000)
