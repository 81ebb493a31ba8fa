# The Linux guest of the micro-VM rungs (firecracker-linux, qemu-tcg): kernel, /init, a root file system. Part of the
# top Makefile, whose BUILD, STORE, DEMOS, NATIVE_CC and NATIVE_CFLAGS it uses.

# The Debian package whose kernel is taken; it is unpacked, not installed.
MICROVM_KERNEL ?= linux-image-cloud-amd64

MICROVM     := $(BUILD)/microvm
MICROVM_SRC := tools/microvm-driver/guest

microvm-guest: $(MICROVM)/vmlinux $(MICROVM)/init $(MICROVM)/rootfs.ext4 ## Fetch and build what Linux guests of the micro-VM rungs boot

$(MICROVM)/vmlinux: $(MICROVM_SRC)/fetch-kernel
	@install -d -m 755 $(@D)
	$(MICROVM_SRC)/fetch-kernel $(MICROVM_KERNEL) $@.tmp && mv $@.tmp $@

$(MICROVM)/init: functions/init.c
	@install -d -m 755 $(@D)
	$(NATIVE_CC) $(NATIVE_CFLAGS) -Wall -Wextra $< -o $@.tmp && mv $@.tmp $@

# For --rootfs. The driver makes an initrd by itself, for any function.
$(MICROVM)/rootfs.ext4: $(MICROVM)/init $(foreach d,$(DEMOS),$(STORE)/demo/$(d)/native)
	@rm -rf $(MICROVM)/root && mkdir -p $(MICROVM)/root/dev $(MICROVM)/root/demo
	cp $(MICROVM)/init $(MICROVM)/root/init
	for d in $(DEMOS); do cp $(STORE)/demo/$$d/native $(MICROVM)/root/demo/$$d; done
	PATH="$$PATH:/usr/sbin:/sbin" mke2fs -q -t ext4 -d $(MICROVM)/root $@.tmp 8M && mv $@.tmp $@

.PHONY: microvm-guest
