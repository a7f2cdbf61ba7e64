"""Our own endpoint: many manifests at once, all or none, as `testbed apply` wants it.

    POST /apis/testbed.dev/v1alpha1/apply   {"manifests": […], "mistakes": […], "dryRun": false}
    200  {"applied": [{"verb", "kind", "namespace", "name"}]}
    422  a Status whose member `testbed` holds the error with every mistake, its file and its line

Knows the manifests' form on the wire (`Manifest.to_json`).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from testbed.errors import Mistake, TestbedError
from testbed.kube.api.registry import Registry
from testbed.kube.api.rest import status
from testbed.kube.api.rest.body import mapping
from testbed.kube.api.rest.message import Request, Response, answer
from testbed.kube.objects import KINDS, Manifest, Source

PATH = "/apis/testbed.dev/v1alpha1/apply"
MAX_BYTES = 512 << 20  # our own command line has read the files already: this is no place to be strict


def apply(registry: Registry, request: Request) -> Response:
    """Bring the manifests in. Raises StatusError."""
    body = mapping(request)
    given, dry = body.get("manifests", []), body.get("dryRun", False)
    if not isinstance(given, list) or not isinstance(dry, bool):
        raise status.bad_request("a list of manifests is wanted, and dryRun true or false")
    manifests = [_manifest(item) for item in given]
    mistakes = [_mistake(item) for item in body.get("mistakes") or ()]
    try:
        applied = registry.apply(manifests, mistakes, dry_run=dry)
    except TestbedError as error:
        raise status.of_error(error) from error
    return answer({"applied": [asdict(each) for each in applied]})


def _manifest(item: Any) -> Manifest:
    match item:
        case {
            "body": {"kind": str(kind), "metadata": {"name": str()}} as body,
            "source": {"file": str(), "lines": dict()} as source,
        } if kind in KINDS and isinstance(item.get("written"), dict | None):
            return Manifest(body, Source.from_json(source), item.get("written"))
    raise status.bad_request("not a manifest as `testbed apply` sends it")


def _mistake(item: Any) -> Mistake:
    match item:
        case {"file": str(file), "line": int(line), "path": str(path), "message": str(message), **rest}:
            return Mistake(file, line, path, message, str(rest.get("hint", "")))
    raise status.bad_request("not a mistake as `testbed apply` sends it")
