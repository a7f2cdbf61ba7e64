"""The volumes of a pod as files, for containers that run a program: ConfigMaps, Secrets, downward API, empty ones.

Knows core/v1 volumes and how their items become files (pkg/volume). Knows no mount: `processes.py` puts the files
where the container wants them. What has no files here (claims, paths of the host) is told, not guessed. A volume
is written when its container starts; what changes later is seen by the next start.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from testbed.cluster.kubelet.contract import Mount
from testbed.cluster.kubelet.environment import Surroundings, field_value, held
from testbed.errors import UsageError

MADE = frozenset({"configMap", "downwardAPI", "emptyDir", "projected", "secret"})

Json = Mapping[str, Any]
Files = dict[str, bytes]


def not_made(pod: Json, container: Json) -> list[str]:
    """The volumes that a container mounts and that are not made here, each as `name (kind)`."""
    wanted = {mount["name"] for mount in container.get("volumeMounts") or ()}
    volumes = [volume for volume in pod["spec"].get("volumes") or () if volume["name"] in wanted]
    kinds = {volume["name"]: sorted(volume.keys() - MADE - {"name"}) for volume in volumes}
    return [f"{name} ({', '.join(kind)})" for name, kind in kinds.items() if kind]


def lay_out(container: Json, folder: Path, around: Surroundings) -> Iterator[Mount]:
    """Write a container's volumes below the pod's `folder`, and say where each belongs.

    Raises UsageError in kubelet's words for a ConfigMap or Secret, or a key in one, that is not there.
    """
    volumes = {volume["name"]: volume for volume in around.pod["spec"].get("volumes") or ()}
    for mount in container.get("volumeMounts") or ():
        volume, place = volumes.get(mount["name"], {}), folder / mount["name"]
        if not MADE & volume.keys():
            continue
        place.mkdir(parents=True, exist_ok=True)
        _write(place, _files(volume, around))
        empty = "emptyDir" in volume
        yield Mount(_part(place, mount, empty), mount["mountPath"], bool(mount.get("readOnly")) or not empty)


def _part(place: Path, mount: Json, empty: bool) -> Path:
    """The volume, or what subPath names in it."""
    source = _inside(place, mount.get("subPath") or ".")
    if empty:
        source.mkdir(parents=True, exist_ok=True)
    elif not source.exists():
        raise UsageError(f'volume "{mount["name"]}" has no {mount["subPath"]}')
    return source


def _files(volume: Json, around: Surroundings) -> Files:
    """What is in a volume, by path."""
    match volume:
        case {"configMap": source}:
            return _items("ConfigMap", source, around)
        case {"secret": source}:
            return _items("Secret", {**source, "name": source.get("secretName", "")}, around)
        case {"downwardAPI": source}:
            return _downward(source, around)
        case {"projected": {"sources": [*sources]}}:
            return _projected(sources, around)
    return {}


def _projected(sources: Sequence[Json], around: Surroundings) -> Files:
    """All parts in one folder; tokens of a service account are left out: nobody here would take one."""
    found: Files = {}
    for source in sources:
        match source:
            case {"configMap": part}:
                found |= _items("ConfigMap", part, around)
            case {"secret": part}:
                found |= _items("Secret", part, around)
            case {"downwardAPI": part}:
                found |= _downward(part, around)
    return found


def _items(kind: str, source: Json, around: Surroundings) -> Files:
    """Every key, or those that `items` chooses, under the path that it gives them."""
    values = held(kind, source, around)
    if not source.get("items"):
        return values
    lost = [item["key"] for item in source["items"] if item["key"] not in values]
    if lost and not source.get("optional"):
        raise UsageError(f"{kind.lower()} references non-existent config key: {lost[0]}")
    return {item["path"]: values[item["key"]] for item in source["items"] if item["key"] in values}


def _downward(source: Json, around: Surroundings) -> Files:
    items = [item for item in source.get("items") or () if "fieldRef" in item]
    return {item["path"]: _field(item["fieldRef"]["fieldPath"], around).encode() for item in items}


def _field(path: str, around: Surroundings) -> str:
    """All labels or annotations are lines of key="value" (fieldpath.FormatMap)."""
    if path not in ("metadata.labels", "metadata.annotations"):
        return field_value(path, around)
    values = around.pod["metadata"].get(path.partition(".")[2]) or {}
    return "\n".join(f'{key}="{value}"' for key, value in sorted(values.items()))


def _inside(place: Path, path: str) -> Path:
    found = place / path
    if not found.resolve().is_relative_to(place.resolve()):
        raise UsageError(f"{path}: must not lead out of the volume")
    return found


def _write(place: Path, files: Files) -> None:
    for name, data in files.items():
        file = _inside(place, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
