"""kube-proxy's iptables mode, rule for rule. README.md draws the packet's way through the chains."""

from testbed.datapaths.iptables.datapath import datapath

__all__ = ["datapath"]
