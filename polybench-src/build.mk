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
# As the compiler links it, and what is rewritten after linking: there loops are unrolled where more is known of addresses.
POLYBENCH_LINKED_CFLAGS ?= $(WASI_CFLAGS)
POLYBENCH_WASI_CFLAGS   ?= $(WASI_CFLAGS) -fno-unroll-loops
# Linked apart and without -O: else clang runs wasm-opt where that happens to be installed (and its --no-wasm-opt forgets to link).
POLYBENCH_WASI_LDFLAGS  ?= $(filter --target=% --sysroot=%,$(POLYBENCH_WASI_CFLAGS)) $(WASI_LDFLAGS)
POLYBENCH_POST_LINK_TOOL := $(BIN)/wasm-post-link
# A command that is given the linked module and the name of the module to write; none if empty.
POLYBENCH_POST_LINK     ?= $(POLYBENCH_POST_LINK_TOOL) --quiet
POLYBENCH_NATIVE_CFLAGS ?= -O3 -march=native
POLYBENCH_O3_CFLAGS     ?= -O3
POLYBENCH_DEBUG_CFLAGS  ?= -O2 -g -fno-omit-frame-pointer
POLYBENCH_GCC           ?= gcc
POLYBENCH_NATIVE_LDLIBS ?= -lm

# Native builds, named as the columns of poly_bench. Which is the fastest differs by kernel and by CPU: one whose fused multiply-add takes
# longer than an addition loses by it in reductions.
POLYBENCH_BUILDS ?= native native-o3 native-no-fma native-gcc native-polly
POLYBENCH_KNOWN_BUILDS := native native-o3 native-no-fma native-gcc native-polly native-debug
polybench_cflags_native        = $(POLYBENCH_NATIVE_CFLAGS)
polybench_cflags_native-o3     = $(POLYBENCH_O3_CFLAGS)
polybench_cflags_native-no-fma = $(POLYBENCH_NATIVE_CFLAGS) -ffp-contract=off
polybench_cflags_native-gcc    = $(POLYBENCH_NATIVE_CFLAGS)
# Loop nests tiled and reordered, behind comparisons of addresses at run time: what jam of wasm-post-link is offered against.
polybench_cflags_native-polly  = $(POLYBENCH_NATIVE_CFLAGS) -mllvm -polly
polybench_cflags_native-debug  = $(POLYBENCH_DEBUG_CFLAGS)
polybench_cc                   = $(if $(filter native-gcc,$1),$(POLYBENCH_GCC),$(POLYBENCH_CC))

POLYBENCH_SRC    := polybench-src
POLYBENCH_WASM   := $(BUILD)/wasm/polybench
POLYBENCH_LINKED := $(BUILD)/wasm/polybench-linked
# Where the native build $1 lies.
polybench_dir     = $(BUILD)/polybench_$(subst -,_,$1)/bin
POLYBENCH_DIRS   := $(POLYBENCH_WASM) $(POLYBENCH_LINKED) $(foreach b,$(POLYBENCH_KNOWN_BUILDS),$(call polybench_dir,$b))

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
$(foreach d,$(POLYBENCH_DIRS),$d/$4$(if $(filter $d,$(POLYBENCH_WASM) $(POLYBENCH_LINKED)),.wasm)): $(POLYBENCH_SRC)/$1.c
$(foreach d,$(POLYBENCH_DIRS),$d/$4$(if $(filter $d,$(POLYBENCH_WASM) $(POLYBENCH_LINKED)),.wasm)): \
  private POLYBENCH_MACROS := $(polybench_macro_$2) $(polybench_macro_$3)
endef
$(foreach k,$(POLYBENCH_KERNELS),$(foreach d,$(POLYBENCH_DATASETS),$(foreach t,$(call polybench_type_ids,$k),\
  $(eval $(call polybench_program,$k,$d,$t,$(call polybench_name,$k,$d,$t))))))

# Everything is written under a name of its own and renamed when whole, so that builds side by side do not spoil each other's.
# $1 compiler's flags, $2 command after linking.
define polybench_wasm
@new=$@.$$$$; trap 'rm -f $$new $$new.o $$new.linked' EXIT; \
$(POLYBENCH_CC) $1 $(POLYBENCH_MACROS) -c $(filter %.c,$^) -o $$new.o; \
$(POLYBENCH_CC) $(POLYBENCH_WASI_LDFLAGS) $$new.o -o $$new; \
$(if $2,$2 $$new $$new.linked; mv $$new.linked $$new;) mv $$new $@
endef

$(POLYBENCH_WASM)/%.wasm: $(POLYBENCH_SRC)/polybench.h $(POLYBENCH_WASM)/flags | $(filter $(POLYBENCH_POST_LINK_TOOL),$(POLYBENCH_POST_LINK))
	$(call polybench_wasm,$(POLYBENCH_WASI_CFLAGS),$(POLYBENCH_POST_LINK))
$(POLYBENCH_LINKED)/%.wasm: $(POLYBENCH_SRC)/polybench.h $(POLYBENCH_LINKED)/flags
	$(call polybench_wasm,$(POLYBENCH_LINKED_CFLAGS))

# $1 the build.
define polybench_native_rule
$(call polybench_dir,$1)/poly_%: $(POLYBENCH_SRC)/polybench.h $(call polybench_dir,$1)/flags
	@new=$$@.$$$$$$$$; trap 'rm -f $$$$new' EXIT; \
	$(call polybench_cc,$1) $(polybench_cflags_$1) $$(POLYBENCH_MACROS) $$(filter %.c,$$^) $(POLYBENCH_NATIVE_LDLIBS) -o $$$$new; mv $$$$new $$@
$(call polybench_dir,$1)/flags: polybench-always
	$$(call polybench_write_flags,$(call polybench_cc,$1),$(polybench_cflags_$1),$(POLYBENCH_NATIVE_LDLIBS))
endef
$(foreach b,$(POLYBENCH_KNOWN_BUILDS),$(eval $(call polybench_native_rule,$b)))

$(POLYBENCH_POST_LINK_TOOL):
	cargo build --release --workspace --locked --bin wasm-post-link

# $1 compiler, $2 its flags, $3 the linker's, $4 command after linking: the text of `flags`. `cpu` is what the compiler takes as its target's.
define polybench_write_flags
@mkdir -p $(@D); new=$@.$$$$; trap 'rm -f $$new' EXIT; \
{ echo "compiler: $$($1 --version | head -n 1)"; \
  echo "cflags: $(strip $2)"; \
  echo "ldflags: $(strip $3)"; \
  echo "post-link: $(or $(strip $4),none)$(if $(filter $(POLYBENCH_POST_LINK_TOOL),$4), (sources $$(find tools/wasm-post-link/src -name "*.rs" | LC_ALL=C sort | xargs cat | sha256sum | cut -c 1-16)))"; \
  echo "target: $$($1 $(strip $2) -dumpmachine)"; \
  if [[ $$($1 --version) = *clang* ]]; then $1 $(strip $2) '-###' -c -x c /dev/null 2>&1 | awk -F '"' -v cpu=cpu: \
    '/"-cc1"/ { for (i = 2; i < NF; i += 2) { \
      if ($$i == "-target-cpu") cpu = cpu " " $$(i + 2); \
      if ($$i == "-target-feature" && $$(i + 2) ~ /^[+]/) cpu = cpu " " $$(i + 2) } } END { print cpu }'; \
  else $1 $(strip $2) -Q --help=target | awk -v cpu=cpu: \
    '$$1 == "-march=" { cpu = cpu " " $$2 } $$2 == "[enabled]" { cpu = cpu " " $$1 } END { print cpu }'; fi; \
} > $$new; cmp -s $$new $@ || mv $$new $@
endef

$(POLYBENCH_WASM)/flags: polybench-always
	$(call polybench_write_flags,$(POLYBENCH_CC),$(POLYBENCH_WASI_CFLAGS),$(POLYBENCH_WASI_LDFLAGS),$(POLYBENCH_POST_LINK))
$(POLYBENCH_LINKED)/flags: polybench-always
	$(call polybench_write_flags,$(POLYBENCH_CC),$(POLYBENCH_LINKED_CFLAGS),$(POLYBENCH_WASI_LDFLAGS))
polybench-always:

# Users whose functions `make compile` knows: for each a target compile-<user>.
COMPILE_USERS += demo polybench
compile-demo: $(foreach d,$(DEMOS),$(BUILD)/wasm/demo/$(d).wasm)
	@echo "$(words $^) modules in $(BUILD)/wasm/demo"
compile-polybench: $(foreach p,$(POLYBENCH_PROGRAMS),$(POLYBENCH_WASM)/$p.wasm $(POLYBENCH_LINKED)/$p.wasm)
	$(call polybench_say,$(POLYBENCH_WASM) $(POLYBENCH_LINKED))
polybench-native-release: $(foreach p,$(POLYBENCH_PROGRAMS),$(foreach b,$(POLYBENCH_BUILDS),$(call polybench_dir,$b)/$p))
	$(call polybench_say,$(foreach b,$(POLYBENCH_BUILDS),$(call polybench_dir,$b)))
polybench-native-debug: $(foreach p,$(POLYBENCH_PROGRAMS),$(call polybench_dir,native-debug)/$p)
	$(call polybench_say,$(call polybench_dir,native-debug))
polybench_say = @said=$$(for d in $1; do echo "$(words $(POLYBENCH_PROGRAMS)) programs in $$d"; cat $$d/flags; done); echo "$$said"

# What poly_bench has built when it is asked for what is not there yet; it says which kernels, datasets, types and native builds.
polybench-on-demand:
	+@$(MAKE) --no-print-directory -j$(shell nproc) compile-polybench polybench-native-release >/dev/null
	@$(BIN)/faasm-driver upload-all $(BUILD)/wasm >/dev/null

# What has been built, where the tools are installed. Programs that run are not written to, but replaced.
POLYBENCH_INSTALLED = $(DESTDIR)$(PREFIX)/share/faasm-bench
install-polybench:
	@install -d $(POLYBENCH_INSTALLED)/store
	@copy() { if [ -d $$1 ]; then cp -R -u --remove-destination --preserve=mode,timestamps $$1 $$2; fi; }; \
	for d in $(BUILD)/polybench_native*; do copy $$d $(POLYBENCH_INSTALLED)/; done; \
	for u in polybench polybench-linked; do copy $(STORE)/$$u $(POLYBENCH_INSTALLED)/store/; \
	  if [ -f $(BUILD)/wasm/$$u/flags ]; then install -D -m 644 {$(BUILD),$(POLYBENCH_INSTALLED)}/wasm/$$u/flags; fi; done
	@chmod -R go-w $(POLYBENCH_INSTALLED)

# All processors, unless the caller said how many jobs.
polybench_make = +@$(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))

compile: ## Compile a user's functions to Wasm (FUNC_USER=polybench or demo; CLEAN=1: all anew)
	@[ -n "$(filter $(FUNC_USER),$(COMPILE_USERS))" ] || \
	  { echo "make compile needs FUNC_USER=<one of: $(COMPILE_USERS)>$(if $(FUNC_USER),; '$(FUNC_USER)' is none)" >&2; exit 2; }
	@tools/setup
	$(if $(filter $(POLYBENCH_POST_LINK_TOOL),$(POLYBENCH_POST_LINK)),cargo build --release --workspace --locked --bin wasm-post-link)
	$(if $(CLEAN),rm -rf "$(BUILD)/wasm/$(FUNC_USER)" $(if $(filter polybench,$(FUNC_USER)),"$(POLYBENCH_LINKED)"))
	$(polybench_make) "compile-$(FUNC_USER)"

polybench-native: setup ## Build PolyBench natively (BUILD=Debug: to profile; CLEAN=1: all anew)
	$(if $(CLEAN),rm -rf $(foreach b,$(if $(filter Debug,$(BUILD_KIND)),native-debug,$(POLYBENCH_BUILDS)),"$(call polybench_dir,$b)"))
	$(polybench_make) polybench-native-$(if $(filter Debug,$(BUILD_KIND)),debug,release)

upload-all: build ## Put every module under build/wasm into the store (UPLOAD_HOST=host:port: through that upload server)
	$(BIN)/faasm-driver upload-all $(if $(UPLOAD_HOST),--host $(UPLOAD_HOST)) $(BUILD)/wasm

.PHONY: compile compile-demo compile-polybench polybench-native polybench-native-release polybench-native-debug \
	polybench-always polybench-on-demand install-polybench upload-all
