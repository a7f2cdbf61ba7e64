"""What ipvsadm, ipset, ip and iptables-save print, as lines that can be compared: sorted, without what is drawn."""

from __future__ import annotations

import re

from tests.unit.datapaths import dumps

FOLDER = dumps.FOLDER / "ipvs"
PARTS = ("ipvsadm -Sn", "ipset save", "kube-ipvs0", "iptables-save", "ip6tables-save")

_FILES = {
    "ipvsadm -Sn": "ipvsadm-Sn.txt",
    "ipset save": "ipset-save.txt",
    "kube-ipvs0": "kube-ipvs0.txt",
    "iptables-save": "iptables-save.txt",
    "ip6tables-save": "ip6tables-save.txt",
}


def comparable(text: str) -> list[str]:
    """The lines without comments, packet counts and the numbers that hashes were seeded with."""
    plain = re.sub(r" initval \S+|\[\d+:\d+\]", "", text)
    return sorted(line.rstrip() for line in plain.splitlines() if line and not line.startswith("#"))


def dump(part: str) -> list[str]:
    """What the real kube-proxy left; the device's line is its name, its state and its addresses."""
    text = (FOLDER / _FILES[part]).read_text()
    return comparable("\n".join(text.split()[2:]) if part == "kube-ipvs0" else text)


def text_of(rendered: str, part: str) -> str:
    """One part of the rendered text."""
    _, _, rest = rendered.partition(f"# {part}\n")
    return rest.partition("\n# ")[0]


def parts(rendered: str) -> dict[str, list[str]]:
    """The rendered text by parts."""
    return {part: comparable(text_of(rendered, part)) for part in PARTS}
