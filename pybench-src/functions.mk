# The Python functions of the store (docs/snapshots.md): python/noop and its like, each one script, natively run by the
# interpreter and as Wasm from a snapshot of it. Included by the Makefile at the top, after build.mk.
PYTHON_FUNCTIONS := noop park json

python-functions: $(addprefix python-function-,$(PYTHON_FUNCTIONS)) ## Build the Python functions and their snapshots (make python first)

# The interpreter reads the same standard library on both sides, and sees it at /python/lib.
python-function-%: build
	@[ -e $(PYTHON)/wasi/python.wasm ] || { echo "python/$* needs CPython: run make python" >&2; exit 1; }
	@WASI_CC=$(WASI_CC) pybench-src/build-proto $(PYTHON)
	@install -d -m 755 $(BUILD) $(STORE) $(STORE)/python $(STORE)/python/$* $(STORE)/python/$*/files
	@cmp -s pybench-src/functions/$*/function.py $(STORE)/python/$*/files/function.py || \
		install -m 644 pybench-src/functions/$*/function.py $(STORE)/python/$*/files/function.py
	@printf '%s\n' '{home}/python/native/bin/python3.13' -S -E '{function}/files/function.py' >$(STORE)/python/$*/command
	@$(BIN)/faasm-driver grant python/$* --arg python3 --arg -S --arg -E --arg /function/function.py \
		--dir ../../../python/native/lib::/python/lib --dir files::/function >/dev/null
	@cmp -s $(PYTHON)/wasi/function.wasm $(STORE)/python/$*/function.wasm || \
		$(BIN)/faasm-driver upload python $* $(PYTHON)/wasi/function.wasm
	@$(BIN)/faasm-driver codegen --snapshot python/$*

# Beside the store: what the tools and the Python functions read while they run. Names, sizes and times of the standard
# library are what a snapshot is known by, so times are kept.
PYTHON_INSTALLED := $(DESTDIR)$(PREFIX)/share/faasm-bench
install-python:
	@install -d $(PYTHON_INSTALLED)/python/wasi $(PYTHON_INSTALLED)/pybench-src
	rm -rf $(PYTHON_INSTALLED)/python/native $(PYTHON_INSTALLED)/python/suite $(PYTHON_INSTALLED)/pybench-src/*
	cp -R --preserve=mode,timestamps,links $(PYTHON)/native $(PYTHON)/suite $(PYTHON_INSTALLED)/python/
	install -m 644 $(PYTHON)/wasi/version $(PYTHON)/wasi/flags $(PYTHON_INSTALLED)/python/wasi
	install -m 644 pybench-src/*.py pybench-src/absent.tsv $(PYTHON_INSTALLED)/pybench-src

.PHONY: python-functions install-python
