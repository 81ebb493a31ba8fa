"""Compiles the expressions of two other benchmarks."""

import re

from pybench import benchmark


def compiled(names):
    """What the expressions are compiled to, and whether they still match: each searches the texts of all."""
    patterns = [re.compile(regex, flags) for regex, flags in names["regexes"]]
    texts = [p.pattern for p in patterns if type(p.pattern) is str][:50]
    kinds = [(p.flags, p.groups, sorted(p.groupindex.items())) for p in patterns]
    matches = (p.search(text) for p in patterns if type(p.pattern) is str for text in texts)
    return repr((kinds, [match and match.span() for match in matches]))


benchmark("bm_regex_compile", result=compiled)
