"""`testbed doctor`: what this machine can do, by datapath and kernel, what is missing and what mends it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from testbed.cli import common
from testbed.cli.table import table
from testbed.datapaths import find
from testbed.datapaths.contract import Datapath, DatapathOptions
from testbed.machine import features
from testbed.machine.kernels import GUESTS, KERNELS

if TYPE_CHECKING:
    from testbed.machine.kernels.offers import Offer

# Without these no lab instance starts at all.
NEEDED = ("netns", "mininet", "veth", "bridge")
WORDS = {True: "yes", False: "no", None: "?"}

Report = dict[str, Any]
"""What `-o json` prints: facts of the machine; under `kernels`, `datapaths` and `features` one entry for each."""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("doctor", help="what this machine can do", description=__doc__)
    parser.add_argument(
        "--probe", choices=GUESTS, action="append", default=[],
        help="boot this kernel and ask it anew (without it, what it said before is shown)",
    )  # fmt: skip
    common.add_output(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Probe everything; exit code 3 if not even a lab instance can start, or a kernel is not there."""
    for kernel in arguments.probe:
        _probe(kernel)
    from testbed.machine.kernels import offers

    report = report_of([offers.remembered(kernel) for kernel in KERNELS])
    if arguments.output:
        common.print_json(report)
    else:
        print(text_of(report))
    return 0 if report["ready"] else 3


def _probe(kernel: str) -> None:
    from testbed.machine.kernels import images, offers

    print(f"booting {kernel} to probe it ...", file=sys.stderr, flush=True)
    offers.look(images.find(kernel))


def report_of(known: Sequence[Offer]) -> Report:
    """What kernels offer, native first, and what that means for each datapath, as data."""
    return {
        "kernel": os.uname().release,
        "user": "root" if os.geteuid() == 0 else "ordinary",
        "ready": all(known[0].has(name) for name in NEEDED),
        "kernels": {offer.kernel: _kernel(offer) for offer in known},
        "datapaths": [
            _datapath(name, options, known) for name in find.names() for options in find.choices(name)
        ],
        "features": {
            name: {offer.kernel: _feature(name, offer) for offer in known} for name in features.names()
        },
    }


def _kernel(offer: Offer) -> Report:
    """A kernel: `ok` is null where there is one that nobody has probed."""
    if offer.lack is None:
        return {"ok": True, "release": offer.release, "reason": "", "fix": ""}
    return {"ok": _ok(offer, False), "release": "", "reason": offer.lack.reason, "fix": offer.lack.fix}


def _datapath(name: str, options: DatapathOptions, known: Sequence[Offer]) -> Report:
    datapath = find.load(name, options)
    verdicts = {offer.kernel: _verdict(datapath, offer) for offer in known}
    return {"name": name, "options": dict(options), "kernels": verdicts}


def _verdict(datapath: Datapath, offer: Offer) -> Report:
    missing = () if offer.lack else datapath.missing(offer)
    told = [{"feature": m.feature, "reason": m.reason, "fix": m.fix} for m in missing]
    return {"ok": _ok(offer, not missing), "missing": told}


def _feature(name: str, offer: Offer) -> Report:
    if offer.lack:
        return {"ok": _ok(offer, False), "reason": "", "fix": ""}
    probe = offer.probe(name)
    return {"ok": probe.ok, "reason": probe.reason, "fix": probe.fix}


def _ok(offer: Offer, ok: bool) -> bool | None:
    """What a kernel offers that is not there is nothing; of one that nobody has probed, nobody knows."""
    if offer.lack is None:
        return ok
    return None if offer.image else False


def text_of(report: Report) -> str:
    """The tables for people: by datapath, by feature, and why there is a `no`."""
    head = f"kernel {report['kernel']}, {report['user']} user: "
    head += "lab instances can run here" if report["ready"] else "no lab instance can run here, see below"
    kernels = tuple(kernel.upper() for kernel in report["kernels"])
    datapaths = [(_title(d), *_words(d["kernels"])) for d in report["datapaths"]]
    rows = [(name, *_words(told)) for name, told in report["features"].items()]
    parts = [head, table(("DATAPATH", *kernels), datapaths), table(("FEATURE", *kernels), rows)]
    lacks = list(dict.fromkeys(_lacks(report)))
    if lacks:
        parts.append(table(("KERNEL", "LACKS", "REASON", "FIX"), lacks))
    return "\n\n".join(parts)


def _title(datapath: Report) -> str:
    return " ".join((datapath["name"], *map(str, datapath["options"].values())))


def _words(told: Mapping[str, Report]) -> list[str]:
    return [WORDS[each["ok"]] for each in told.values()]


def _lacks(report: Report) -> Iterator[tuple[str, str, str, str]]:
    """Why there is a `no` or a `?`: kernels, then datapaths, then features, each with what mends it."""
    for kernel, told in report["kernels"].items():
        if told["reason"]:
            yield kernel, "(all)", told["reason"], told["fix"]
        for datapath in report["datapaths"]:
            for missing in datapath["kernels"][kernel]["missing"]:
                why = f"{missing['feature']}: {missing['reason']}"
                yield kernel, _title(datapath), why, missing["fix"]
        for name, each in report["features"].items():
            if each[kernel]["reason"]:
                yield kernel, name, each[kernel]["reason"], each[kernel]["fix"]
