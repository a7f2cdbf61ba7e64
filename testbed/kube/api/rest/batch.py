"""Our own endpoint: many manifests at once, all or none, as `testbed apply` wants it.

    POST /apis/testbed.dev/v1alpha1/apply   {"manifests": […], "mistakes": […], "dryRun": false}
    200  {"applied": [{"verb", "kind", "namespace", "name"}], "warnings": ["…"]}
    422  a Status whose member `testbed` holds the error with every mistake, its file and its line

Knows the manifests' form on the wire (`Manifest.to_json`).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from testbed.errors import Mistake, TestbedError
from testbed.kube.api.registry import Registry
from testbed.kube.api.rest import status
from testbed.kube.api.rest.body import mapping, shallow
from testbed.kube.api.rest.message import Request, Response, answer
from testbed.kube.objects import Manifest, Source
from testbed.kube.objects.kinds import CLUSTER
from testbed.kube.objects.validate import checked

PATH = "/apis/testbed.dev/v1alpha1/apply"
MAX_BYTES = 512 << 20  # our own command line has read the files already: this is no place to be strict


def apply(registry: Registry, request: Request) -> Response:
    """Bring the manifests in. Raises StatusError."""
    body = mapping(request)
    given, found, dry = body.get("manifests", []), body.get("mistakes", []), body.get("dryRun", False)
    if not (isinstance(given, list) and isinstance(found, list) and isinstance(dry, bool)):
        raise status.bad_request("a list of manifests is wanted, one of mistakes, and dryRun true or false")
    mistakes = [_mistake(item) for item in found]
    manifests = [manifest for item in given if (manifest := _manifest(item, mistakes))]
    try:
        applied = registry.apply(manifests, mistakes, dry_run=dry)
        doubts = registry.doubts(manifests)
    except TestbedError as error:
        raise status.of_error(error) from error
    return answer({"applied": [asdict(each) for each in applied], "warnings": doubts})


def _manifest(item: Any, mistakes: list[Mistake]) -> Manifest | None:
    """A manifest, made anew out of what was written: whatever came over the wire is checked here."""
    match item:
        case {
            "body": {"kind": str(), "metadata": dict()} as body,
            "source": {"file": str(file), "lines": dict(lines)},
        } if all(isinstance(line, int) for line in lines.values()):
            pass
        case _:
            raise status.bad_request("not a manifest as `testbed apply` sends it")
    written = item.get("written")
    if not isinstance(written, dict | None):
        raise status.bad_request("not a manifest as `testbed apply` sends it")
    source = Source(file, lines)
    new, errors = checked(shallow(written or body))
    mistakes += [source.mistake(error.path, error.message, error.hint) for error in errors]
    if new.get("kind") == CLUSTER.name:
        raise status.bad_request("a Cluster document describes a lab instance; it is not applied to one")
    return None if errors else Manifest(new, source, written)


def _mistake(item: Any) -> Mistake:
    match item:
        case {"file": str(file), "line": int(line), "path": str(path), "message": str(message), **rest}:
            return Mistake(file, line, path, message, str(rest.get("hint", "")))
    raise status.bad_request("not a mistake as `testbed apply` sends it")
