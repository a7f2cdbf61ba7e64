"""`testbed doctor`: what this machine can do, per datapath, what is missing and the command that mends it."""

from __future__ import annotations

import argparse
import os
from typing import Any

from testbed.cli import common
from testbed.cli.table import table
from testbed.datapaths import find
from testbed.datapaths.contract import DatapathOptions
from testbed.machine import features

# Without these no lab instance starts at all.
NEEDED = ("netns", "mininet", "veth", "bridge")


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("doctor", help="what this machine can do", description=__doc__)
    common.add_output(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Probe everything; exit code 3 if not even a lab instance can start."""
    report = examine()
    if arguments.output:
        common.print_json(report)
    else:
        print(_text(report))
    return 0 if report["ready"] else 3


def examine() -> dict[str, Any]:
    """All probes and what they mean for each datapath, as data."""
    found = features.features()
    return {
        "kernel": os.uname().release,
        "user": "root" if os.geteuid() == 0 else "ordinary",
        "ready": all(found[name].ok for name in NEEDED),
        "datapaths": [_datapath(name, options) for name in find.names() for options in find.choices(name)],
        "features": {n: {"ok": p.ok, "reason": p.reason, "fix": p.fix} for n, p in found.items()},
    }


def _datapath(name: str, options: DatapathOptions) -> dict[str, Any]:
    missing = find.load(name, options).missing(features.ThisMachine())
    told = [{"feature": m.feature, "reason": m.reason, "fix": m.fix} for m in missing]
    return {"name": name, "options": dict(options), "ok": not missing, "missing": told}


def _text(report: dict[str, Any]) -> str:
    datapaths = [
        (
            " ".join((d["name"], *map(str, d["options"].values()))),
            "yes" if d["ok"] else "no",
            "; ".join(f"{m['feature']}: {m['reason']}" for m in d["missing"]) or "-",
            "; ".join(m["fix"] for m in d["missing"]) or "-",
        )
        for d in report["datapaths"]
    ]
    rows = [
        (name, "yes" if f["ok"] else "no", f["reason"] or "-", f["fix"] or "-")
        for name, f in report["features"].items()
    ]
    head = f"kernel {report['kernel']}, {report['user']} user: "
    head += "lab instances can run here" if report["ready"] else "no lab instance can run here, see below"
    return "\n\n".join(
        (
            head,
            table(("DATAPATH", "HERE", "REASON", "FIX"), datapaths),
            table(("FEATURE", "HERE", "REASON", "FIX"), rows),
        )
    )
