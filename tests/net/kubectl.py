"""A stock kubectl, whichever version is on PATH, as who deployed a lab instance uses it.

Knows how it is started and what its tables look like; knows nothing of what is asked.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.net import manifests as m
from tests.net.command import ROOT, SECONDS, Command, Done

PORTS = [{"name": "http", "port": 80, "targetPort": 8080}]


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl with the kubeconfig of a lab, in the home of who deployed that."""

    lab: Command
    namespace: str = "default"

    @property
    def home(self) -> Path:
        return self.lab.person.home

    @property
    def env(self) -> dict[str, str]:
        return {**self.lab.person.env, "KUBECONFIG": str(self.home / "config"), "HOME": str(self.home)}

    def run(self, *arguments: str, stdin: str = "", **env: str) -> Done:
        """Run it to its end, whatever that is."""
        argv = [
            *self.lab.person.prefix,
            "kubectl",
            f"--cache-dir={self.home}/cache",
            "-n",
            self.namespace,
            *arguments,
        ]
        return subprocess.run(
            argv, cwd=ROOT, env={**self.env, **env}, input=stdin, capture_output=True, text=True, check=False,
            timeout=SECONDS,
        )  # fmt: skip

    def ok(self, *arguments: str, stdin: str = "", **env: str) -> str:
        """Run it; it must succeed. What it printed."""
        done = self.run(*arguments, stdin=stdin, **env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def table(self, *arguments: str) -> list[list[str]]:
        """What `get` prints: rows of words, two spaces or more apart."""
        return [re.split(r"\s{2,}", line.strip()) for line in self.ok("get", *arguments).splitlines()]

    def object(self, *arguments: str) -> dict[str, Any]:
        """An object, or a list, as JSON."""
        found: dict[str, Any] = json.loads(self.ok("get", "-o", "json", *arguments))
        return found


def given(lab: Command) -> Kubectl:
    """kubectl for who deployed the lab."""
    lab.ok("kubeconfig", "-o", str(lab.person.home / "config"))
    return Kubectl(lab)


def service(**spec: Any) -> str:
    """A Service as YAML, its address left to the server."""
    body = {"selector": {"app": "shop"}, "ports": PORTS} | spec
    return m.text({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "shop"}, "spec": body})


def deployment(replicas: int = 1, **fields: Any) -> str:
    """A Deployment as YAML."""
    return m.text(m.deployment(replicas, "shop", **fields))
