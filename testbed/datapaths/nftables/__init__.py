"""kube-proxy's nftables mode, rule for rule. README.md draws the packet's way through the table."""

from testbed.datapaths.nftables.datapath import datapath

CHOICES: tuple[dict[str, str], ...] = ({},)
"""The options under which the contract tests run this datapath."""

__all__ = ["CHOICES", "datapath"]
