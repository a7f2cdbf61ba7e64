"""The command line of QEMU that boots a guest over this machine's files, in the way of virtme-ng.

The host's files come in by 9p, read-only; a share is a 9p export of its own that may be written to. The wire is a
port of a virtio serial device, the console a file. There is no network device at all. virtme-ng itself is not used:
its guests have a shell on the terminal, and here they have a wire, a console in a file and a jail around.
Knows QEMU's options; knows nothing of what runs in the guest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.machine.kernels.vm import initramfs, kvm
from testbed.machine.kernels.vm.find import QEMU
from testbed.machine.kernels.vm.initramfs import Kernel

WIRE = "/dev/vport0p1"  # in the guest: the first port of the first virtio serial device
EMULATION = ("-accel", "tcg,thread=multi", "-cpu", "max")
CPUS = 2
BARE = ("-machine", "pc", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot")


@dataclass(frozen=True, slots=True)
class Setting:
    """How a guest is booted. `init` is what runs as process 1 once the host's files are there."""

    init: Sequence[str]
    wire: int  # descriptor of a stream socket, which QEMU inherits
    console: Path
    shares: Sequence[Path]
    memory: int  # MiB


def prepare(kernel: Kernel, setting: Setting, folder: Path) -> list[str]:
    """Write the initramfs into a folder; the command line that boots it. Raises FeatureMissing."""
    first = folder / "initramfs"
    first.write_bytes(initramfs.build(kernel, shares=setting.shares))
    return argv(kernel, setting, first, fast=kvm.usable(kernel))


def argv(kernel: Kernel, setting: Setting, first: Path, *, fast: bool) -> list[str]:
    """The command line; `fast` with KVM."""
    # A guest that panics switches off at once: -no-reboot makes an end of a reboot.
    append = f"console=ttyS0 quiet panic=-1 testbed.modules={kernel.modules} -- {' '.join(setting.init)}"
    return [
        QEMU, *BARE, *(kvm.FLAGS if fast else EMULATION), "-smp", str(CPUS), "-m", f"{setting.memory}M",
        "-kernel", str(kernel.image), "-initrd", str(first), "-append", append,
        "-chardev", f"file,id=console,path={_quoted(setting.console)}", "-serial", "chardev:console",
        "-chardev", f"socket,id=wire,fd={setting.wire}",
        "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=wire,name=testbed.wire",
        *_export("host", Path("/"), ",readonly=on"),
        *(word for number, path in enumerate(setting.shares) for word in _export(f"share{number}", path)),
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
