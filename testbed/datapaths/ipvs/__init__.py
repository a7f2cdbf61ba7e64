"""kube-proxy's IPVS mode. README.md draws the packet's way and says what differs from the other modes."""

from testbed.datapaths.ipvs.datapath import datapath

CHOICES = ({"variant": "nft"}, {"variant": "legacy"})
"""The options under which the contract tests run this datapath."""

__all__ = ["CHOICES", "datapath"]
