"""Base64, base32, base16 and base85 both ways."""

from pybench import benchmark

benchmark("bm_base64", library=("base64.py",))
