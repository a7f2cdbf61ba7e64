"""Rules as a person types them, turned into what iptables-save prints of them.

iptables-save tells source, destination, device and protocol first, then the matches in the order in which they
were given, each with its own options in an order of its own, then the target. Knows that, and no kube-proxy.
Must not import testbed: it is what testbed is held against.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

HEAD = ("-s", "-d", "-i", "-o", "-p")
FULL_MASK = {"IPv4": "255.255.255.255", "IPv6": "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}
REJECT_WITH = {"IPv4": "icmp-port-unreachable", "IPv6": "icmp6-port-unreachable"}
LENGTH = {"IPv4": 32, "IPv6": 128}


def printed(rule: str, family: str) -> str:
    """The rule, without `-A CHAIN`, in iptables-save's spelling."""
    head, matches, target = _taken_apart(shlex.split(rule))
    words = [f"{head[option]}" for option in HEAD if option in head]
    words = [_address(word, family) for word in words]
    words += [" ".join(_match(match, family)) for match in matches]
    words += [" ".join(_target(target, family))] if target else []
    return " ".join(words)


def _taken_apart(words: list[str]) -> tuple[dict[str, str], list[list[str]], list[str]]:
    head: dict[str, str] = {}
    matches: list[list[str]] = []
    target: list[str] = []
    no = ""
    left = iter(words)
    for word in left:
        if word == "!":
            no = "! "
        elif word in HEAD:
            head[word], no = f"{no}{word} {next(left)}", ""
        elif word == "-m":
            matches.append([next(left)])
        elif word == "-j":
            target = list(left)
        else:
            matches[-1] += [f"{no}{word}"]
            no = ""
    return head, matches, target


def _address(word: str, family: str) -> str:
    if word.rsplit(" ", 2)[-2] in ("-s", "-d") and "/" not in word:
        return f"{word}/{LENGTH[family]}"
    return word


def _match(match: list[str], family: str) -> Iterator[str]:
    name, *options = match
    yield f"-m {name}"
    if name == "comment":
        yield f'--comment "{options[1]}"'
    elif name == "recent":
        place = options.index("--name")
        yield " ".join(options[:place] + options[place + 2 :])
        yield f"--name {options[place + 1]} --mask {FULL_MASK[family]} --rsource"
    elif options:
        yield " ".join(options)


def _target(target: list[str], family: str) -> Iterator[str]:
    name, *options = target
    yield f"-j {name}"
    if options[:1] == ["--or-mark"]:
        mark = int(options[1], 16)
        yield f"--set-xmark {mark:#x}/{mark:#x}"
    elif options[:1] == ["--xor-mark"]:
        yield f"--set-xmark {int(options[1], 16):#x}/0x0"
    elif name == "REJECT":
        yield f"--reject-with {REJECT_WITH[family]}"
    elif options:
        yield " ".join(options)
