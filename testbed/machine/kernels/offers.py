"""What each kernel offers: `native` is probed now; a guest's kernel was probed inside itself, which is remembered.

A guest takes seconds to boot, under emulation a minute, so what its probes said is kept as JSON beside its kernel,
or, where that folder is somebody else's, in the user's cache folder. The file's name has a hash of all that the
answers hang on: the kernel's image, the probes as they are written, and which of the programs that they call are
there. So an old answer is never believed, and nothing has to be thrown away by hand.
Knows images, probes and files; knows nothing of what a datapath needs.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from testbed.errors import FeatureMissing, TestbedError
from testbed.machine import features
from testbed.machine.features import Probe
from testbed.machine.kernels import NATIVE, images
from testbed.machine.kernels.images import Image
from testbed.machine.run import run

PROBE_SECONDS = 600.0  # under emulation, each of some twenty probes starts a dozen processes
KEY_LETTERS = 16


@dataclass(frozen=True, slots=True)
class Offer:
    """A kernel, and what its probes said; a `datapaths.contract.Machine`.

    `lack` says why there are no probes: there is no such kernel here, or nobody has asked it yet.
    """

    kernel: str
    release: str = ""
    probes: Mapping[str, Probe] = field(default_factory=dict)
    lack: FeatureMissing | None = None
    image: Image | None = None

    @property
    def probed(self) -> bool:
        return bool(self.probes)

    def probe(self, feature: str) -> Probe:
        """What the probe of a feature said."""
        if feature in self.probes:
            return self.probes[feature]
        reason = self.lack.reason if self.lack else f"nobody knows a feature {feature!r}"
        return Probe(False, reason)

    def has(self, feature: str) -> bool:
        """True if a probe showed the feature."""
        return self.probe(feature).ok

    def why_not(self, feature: str) -> str:
        """What the probe said, for a feature that is not there."""
        return self.probe(feature).reason


class _Native(Offer):
    """This kernel: a feature is probed when it is asked for, and no other is."""

    __slots__ = ()

    def probe(self, feature: str) -> Probe:
        return features.probe(feature)


def native() -> Offer:
    """This kernel, with nothing probed before it is asked for."""
    return _Native(NATIVE, os.uname().release)


def remembered(kernel: str) -> Offer:
    """What is known of a kernel without booting anything."""
    if kernel == NATIVE:
        return native()
    try:
        image = images.find(kernel)
    except FeatureMissing as lack:
        return Offer(kernel, lack=lack)
    return recalled(image)


def recalled(image: Image) -> Offer:
    """What the probes of this kernel have said, if anybody has asked."""
    for place in _places(image):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return _offer(image, json.loads(place.read_text()))
    fix = f"testbed doctor --probe {image.kernel}"
    return Offer(
        image.kernel, lack=FeatureMissing(f"kernel {image.kernel}", "not probed yet", fix), image=image
    )


def known(kernel: str) -> Offer:
    """What a kernel offers; it is booted and asked if nobody has done that yet.

    A guest that does not boot offers nothing, and the error becomes its `lack`.
    """
    offer = remembered(kernel)
    if offer.probed or offer.image is None:
        return offer
    try:
        return look(offer.image)
    except TestbedError as error:
        fix = f"testbed doctor --probe {kernel} tries again"
        return Offer(kernel, lack=FeatureMissing(f"kernel {kernel}", f"does not boot: {error}", fix))


def look(image: Image) -> Offer:
    """Boot the kernel, run all probes inside, and remember what they said. Raises TestbedError if that fails."""
    from testbed.machine.kernels import guests  # here: whoever only reads what is remembered boots nothing

    with guests.running(image.kernel) as guest:
        argv = guest.argv([sys.executable, "-m", "testbed.machine.kernels.guest.look"])
        said = run(argv, timeout=PROBE_SECONDS).stdout
    told = json.loads(said)
    remember(image, told)
    return _offer(image, told)


def _offer(image: Image, told: Mapping[str, Any]) -> Offer:
    probes = {name: Probe(**said) for name, said in told["features"].items()}
    return Offer(image.kernel, told["release"], probes, image=image)


def told() -> dict[str, Any]:
    """All probes of the kernel that we run on, as they are remembered."""
    found = {name: asdict(probe) for name, probe in features.features().items()}
    return {"release": os.uname().release, "features": found}


def remember(image: Image, said: Mapping[str, Any]) -> None:
    """Keep what the probes of a kernel said, where we may; nobody reads half of it."""
    for place in _places(image):
        with contextlib.suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            new = place.with_name(f".{place.name}.{os.getpid()}")
            new.write_text(json.dumps(said, indent=1))
            new.replace(place)
            return


def _places(image: Image) -> Iterator[Path]:
    """Where the answers of this kernel may be: beside it, where all users find them, and in the user's cache."""
    name = f"offers-{_key(image)}.json"
    yield image.path.parent / name
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    yield Path(cache) / "testbed" / f"{image.kernel}-{name}"


def _key(image: Image) -> str:
    programs = {name: shutil.which(name, path=features.path()) is not None for name in features.programs()}
    parts = (image.key, Path(features.__file__).read_text(), json.dumps(programs, sort_keys=True))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:KEY_LETTERS]
