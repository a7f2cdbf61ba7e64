"""The first files of a virtual machine: the archive's format, and which modules come in which order."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from testbed.errors import FeatureMissing
from testbed.machine.kernels.vm import initramfs
from testbed.machine.kernels.vm.initramfs import Kernel, Start
from tests.require import require

START = Start(
    ("a program", "--with", "words"), {"PYTHONPATH": "/src"}, (Path("/results"), Path("/my results"))
)
HEADER = 110  # bytes: the magic and thirteen numbers of eight digits

DEPENDENCIES = """\
kernel/drivers/virtio/virtio_pci.ko: kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/virtio/virtio.ko: kernel/drivers/virtio/virtio_ring.ko
kernel/drivers/virtio/virtio_ring.ko:
kernel/drivers/char/virtio_console.ko: kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko
kernel/net/9p/9pnet_virtio.ko: kernel/net/9p/9pnet.ko
kernel/net/9p/9pnet.ko:
kernel/fs/9p/9p.ko.xz: kernel/net/9p/9pnet.ko
"""


def kernel(folder: Path, built_in: str = "kernel/fs/overlayfs/overlay.ko\n") -> Kernel:
    """A kernel's files, each module's content its own name."""
    (folder / "modules.dep").write_text(DEPENDENCIES)
    (folder / "modules.builtin").write_text(built_in)
    for line in DEPENDENCIES.splitlines():
        path = folder / line.partition(":")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        content = path.name.encode()
        path.write_bytes(lzma.compress(content) if path.suffix == ".xz" else content)
    return Kernel(folder / "vmlinuz", folder, "6.1")


def unpacked(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """The names in a "newc" archive, each with mode and content."""
    found, at = {}, 0
    while True:
        assert archive[at : at + 6] == b"070701"
        numbers = [int(archive[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        mode, size, length = numbers[1], numbers[6], numbers[11]
        name = archive[at + HEADER : at + HEADER + length - 1].decode()
        start = (at + HEADER + length + 3) // 4 * 4
        if name == "TRAILER!!!":
            return found
        found[name] = mode, archive[start : start + size]
        at = (start + size + 3) // 4 * 4


def test_an_archive_is_read_back_whatever_the_lengths() -> None:
    entries = [(f"file{'x' * n}", 0o100644, b"y" * n) for n in range(9)]
    assert unpacked(initramfs.archive(entries)) == {name: (mode, text) for name, mode, text in entries}


def test_a_module_comes_after_what_it_needs(tmp_path: Path) -> None:
    require("busybox")
    files = unpacked(initramfs.build(kernel(tmp_path), START))
    modules = [name.rpartition("-")[2] for name in files if name.startswith("modules/")]
    assert modules == ["virtio_ring.ko", "virtio.ko", "virtio_pci.ko", "virtio_console.ko", "9pnet.ko",
                       "9pnet_virtio.ko", "9p.ko"]  # fmt: skip


def test_compressed_modules_are_unpacked(tmp_path: Path) -> None:
    require("busybox")
    files = unpacked(initramfs.build(kernel(tmp_path), START))
    assert files["modules/06-9p.ko"] == (0o100755, b"9p.ko.xz")


def test_process_1_is_our_script_and_leads_to_the_start(tmp_path: Path) -> None:
    require("busybox")
    here = kernel(tmp_path)
    files = unpacked(initramfs.build(here, START))
    assert files["init"][1] == initramfs.SCRIPT.read_bytes()
    assert files["shares"][1] == b"/results\n/my results\n"
    assert files["start"][1].decode().splitlines() == [
        f"modules={here.modules}",
        "begin() { exec switch_root /root /usr/bin/env PYTHONPATH=/src 'a program' --with words; }",
    ]


def test_another_script_can_be_all(tmp_path: Path) -> None:
    require("busybox")
    files = unpacked(initramfs.build_alone(kernel(tmp_path), b"#!other"))
    assert files["init"] == (0o100755, b"#!other")
    assert "start" not in files


def test_a_kernel_without_a_module_that_must_be_there_is_refused(tmp_path: Path) -> None:
    require("busybox")
    with pytest.raises(FeatureMissing, match="kernel 6.1 has no module overlay"):
        initramfs.build(kernel(tmp_path, built_in=""), START)
