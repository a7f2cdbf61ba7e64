"""The first files of a virtual machine: enough to mount this machine's own files and to go on in them.

Debian's kernel has neither 9p nor virtio built in, so an initramfs with these modules and a busybox comes first;
its script mounts the host's files, lays a tmpfs over them, and makes room for its own modules.
The archive's format is "newc" (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).
Knows modules and archives; knows nothing of QEMU.
"""

from __future__ import annotations

import lzma
import shlex
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.errors import FeatureMissing
from testbed.machine import features
from testbed.machine.run import run

MODULES = ("virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay")
FOLDERS = ("bin", "dev", "lower", "modules", "proc", "root", "rw", "sys")
DIRECTORY, FILE = 0o040755, 0o100755
SCRIPT = Path(__file__).with_name("init.sh")
Entry = tuple[str, int, bytes]
"""A name, a mode, a content."""
TRAILER = "TRAILER!!!"


@dataclass(frozen=True, slots=True)
class Kernel:
    """A distribution's kernel: its image, its modules, what `uname -r` says in it."""

    image: Path
    modules: Path  # .../lib/modules/RELEASE
    release: str


@dataclass(frozen=True, slots=True)
class Start:
    """What follows the initramfs: the program that becomes process 1, its environment, folders to write to."""

    argv: Sequence[str]
    env: Mapping[str, str]
    shares: Sequence[Path]


def build(kernel: Kernel, start: Start) -> bytes:
    """The initramfs that leads to `start`. Raises FeatureMissing if something for it is not installed."""
    return _built(kernel, SCRIPT.read_bytes(), (_start(kernel, start), _shares(start)))


def build_alone(kernel: Kernel, script: bytes) -> bytes:
    """An initramfs that leads nowhere: `script`, a program for busybox, is all. Raises FeatureMissing."""
    return _built(kernel, script, ())


def _built(kernel: Kernel, script: bytes, more: Iterable[Entry]) -> bytes:
    busybox = shutil.which("busybox", path=features.path())
    if busybox is None:
        raise FeatureMissing("kernel vm", "no program busybox", "make vm")
    entries: list[Entry] = [(name, DIRECTORY, b"") for name in FOLDERS]
    entries += [("init", FILE, script), ("bin/busybox", FILE, Path(busybox).read_bytes()), *more]
    for number, path in enumerate(_in_order(kernel)):
        entries.append((f"modules/{number:02}-{path.name.split('.')[0]}.ko", FILE, _plain(path)))
    return archive(entries)


def _start(kernel: Kernel, start: Start) -> Entry:
    env = [f"{name}={value}" for name, value in start.env.items()]
    begin = shlex.join(["exec", "switch_root", "/root", "/usr/bin/env", *env, *start.argv])
    text = f"modules={shlex.quote(str(kernel.modules))}\nbegin() {{ {begin}; }}\n"
    return "start", FILE, text.encode()


def _shares(start: Start) -> Entry:
    return "shares", FILE, "".join(f"{path}\n" for path in start.shares).encode()


def archive(entries: Iterable[Entry]) -> bytes:
    """Names, modes and contents as a "newc" archive."""
    parts = [_entry(number, *entry) for number, entry in enumerate(entries, 1)]
    return b"".join([*parts, _entry(0, TRAILER, 0, b"")])


def _entry(inode: int, name: str, mode: int, content: bytes) -> bytes:
    # ino, mode, uid, gid, nlink, mtime, filesize, maj, min, rmaj, rmin, namesize, chksum
    fields = (inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % number for number in fields) + name.encode() + b"\0"
    return _padded(head) + _padded(content)


def _padded(part: bytes) -> bytes:
    return part + b"\0" * (-len(part) % 4)


def _in_order(kernel: Kernel) -> Iterator[Path]:
    """The files of MODULES and of what they need, each after what it needs; what is built in has none."""
    needs = {_name(file): (file, rest.split()) for file, rest in _lines(kernel.modules / "modules.dep")}
    built_in = {_name(line) for line in (kernel.modules / "modules.builtin").read_text().split()}
    done: dict[str, None] = {}
    for module in MODULES:
        if module in needs:
            file, others = needs[module]
            done |= dict.fromkeys([*reversed(others), file])  # depmod(8): the last must be loaded first
        elif module not in built_in:
            raise FeatureMissing("kernel vm", f"kernel {kernel.release} has no module {module}", "make vm")
    return (kernel.modules / file for file in done)


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    for line in path.read_text().splitlines():
        file, _, rest = line.partition(":")
        yield file, rest


def _name(file: str) -> str:
    return file.rpartition("/")[2].split(".")[0].replace("-", "_")


def _plain(path: Path) -> bytes:
    """A module as the kernel takes it: distributions keep theirs plain, or compressed by xz or zstd."""
    content = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(content)
    if path.suffix != ".zst":
        return content
    if shutil.which("zstd") is None:
        raise FeatureMissing("kernel vm", f"no program zstd to unpack {path.name}", "apt-get install zstd")
    return _unpacked(path)


def _unpacked(path: Path) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "module.ko"
        run(["zstd", "-dq", str(path), "-o", str(target)])
        return target.read_bytes()
