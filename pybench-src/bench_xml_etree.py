"""Parses, walks, makes and writes XML."""

from pybench import benchmark

benchmark("bm_xml_etree", library=("xml/etree/ElementTree.py",))
