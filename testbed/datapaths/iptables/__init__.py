"""kube-proxy's iptables mode, rule for rule. README.md draws the packet's way through the chains."""

from testbed.datapaths.iptables.datapath import datapath

CHOICES = ({"variant": "nft"}, {"variant": "legacy"})
"""The options under which the contract tests run this datapath."""

__all__ = ["CHOICES", "datapath"]
