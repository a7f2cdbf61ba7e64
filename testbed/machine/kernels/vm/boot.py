"""The command line of QEMU that boots a guest over this machine's files, in the way of virtme-ng.

The host's files come in by 9p, read-only; a share is a 9p export of its own that may be written to. The wire is a
port of a virtio serial device; there is no disk and no network device. virtme-ng itself is not used: its guests
have a shell on the terminal, and here they have a wire, a console in a file and a jail around.
Knows QEMU's options; knows nothing of what runs in the guest.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from testbed.machine.kernels.plan import SOURCES, Plan, init_argv
from testbed.machine.kernels.vm import find, initramfs, kvm
from testbed.machine.kernels.vm.initramfs import Kernel, Start

WIRE = "/dev/vport0p1"  # in the guest: the first port of the first virtio serial device
EMULATION = ("-accel", "tcg,thread=multi", "-cpu", "max")
CPUS = 2
# A guest that panics switches off at once: -no-reboot makes an end of a reboot.
BARE = (
    "-machine",
    "pc",
    "-nodefaults",
    "-no-user-config",
    "-display",
    "none",
    "-no-reboot",
    "-serial",
    "stdio",
)
APPEND = "console=ttyS0 quiet panic=-1"


def before() -> None:
    """Find out whether KVM works here, and remember it: in a jail nothing can be remembered."""
    kvm.usable(find.kernel())


def prepare(plan: Plan) -> list[str]:
    """Write the initramfs into the private folder; the command line. Raises FeatureMissing."""
    kernel = find.kernel()
    first = plan.private / "initramfs"
    env = {"PYTHONPATH": str(SOURCES)}
    first.write_bytes(initramfs.build(kernel, Start(init_argv(WIRE), env, plan.shares)))
    return argv_of(plan, kernel, first, fast=kvm.usable(kernel))


def argv_of(plan: Plan, kernel: Kernel, first: Path, *, fast: bool) -> list[str]:
    """The command line; `fast` with KVM."""
    return [
        find.qemu(), *BARE, *(kvm.FLAGS if fast else EMULATION), "-smp", str(CPUS), "-m", f"{plan.memory}M",
        "-kernel", str(kernel.image), "-initrd", str(first), "-append", APPEND,
        "-chardev", f"socket,id=wire,fd={plan.wire}",
        "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=wire,name=testbed.wire",
        *_export("host", Path("/"), ",readonly=on"),
        *(word for number, path in enumerate(plan.shares) for word in _export(f"share{number}", path)),
    ]  # fmt: skip


def _export(tag: str, path: Path, options: str = "") -> Iterator[str]:
    """A folder for the guest. `multidevs=remap`: file systems below it may have the same inode numbers."""
    yield "-fsdev"
    yield f"local,id={tag},path={_quoted(path)},security_model=none,multidevs=remap{options}"
    yield "-device"
    yield f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"


def _quoted(path: Path) -> str:
    """A path within an option of QEMU, which takes a doubled comma for one."""
    return str(path).replace(",", ",,")
