"""A virtual machine as a guest: Debian's kernel in QEMU over this machine's files, the way of virtme-ng."""
