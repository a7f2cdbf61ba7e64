"""Tries packet cases one after the other, as it is told: what runs inside a guest, or as a process of its own.

One JSON document per line on standard input, one on standard output; everything else that is printed goes to
standard error:

    {"path": "tests/cases/x/y.yaml", "text": TEXT, "arm": {"datapath", "feature", "options"}}
        -> {"told": TEXT}          what went otherwise than the case says; empty if nothing did
        -> {"error": TEXT}         what kept the case from being judged

Lab instances are kept from case to case (`labs.py`), so whoever asks should send cases of one shape in a row. They
are destroyed when the input ends. Knows cases and labs; knows nothing of where it runs.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from testbed.errors import TestbedError
from tests.net import case_file
from tests.net.arms import Arm
from tests.net.lab import deployed
from tests.net.labs import Labs
from tests.net.starting import ByFork
from tests.net.trial import complaint


def answer(labs: Labs, request: Mapping[str, Any]) -> dict[str, str]:
    """Try one case."""
    arm = Arm(**request["arm"])
    try:
        case = case_file.parse(request["text"], Path(request["path"])).under(arm.datapath)
        with labs.borrowed(arm.cluster(case)) as lab:
            return {"told": complaint(lab, case)}
    except TestbedError as error:
        return {"error": f"{type(error).__name__}: {error}"}


def conversation() -> TextIO:
    """What the answers go to; from now on whatever prints prints to standard error."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answers


def main() -> None:
    """Answer requests until the input ends."""
    answers, labs = conversation(), Labs(partial(deployed, starter=ByFork()))
    try:
        for line in sys.stdin:
            answers.write(json.dumps(answer(labs, json.loads(line))) + "\n")
            answers.flush()
    finally:
        labs.close()


if __name__ == "__main__":
    main()
