# The Linux guest of the micro-VM rungs (firecracker-linux, qemu-tcg): kernel, /init, a root file system. Part of the
# top Makefile, whose BUILD, STORE, DEMOS, NATIVE_CC and NATIVE_CFLAGS it uses.

# What `tools/in-guest` loads, with all that these need.
GUEST_MODULES := virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci fuse virtiofs overlay veth sch_tbf

# The Debian package whose kernel is taken; it is unpacked, not installed.
MICROVM_KERNEL ?= linux-image-cloud-amd64

MICROVM     := $(BUILD)/microvm
MICROVM_SRC := tools/microvm-driver/guest

microvm-guest: $(MICROVM)/vmlinux $(MICROVM)/init $(MICROVM)/rootfs.ext4 ## Fetch and build what Linux guests of the micro-VM rungs boot

$(MICROVM)/vmlinux: $(MICROVM_SRC)/fetch-kernel $(MICROVM_SRC)/build.mk
	@install -d -m 755 $(@D)
	@rm -rf $(MICROVM)/modules
	$(MICROVM_SRC)/fetch-kernel $(MICROVM_KERNEL) $@.tmp $(MICROVM)/modules $(GUEST_MODULES) && mv $@.tmp $@

$(MICROVM)/init: functions/init.c
	@install -d -m 755 $(@D)
	$(NATIVE_CC) $(NATIVE_CFLAGS) -Wall -Wextra $< -o $@.tmp && mv $@.tmp $@

# For --rootfs. The driver makes an initrd by itself, for any function.
$(MICROVM)/rootfs.ext4: $(MICROVM)/init $(foreach d,$(DEMOS),$(STORE)/demo/$(d)/native)
	@rm -rf $(MICROVM)/root && mkdir -p $(MICROVM)/root/dev $(MICROVM)/root/demo
	cp $(MICROVM)/init $(MICROVM)/root/init
	for d in $(DEMOS); do cp $(STORE)/demo/$$d/native $(MICROVM)/root/demo/$$d; done
	PATH="$$PATH:/usr/sbin:/sbin" mke2fs -q -t ext4 -d $(MICROVM)/root $@.tmp 8M && mv $@.tmp $@

# The tests of what makes groups and namespaces, where they meet cgroup v2 alone, as on a stock Debian. Python is not among
# them: it is built for this host's CPU, which the emulator is not. Nor is what takes the emulator minutes and is the same there:
# hostile functions, compiling, the upload server.
GUEST_TESTS := own_scope cgroup network driver
test-cgroup2: ## Run the drivers' tests once more in an emulated guest with cgroup v2 alone (root): minutes
	@if $(MAKE) --no-print-directory $(MICROVM)/vmlinux && said=$$(tools/in-guest true 2>&1); then \
	  IN_GUEST_SECONDS=1800 CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER=$(CURDIR)/tools/in-guest \
	  cargo test --workspace --release --locked --no-fail-fast $(addprefix --test ,$(GUEST_TESTS)) -- --show-output --skip python $(addprefix --skip ,hostile:: compile:: serve:: crowd:: users:: uploads::); \
	else echo "SKIPPED: tests in a guest with cgroup v2 alone: $${said:-no kernel, see above}"; fi

.PHONY: microvm-guest test-cgroup2
