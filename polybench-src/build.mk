# PolyBench/C as Wasm and as native programs. Part of the top Makefile, whose WASI_CC, WASI_CFLAGS and WASI_LDFLAGS it uses.
#
# A program is named poly_<kernel>[-<dataset>][-<type>]. The dataset LARGE has no suffix, nor has the type that is the kernel's own
# default (int for floyd-warshall and nussinov, float for deriche, double for all others): poly_gemm, poly_gemm-small,
# poly_gemm-medium-float, poly_deriche-double. So there is no poly_gemm-double: that is poly_gemm.
#
# Beside the programs of a directory lies `flags`: the compiler's version, what it was told and what that means on this host.
# The file changes only when one of these does, and then everything beside it is built anew.

POLYBENCH_DATASETS ?= mini small medium large extralarge
POLYBENCH_TYPES    ?= default double float
# One compiler for both sides; what one side is given, the other is offered.
POLYBENCH_CC            ?= $(WASI_CC)
# Loops are unrolled after linking, each copy with its test, where more is known of addresses.
POLYBENCH_WASI_CFLAGS   ?= $(WASI_CFLAGS) -fno-unroll-loops
# Linked apart and without -O: else clang runs wasm-opt where that happens to be installed (and its --no-wasm-opt forgets to link).
POLYBENCH_WASI_LDFLAGS  ?= $(filter --target=% --sysroot=%,$(POLYBENCH_WASI_CFLAGS)) $(WASI_LDFLAGS)
POLYBENCH_POST_LINK_TOOL := $(BIN)/wasm-post-link
# A command that is given the linked module and the name of the module to write; none if empty.
POLYBENCH_POST_LINK     ?= $(POLYBENCH_POST_LINK_TOOL) --quiet
POLYBENCH_NATIVE_CFLAGS ?= -O3 -march=native
POLYBENCH_O3_CFLAGS     ?= -O3
POLYBENCH_DEBUG_CFLAGS  ?= -O2 -g -fno-omit-frame-pointer
POLYBENCH_NATIVE_LDLIBS ?= -lm

POLYBENCH_SRC    := polybench-src
POLYBENCH_WASM   := $(BUILD)/wasm/polybench
POLYBENCH_NATIVE := $(BUILD)/polybench_native/bin
POLYBENCH_O3     := $(BUILD)/polybench_native_o3/bin
POLYBENCH_DEBUG  := $(BUILD)/polybench_native_debug/bin

# The kernels whose file has line $1, or, with option -L, has it not.
polybench_with = $(basename $(notdir $(shell grep $1 $(POLYBENCH_SRC)/*.c)))
POLYBENCH_KERNELS      := $(basename $(notdir $(wildcard $(POLYBENCH_SRC)/*.c)))
POLYBENCH_INT_KERNELS  := $(call polybench_with,-l '^.define DEFAULT_TYPE_IS_INT')
POLYBENCH_FLT_KERNELS  := $(call polybench_with,-l '^.define DEFAULT_TYPE_IS_FLOAT')
POLYBENCH_ANY_KERNELS  := $(call polybench_with,-L '^.define NO_INTEGER_FORM')
polybench_default_type = $(if $(filter $1,$(POLYBENCH_INT_KERNELS)),int,$(if $(filter $1,$(POLYBENCH_FLT_KERNELS)),float,double))
polybench_types        = $(filter-out $(if $(filter $1,$(POLYBENCH_ANY_KERNELS)),,int),$(POLYBENCH_TYPES))
# Each type of kernel $1 once, its own as `default`.
polybench_type_ids     = $(sort $(patsubst $(call polybench_default_type,$1),default,$(call polybench_types,$1)))
polybench_name         = poly_$1$(patsubst %,-%,$(filter-out large,$2))$(patsubst %,-%,$(filter-out default,$3))

polybench_macro_mini       := -DMINI_DATASET
polybench_macro_small      := -DSMALL_DATASET
polybench_macro_medium     := -DMEDIUM_DATASET
polybench_macro_large      := -DLARGE_DATASET
polybench_macro_extralarge := -DEXTRALARGE_DATASET
polybench_macro_default    :=
polybench_macro_double     := -DDATA_TYPE_IS_DOUBLE
polybench_macro_float      := -DDATA_TYPE_IS_FLOAT
polybench_macro_int        := -DDATA_TYPE_IS_INT

# $1 kernel, $2 dataset, $3 type, $4 program: what it is made of. How is said by the pattern rules below.
define polybench_program
POLYBENCH_PROGRAMS += $4
$(POLYBENCH_WASM)/$4.wasm $(POLYBENCH_NATIVE)/$4 $(POLYBENCH_O3)/$4 $(POLYBENCH_DEBUG)/$4: $(POLYBENCH_SRC)/$1.c
$(POLYBENCH_WASM)/$4.wasm $(POLYBENCH_NATIVE)/$4 $(POLYBENCH_O3)/$4 $(POLYBENCH_DEBUG)/$4: \
  private POLYBENCH_MACROS := $(polybench_macro_$2) $(polybench_macro_$3)
endef
$(foreach k,$(POLYBENCH_KERNELS),$(foreach d,$(POLYBENCH_DATASETS),$(foreach t,$(call polybench_type_ids,$k),\
  $(eval $(call polybench_program,$k,$d,$t,$(call polybench_name,$k,$d,$t))))))

# Everything is written under a name of its own and renamed when whole, so that builds side by side do not spoil each other's.
$(POLYBENCH_WASM)/%.wasm: $(POLYBENCH_SRC)/polybench.h $(POLYBENCH_WASM)/flags | $(filter $(POLYBENCH_POST_LINK_TOOL),$(POLYBENCH_POST_LINK))
	@new=$@.$$$$; trap 'rm -f $$new $$new.o $$new.linked' EXIT; \
	$(POLYBENCH_CC) $(POLYBENCH_WASI_CFLAGS) $(POLYBENCH_MACROS) -c $(filter %.c,$^) -o $$new.o; \
	$(POLYBENCH_CC) $(POLYBENCH_WASI_LDFLAGS) $$new.o -o $$new; \
	$(if $(POLYBENCH_POST_LINK),$(POLYBENCH_POST_LINK) $$new $$new.linked; mv $$new.linked $$new;) mv $$new $@

polybench_native_cc = @new=$@.$$$$; trap 'rm -f $$new' EXIT; \
	$(POLYBENCH_CC) $1 $(POLYBENCH_MACROS) $(filter %.c,$^) $(POLYBENCH_NATIVE_LDLIBS) -o $$new; mv $$new $@

$(POLYBENCH_NATIVE)/poly_%: $(POLYBENCH_SRC)/polybench.h $(POLYBENCH_NATIVE)/flags
	$(call polybench_native_cc,$(POLYBENCH_NATIVE_CFLAGS))
$(POLYBENCH_O3)/poly_%: $(POLYBENCH_SRC)/polybench.h $(POLYBENCH_O3)/flags
	$(call polybench_native_cc,$(POLYBENCH_O3_CFLAGS))
$(POLYBENCH_DEBUG)/poly_%: $(POLYBENCH_SRC)/polybench.h $(POLYBENCH_DEBUG)/flags
	$(call polybench_native_cc,$(POLYBENCH_DEBUG_CFLAGS))

$(POLYBENCH_POST_LINK_TOOL):
	cargo build --release --workspace --locked --bin wasm-post-link

# $1 compiler's flags, $2 linker's, $3 command after linking: the text of `flags`. `cpu` is what the compiler takes as its target's.
define polybench_write_flags
@mkdir -p $(@D); new=$@.$$$$; trap 'rm -f $$new' EXIT; \
{ echo "compiler: $$($(POLYBENCH_CC) --version | head -n 1)"; \
  echo "cflags: $(strip $1)"; \
  echo "ldflags: $(strip $2)"; \
  echo "post-link: $(or $(strip $3),none)$(if $(filter $(POLYBENCH_POST_LINK_TOOL),$3), (sources $$(cat tools/wasm-post-link/src/*.rs | sha256sum | cut -c 1-16)))"; \
  $(POLYBENCH_CC) $(strip $1) '-###' -c -x c /dev/null 2>&1 | awk -F '"' -v cpu=cpu: \
    '/"-cc1"/ { for (i = 2; i < NF; i += 2) { if ($$i == "-triple") triple = $$(i + 2); \
      if ($$i == "-target-cpu") cpu = cpu " " $$(i + 2); \
      if ($$i == "-target-feature" && $$(i + 2) ~ /^[+]/) cpu = cpu " " $$(i + 2) } } END { print "target: " triple; print cpu }'; \
} > $$new; cmp -s $$new $@ || mv $$new $@
endef

$(POLYBENCH_WASM)/flags: polybench-always
	$(call polybench_write_flags,$(POLYBENCH_WASI_CFLAGS),$(POLYBENCH_WASI_LDFLAGS),$(POLYBENCH_POST_LINK))
$(POLYBENCH_NATIVE)/flags: polybench-always
	$(call polybench_write_flags,$(POLYBENCH_NATIVE_CFLAGS),$(POLYBENCH_NATIVE_LDLIBS))
$(POLYBENCH_O3)/flags: polybench-always
	$(call polybench_write_flags,$(POLYBENCH_O3_CFLAGS),$(POLYBENCH_NATIVE_LDLIBS))
$(POLYBENCH_DEBUG)/flags: polybench-always
	$(call polybench_write_flags,$(POLYBENCH_DEBUG_CFLAGS),$(POLYBENCH_NATIVE_LDLIBS))
polybench-always:

# Users whose functions `make compile` knows: for each a target compile-<user>.
COMPILE_USERS += demo polybench
compile-demo: $(foreach d,$(DEMOS),$(BUILD)/wasm/demo/$(d).wasm)
	@echo "$(words $^) modules in $(BUILD)/wasm/demo"
compile-polybench: $(patsubst %,$(POLYBENCH_WASM)/%.wasm,$(POLYBENCH_PROGRAMS))
	@echo "$(words $^) modules in $(POLYBENCH_WASM)"; cat $(POLYBENCH_WASM)/flags
polybench-native-release: $(foreach p,$(POLYBENCH_PROGRAMS),$(POLYBENCH_NATIVE)/$p $(POLYBENCH_O3)/$p)
	@for d in $(POLYBENCH_NATIVE) $(POLYBENCH_O3); do echo "$(words $(POLYBENCH_PROGRAMS)) programs in $$d"; cat $$d/flags; done
polybench-native-debug: $(patsubst %,$(POLYBENCH_DEBUG)/%,$(POLYBENCH_PROGRAMS))
	@echo "$(words $^) programs in $(POLYBENCH_DEBUG)"; cat $(POLYBENCH_DEBUG)/flags

# All processors, unless the caller said how many jobs.
polybench_make = +@$(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))

compile: ## Compile a user's functions to Wasm (FUNC_USER=polybench or demo; CLEAN=1: all anew)
	@[ -n "$(filter $(FUNC_USER),$(COMPILE_USERS))" ] || \
	  { echo "make compile needs FUNC_USER=<one of: $(COMPILE_USERS)>$(if $(FUNC_USER),; '$(FUNC_USER)' is none)" >&2; exit 2; }
	@tools/setup
	$(if $(filter $(POLYBENCH_POST_LINK_TOOL),$(POLYBENCH_POST_LINK)),cargo build --release --workspace --locked --bin wasm-post-link)
	$(if $(CLEAN),rm -rf "$(BUILD)/wasm/$(FUNC_USER)")
	$(polybench_make) "compile-$(FUNC_USER)"

polybench-native: setup ## Build PolyBench natively (BUILD=Debug: to profile; CLEAN=1: all anew)
	$(if $(CLEAN),rm -rf $(if $(filter Debug,$(BUILD_KIND)),$(POLYBENCH_DEBUG),$(POLYBENCH_NATIVE) $(POLYBENCH_O3)))
	$(polybench_make) polybench-native-$(if $(filter Debug,$(BUILD_KIND)),debug,release)

upload-all: build ## Put every module under build/wasm into the store (UPLOAD_HOST=host:port: through that upload server)
	$(BIN)/faasm-driver upload-all $(if $(UPLOAD_HOST),--host $(UPLOAD_HOST)) $(BUILD)/wasm

.PHONY: compile compile-demo compile-polybench polybench-native polybench-native-release polybench-native-debug \
	polybench-always upload-all
