"""`testbed compare`: the same manifests under every datapath that the kernel has, measured side by side."""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from pathlib import Path

from testbed.cli import bench, common
from testbed.errors import FeatureMissing
from testbed.machine.kernels import AUTO, NATIVE

EPILOG = """examples:
  testbed compare scenarios/compare            testbed compare my-app.yaml --kernel uml
  testbed compare cluster.yaml services/ --repeats 3 --out results/mine"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "compare", help="measure every datapath", description=__doc__, epilog=EPILOG
    )
    parser.add_argument("what", nargs="+", help="a scenario's folder, or manifests: files and folders")
    bench.add_measuring(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Choose the kernel, expand the arms there, measure, report; says what could not be compared."""
    from testbed.scenario import compare  # here, since it loads what only a measurement needs

    bench.check_measuring(arguments)
    own = None if compare.is_scenario(arguments.what) else common.load_files(arguments.what)
    spec = compare.scenario_of(arguments.what, own)
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    out = (arguments.out or Path("results") / f"{spec.name}-{stamp}").absolute()
    kernel = _kernel(arguments, spec.kernel)
    if kernel != NATIVE:
        words = ["--kernel", NATIVE, "--out", str(out), "--command", json.dumps(bench.command(arguments))]
        return common.run_in_guest(kernel, [*sys.argv[1:], *words], out.parent)
    from testbed.cluster.verbs import offered
    from testbed.machine.features import ThisMachine

    found = compare.comparison(spec, offered(ThisMachine()))
    for line in found.unsupported:
        common.caution(line)
    return bench.measure(arguments, found.spec, out, found.unsupported)


def _kernel(arguments: argparse.Namespace, written: str | None) -> str:
    """With `auto` the first kernel that has every datapath, or else the native one with what it has."""
    from testbed.cluster import launch
    from testbed.datapaths import find
    from testbed.kube.objects import default_cluster
    from testbed.machine.kernels import choose
    from testbed.machine.kernels.choose import Lack, Need
    from testbed.machine.kernels.offers import Offer

    if choose.wanted(arguments.kernel, written) != AUTO:
        return common.kernel_for(arguments, Need("compare", lambda _: ()), written)
    kinds = [(name, options) for name in find.names() for options in find.choices(name)]
    needs = [launch.need(default_cluster().with_mode(*kind)) for kind in kinds]

    def lacks(offer: Offer) -> list[Lack]:
        found = [lack for each in needs for lack in each.lacks(offer)]
        return list({(lack.feature, lack.reason): lack for lack in found}.values())

    try:
        return common.kernel_for(arguments, Need("all datapaths", lacks), written)
    except FeatureMissing:
        return NATIVE
