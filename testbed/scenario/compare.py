"""The same Services under every datapath that a kernel has: a scenario's arms, made anew for each of them.

Each arm through a Service stands for every datapath in every variant; arms without one stay. What the kernel lacks
is told with its reason and fix, never passed over. Knows scenarios and the datapaths' contract; measures nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from testbed.errors import FeatureMissing, ManifestErrors
from testbed.kube.objects import Loaded
from testbed.scenario.spec import FILE, ArmSpec, Spec, read

COMMON = Path(__file__).parents[2] / "scenarios" / "compare"
"""The scenario whose client, target and probes serve where only manifests are given."""

SERVICES = 2  # beside manifests of one's own: the target, and one whose endpoint is changed to time a sync


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is to be measured, and what cannot be."""

    spec: Spec
    unsupported: tuple[str, ...]  # datapath and variant, reason, fix


def scenario_of(paths: Sequence[str], loaded: Loaded | None = None) -> Spec:
    """The scenario in a folder; or the common one with other manifests (`loaded`) in its cluster.

    Raises ManifestErrors.
    """
    if loaded is None:
        return read(Path(paths[0]))
    common = read(COMMON)
    taken = {_key(manifest.body) for manifest in common.loaded.manifests}
    twice = [manifest for manifest in loaded.manifests if _key(manifest.body) in taken]
    if twice:
        hint = "compare brings a Pod or Service of this name: take another"
        raise ManifestErrors([each.source.mistake("metadata.name", "is taken", hint) for each in twice])
    both = replace(loaded, manifests=(*common.loaded.manifests, *loaded.manifests))
    arms = tuple(_with(arm, SERVICES) for arm in _first_of_each(common.arms))
    cluster = loaded.cluster or common.loaded.cluster
    return replace(common, loaded=replace(both, cluster=cluster), arms=arms)


def is_scenario(paths: Sequence[str]) -> bool:
    """True if the one path is a scenario's folder or file."""
    return len(paths) == 1 and (Path(paths[0]).name == FILE or (Path(paths[0]) / FILE).is_file())


def comparison(spec: Spec, offered: Sequence[Mapping[str, Any]]) -> Comparison:
    """A scenario with an arm for every datapath here; `offered` is what `cluster.verbs.offered` tells of a machine.

    Raises FeatureMissing if there is none at all.
    """
    unsupported = [_unsupported(each) for each in offered if each["missing"]]
    kinds = [(each["name"], each["options"]) for each in offered if not each["missing"]]
    if not kinds:
        raise FeatureMissing(
            "compare", "; ".join(unsupported), "testbed doctor says what each datapath needs"
        )
    arms = [arm for arm in spec.arms if arm.path == "direct"]
    arms += [made for kind in kinds for made in _arms(spec.arms, *kind)]
    return Comparison(replace(spec, arms=tuple(arms)), tuple(unsupported))


def _unsupported(offered: Mapping[str, Any]) -> str:
    lacks = offered["missing"]
    reasons = "; ".join(f"{lack['feature']}: {lack['reason']}" for lack in lacks)
    fixes = "; ".join(dict.fromkeys(lack["fix"] for lack in lacks))
    words = " ".join((offered["name"], *map(str, offered["options"].values())))
    return f"{words} is not here: {reasons} (fix: {fixes})"


def _arms(arms: Sequence[ArmSpec], name: str, options: Mapping[str, Any]) -> Iterator[ArmSpec]:
    """For each number of Services that the scenario has, once."""
    for services in sorted({arm.services for arm in arms if arm.path == "service"}):
        variant = str(options.get("variant", ""))
        yield ArmSpec("-".join(filter(None, (name, variant))), name, variant, "service", services)


def _first_of_each(arms: Sequence[ArmSpec]) -> list[ArmSpec]:
    return list({arm.path: arm for arm in reversed(arms)}.values())[::-1]


def _with(arm: ArmSpec, services: int) -> ArmSpec:
    return arm if arm.path == "direct" else replace(arm, services=services)


def _key(body: dict[str, object]) -> tuple[object, ...]:
    metadata = body["metadata"]
    assert isinstance(metadata, dict)
    return body["kind"], metadata.get("namespace", "default"), metadata.get("name")
