"""Renders its own documentation to HTML."""

from pybench import benchmark

benchmark("bm_docutils", ignore=("build_html", "OptionParser.get_standard_config_files", "OptionParser.get_standard_config_files.<locals>.<lambda>",))
