"""Searches long strings that nearly match."""

import re

from pybench import benchmark


def found(names):
    matches = (re.search(regex, text) for regex, text in names["bench_regex_effbot"].data)
    return repr([match and match.span() for match in matches])


benchmark("bm_regex_effbot", result=found)
