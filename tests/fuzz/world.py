"""A cluster without a kernel: store, API, controllers, a proxier, and what must be so whatever came in.

Knows where a damaged thing can go in. A round is its number: the same one does the same again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml

from testbed.cli.describing import describe
from testbed.cluster.agent import WATCHED, facts
from testbed.datapaths.iptables.render import text
from testbed.errors import ManifestErrors, StatusError
from testbed.kube.api.rest import Api, Request
from testbed.kube.client import Client
from testbed.kube.client.http import Request as Asked
from testbed.kube.objects import KINDS, Loaded, field_errors, load_text
from testbed.kube.store import EventType, Object
from testbed.proxier.plan import NodePlan
from testbed.proxier.proxier import Proxier
from tests.unit.kube.api.builders import cluster
from tests.unit.kube.controllers.playground import Playground

SEEDS: list[Object] = yaml.safe_load(Path(__file__).with_name("seeds.yaml").read_text())
PATIENCE = 20.0  # seconds within which controllers must have found their rest
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


class _Direct:
    """The client's way to an API that is in the same process."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def call(self, asked: Asked) -> Any:
        """The answer's JSON. Raises StatusError."""
        target = urlsplit(asked.target)
        query = dict(parse_qsl(target.query, keep_blank_values=True))
        response = self._api.handle(Request(asked.method, target.path, query, {"accept": asked.accept}))
        assert isinstance(response.body, bytes)
        if response.code >= 400:
            raise StatusError(json.loads(response.body))
        return json.loads(response.body)


class _DirectClient(Client):
    def __init__(self, api: Api) -> None:
        super().__init__(Path("/nonexistent"))
        self._transport = _Direct(api)  # type: ignore[assignment]


class World:
    """Three nodes, with all that the seeds describe."""

    def __init__(self) -> None:
        self.play = Playground()
        self.store = self.play.store
        self.api = Api(self.store, self.play.registry, lambda *_: Path("/nonexistent"), now=self.play.clock)
        self._watch = self.store.watch(WATCHED)
        node = self.play.get("Node", "node1", "")
        self._facts = facts(node, cluster())
        self._proxier = Proxier(self._facts, node["metadata"]["labels"])
        sound = [seed for seed in SEEDS if seed["kind"] != "Cluster"]
        self.apply(load_text(yaml.safe_dump_all(sound), "seeds.yaml"))
        self.follow()

    @property
    def plan(self) -> NodePlan:
        """What node1 must do now."""
        return self._proxier.plan

    def apply(self, loaded: Loaded) -> None:
        """Bring in what was read."""
        self.play.registry.apply(loaded.manifests)
        self.play.registry.doubts(loaded.manifests)

    def read(self, text_: str) -> None:
        """A file that somebody applies: objects or a complaint with its line."""
        try:
            loaded = load_text(text_, "f.yaml")
        except ManifestErrors as error:
            assert all(mistake.line >= 1 and mistake.message for mistake in error.mistakes)
            assert str(error)
            return
        self._unchanged_if_refused(loaded)

    def _unchanged_if_refused(self, loaded: Loaded) -> None:
        before = self.store.version
        try:
            self.apply(loaded)
        except ManifestErrors:
            assert self.store.version == before, "a refused apply changed something"

    def ask(self, request: Request) -> int:
        """A request: its answer is JSON or a stream, a failure a Status, and a refused write wrote nothing."""
        before = self.store.version
        response = self.api.handle(request)
        if not isinstance(response.body, bytes):
            next(response.body)
            response.body.close()
            return response.code
        if response.code >= 400:
            told = json.loads(response.body)
            assert (told["kind"], told["code"]) == ("Status", response.code)
            assert response.code in range(400, 500) or told["reason"] == "Timeout", told
            assert told["message"], told
            assert self.store.version == before, f"{response.code}, but something was written"
        elif response.content_type.startswith("application/json"):
            json.loads(response.body)
        return response.code

    def follow(self) -> None:
        """What follows from it: controllers, kubelets' words, the plan of a node."""
        assert self.play.manager.settle(PATIENCE), "the controllers find no rest"
        for pod in self.store.list("Pod", "default"):
            if not pod["status"].get("podIPs") and pod["spec"].get("nodeName"):
                self.play.report(pod["metadata"]["name"])
        events = self._watch.drain()
        self._proxier.update(
            (e.object["kind"], e.old, None if e.type is EventType.DELETED else e.object) for e in events
        )

    def check(self) -> None:
        """What must be so at any time."""
        services = [obj["spec"] for obj in self.store.list("Service")]
        _once(ip for spec in services for ip in spec.get("clusterIPs", ()) if ip != "None")
        _once(port for spec in services for port in _node_ports(spec))
        client = _DirectClient(self.api)
        for kind in self.store.kinds():
            for obj in self.store.list(kind):
                assert field_errors(_written(obj)) == [], obj
                describe(obj, client, self.play.clock())
            group = KINDS[kind].api_version
            path = f"/{'api' if group == 'v1' else 'apis'}/{group}/{KINDS[kind].plural}"
            assert self.ask(Request("GET", path, headers={"accept": TABLE})) == 200
        self.check_plan()

    def check_plan(self) -> str:
        """The plan made step by step is that of a full pass; returns the rules that it becomes."""
        whole = Proxier(self._facts, self.play.get("Node", "node1", "")["metadata"].get("labels") or {})
        whole.update((kind, None, obj) for kind in WATCHED for obj in self.store.list(kind))
        assert whole.plan.services == self._proxier.plan.services, "a full pass plans otherwise"
        return text(whole.plan)


def _once(values: Any) -> None:
    twice = [value for value, count in Counter(values).items() if count > 1]
    assert not twice, f"held twice: {twice}"


def _node_ports(spec: Mapping[str, Any]) -> list[tuple[str, int]]:
    found = [(port["protocol"], port["nodePort"]) for port in spec.get("ports", ()) if port.get("nodePort")]
    return found + ([("TCP", spec["healthCheckNodePort"])] if spec.get("healthCheckNodePort") else [])


def _written(obj: Object) -> Object:
    """As a user would write it: what the server and the controllers say is not judged by the rules for users."""
    return {name: value for name, value in obj.items() if name != "status"}


def dice(number: int) -> Random:
    """A round's own dice."""
    return Random(f"fuzz {number}")
