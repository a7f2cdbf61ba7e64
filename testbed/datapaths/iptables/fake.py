"""A node whose iptables is a few dictionaries: what the datapath's tests run on where no kernel is wanted.

Understands the programs, arguments and input lines that this datapath uses, and refuses what iptables-restore
refuses: unknown chains, rules that are not there, chains that are still in use, whatever `refuses` says.
"""

from __future__ import annotations

import copy
import re
import socket
from collections.abc import Callable, Sequence

from testbed.datapaths.iptables import ruleset
from testbed.datapaths.iptables.ruleset import BUILT_IN, Ruleset, Table
from testbed.errors import CommandFailed, KernelStateError
from testbed.machine.run import Result

_TARGET = re.compile(r"-j (KUBE-\S+)")


class FakeNode:
    """See `contract.Node`. `rulesets` is the state, by `iptables` and `ip6tables`."""

    def __init__(self, name: str = "node1", *, has_nfacct: bool = True) -> None:
        self.name = name
        self.rulesets: dict[str, Ruleset] = {"iptables": {}, "ip6tables": {}}
        self.counters: set[str] | None = set() if has_nfacct else None
        self.sysctls = {"net.ipv4.conf.all.route_localnet": "0"}
        self.refuses: Callable[[str], bool] = lambda _: False
        self.inputs: list[str] = []

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str | bytes | None = None,
        check: bool = True,  # noqa: ARG002 - the contract's signature
        timeout: float = 600.0,  # noqa: ARG002
    ) -> Result:
        """Do what the program would do. Raises CommandFailed as `machine.run` does."""
        program, *arguments = argv
        if program == "nfacct":
            return self._nfacct(argv)
        if program == "sysctl":
            return self._sysctl(argv, arguments)
        tool, _, verb = (*program.split("-"), "")[:3]
        if not verb:  # iptables-VARIANT -w SECONDS -t TABLE -S CHAIN
            *_, table, _, chain = arguments
            there = chain in self.rulesets[tool].get(table, Table()).chains
            return Result(tuple(argv), 0 if there else 1, "", "", 0.0)
        if verb == "save":
            return Result(tuple(argv), 0, ruleset.text(self.rulesets[tool]), "", 0.0)
        text = stdin if isinstance(stdin, str) else (stdin or b"").decode()
        self.inputs.append(text)
        self._restore(tool, text, argv)
        return Result(tuple(argv), 0, "", "", 0.0)

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """Raises KernelStateError: dictionaries announce nothing."""
        raise KernelStateError(f"{self.name} has no sockets ({family}, {kind}, {protocol})")

    def _nfacct(self, argv: Sequence[str]) -> Result:
        if self.counters is None:
            raise CommandFailed(argv, 127, "No such file or directory", where=self.name)
        if argv[1] == "list":
            listed = "".join(f"{{ pkts = 0, bytes = 0 }} = {name};\n" for name in self.counters)
            return Result(tuple(argv), 0, listed, "", 0.0)
        _, verb, name = argv
        done = (name in self.counters) == (verb == "delete")
        (self.counters.discard if verb == "delete" else self.counters.add)(name)
        return Result(tuple(argv), 0 if done else 1, "", "" if done else "Device or resource busy", 0.0)

    def _sysctl(self, argv: Sequence[str], arguments: list[str]) -> Result:
        if "-w" in arguments:
            name, _, value = arguments[-1].partition("=")
            self.sysctls[name] = value
        lines = [f"{name} = {self.sysctls[name]}\n" for name in arguments if name in self.sysctls]
        return Result(tuple(argv), 0, "".join(lines), "", 0.0)

    def _restore(self, tool: str, text: str, argv: Sequence[str]) -> None:
        """Each table changes at its COMMIT, so an error leaves the tables before it changed."""
        flush, name, table = "--noflush" not in argv, "", Table()
        for number, line in enumerate(text.splitlines(), 1):
            if line.startswith("*"):
                name = line[1:]
                table = _empty(name) if flush else copy.deepcopy(self._table(tool, name))
            elif line == "COMMIT":
                self.rulesets[tool][name] = table
            elif self.refuses(line) or not _done(table, line):
                raise CommandFailed(
                    argv, 2, f"line {number} failed", where=self.name, input_line=f"{number}: {line}"
                )

    def _table(self, tool: str, name: str) -> Table:
        return self.rulesets[tool].get(name) or _empty(name)


def _empty(name: str) -> Table:
    return Table({chain: [] for chain in BUILT_IN[name]}, dict.fromkeys(BUILT_IN[name], "ACCEPT"))


def _done(table: Table, line: str) -> bool:
    """Carry out one line of input; False if iptables would refuse it."""
    if line.startswith(":"):
        chain, policy, _ = line[1:].split()
        table.chains[chain] = []
        if policy != "-":
            table.policies[chain] = policy
        return True
    verb, _, rest = line.partition(" ")
    chain, _, rule = rest.partition(" ")
    if verb == "-X":
        used = any(f"-j {chain}" in each for rules in table.chains.values() for each in rules)
        return not used and table.chains.pop(chain, None) == []
    target = _TARGET.search(rule)
    if chain not in table.chains or (target and target[1] not in table.chains):
        return False
    return _changed(table.chains[chain], verb, rule)


def _changed(rules: list[str], verb: str, rule: str) -> bool:
    if verb == "-D":
        if rule not in rules:
            return False
        rules.remove(rule)
    else:
        rules.insert(0 if verb == "-I" else len(rules), rule)
    return True
