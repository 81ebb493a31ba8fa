# CPython on both sides, and the suite: see docs/pybench.md. Included by the Makefile at the top.
PYTHON := $(BUILD)/python

python: setup ## Build CPython natively and to WASI, fetch the benchmark suite (cached; 10 minutes at first)
	@NATIVE_CC=clang-19 WASI_CC=$(WASI_CC) pybench-src/build-python $(PYTHON)
	@pybench-src/install-suite $(PYTHON)

.PHONY: python
