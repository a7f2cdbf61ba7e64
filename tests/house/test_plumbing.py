"""The files around the code: what a fresh machine is made from, and that they agree with each other."""

from __future__ import annotations

import re
import subprocess
from importlib import metadata

import pytest

from tests.house.source import ROOT
from tests.require import require

REQUIREMENTS = ("requirements.txt", "requirements-dev.txt")


def pins(file: str) -> list[str]:
    lines = (ROOT / file).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("pin", [pin for file in REQUIREMENTS for pin in pins(file)])
def test_what_is_installed_is_what_is_pinned(pin: str) -> None:
    name, _, version = pin.partition("==")
    assert metadata.version(name) == version


def test_provisioning_is_the_same_make_deps() -> None:
    script = re.search(r"<<~SHELL\n(.*?)\n\s*SHELL", (ROOT / "Vagrantfile").read_text(), re.DOTALL)
    assert script is not None
    commands = [line.strip() for line in script.group(1).splitlines()]
    assert commands[-2:] == ["make deps", ".venv/bin/testbed doctor"]


def test_the_virtual_machine_loads_what_datapaths_need() -> None:
    text = (ROOT / "Vagrantfile").read_text()
    assert {"ip_vs", "dummy", "sch_netem", "ip_set", "nf_tables"} <= set(text.split())
    assert "/etc/modules-load.d/testbed.conf" in text


@pytest.mark.parametrize("provider", ["virtualbox", "libvirt"])
def test_the_virtual_machine_is_big_enough(provider: str) -> None:
    text = (ROOT / "Vagrantfile").read_text()
    block = re.search(rf'provider "{provider}" do \|machine\|(.*?)\n  end', text, re.DOTALL)
    assert block is not None
    assert "cpus = 2" in block.group(1)
    assert "memory = 4096" in block.group(1)


def test_the_vagrantfile_is_ruby() -> None:
    require("ruby")
    checked = subprocess.run(
        ["ruby", "-c", ROOT / "Vagrantfile"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


def test_ci_does_what_a_person_does() -> None:
    lines = (ROOT / ".ci/run").read_text().splitlines()
    assert "set -euo pipefail" in lines
    assert lines[-1] == "make test"


@pytest.mark.parametrize("script", [".ci/run", ".ci/deps", ".ci/vm"])
def test_scripts_can_be_started(script: str) -> None:
    assert (ROOT / script).stat().st_mode & 0o111
    shell = (ROOT / script).read_text().splitlines()[0].removeprefix("#!")
    checked = subprocess.run([shell, "-n", ROOT / script], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("target", ["deps", "vm", "check", "test", "test-vm", "bench", "golden", "clean"])
def test_make_explains_each_target(target: str) -> None:
    shown = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.search(rf"^  make {target} +\w", shown.stdout, re.MULTILINE)
