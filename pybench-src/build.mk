# CPython on both sides, and the suite: see docs/pybench.md. Included by the Makefile at the top.
PYTHON := $(BUILD)/python

python: build ## Build CPython natively and to WASI, fetch the benchmark suite (cached; 10 minutes at first)
	@NATIVE_CC=clang-19 WASI_CC=$(WASI_CC) pybench-src/build-python $(PYTHON)
	@pybench-src/install-suite $(PYTHON)
	@cmp -s $(PYTHON)/wasi/python.wasm $(STORE)/python/py_func/function.wasm || $(BIN)/faasm-driver upload python py_func $(PYTHON)/wasi/python.wasm

python-columns: python ## Build CPython for py_bench's columns wasm-pgo and native-pgo (cached; up to 25 CPU minutes at first)
	@pybench-src/build-columns $(PYTHON)
	@cmp -s $(PYTHON)/wasi/python-pgo.wasm $(STORE)/python/py_func_pgo/function.wasm || \
	  $(BIN)/faasm-driver upload python py_func_pgo $(PYTHON)/wasi/python-pgo.wasm

pybench-quick: python ## Six Python benchmarks, native against Wasm
	$(BIN)/py_bench quick $(ARGS)

.PHONY: python python-columns pybench-quick
