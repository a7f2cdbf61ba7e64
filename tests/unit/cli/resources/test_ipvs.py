"""The text of `ipvsadm -ln` as rows."""

from __future__ import annotations

from testbed.cli.resources.ipvs import parsed, text

SHOWN = """IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  10.96.0.10:80 rr persistent 600
  -> 10.244.0.5:8080              Masq    1      3          0         
  -> 10.244.1.5:8080              Masq    0      1          2         
UDP  [fd00:10:96::a]:53 mh (mh-port)
TCP  192.168.0.1:30080 wlc
  -> [fd00:10:244::5]:8080        Masq    7      0          0         
create KUBE-CLUSTER-IP hash:ip,port family inet
add KUBE-CLUSTER-IP 10.96.0.10,tcp:80
*nat
TCP  9.9.9.9:1 rr
"""  # noqa: W291 - ipvsadm fills the columns up


def test_every_virtual_server_with_its_real_servers() -> None:
    first, second, third = parsed(SHOWN)
    assert (first["protocol"], first["virtual"], first["scheduler"]) == ("TCP", "10.96.0.10:80", "rr")
    assert (first["flags"], first["persistentSeconds"]) == ("persistent 600", 600)
    assert [(r["real"], r["weight"], r["active"], r["inactive"]) for r in first["realServers"]] == [
        ("10.244.0.5:8080", 1, 3, 0),
        ("10.244.1.5:8080", 0, 1, 2),
    ]
    assert (second["virtual"], second["flags"], second["realServers"]) == (
        "[fd00:10:96::a]:53",
        "(mh-port)",
        [],
    )
    assert third["realServers"][0] == {
        "real": "[fd00:10:244::5]:8080", "forward": "Masq", "weight": 7, "active": 0, "inactive": 0,
    }  # fmt: skip


def test_a_node_without_virtual_servers_has_no_rows() -> None:
    assert list(parsed("\n".join(SHOWN.splitlines()[:3]))) == []


def test_a_line_for_each_real_server() -> None:
    servers = [{"node": "node1", "service": "default/web", **server} for server in parsed(SHOWN)]
    lines = text(servers, wide=True).splitlines()
    head = "NODE PROTOCOL VIRTUAL SERVER SCHEDULER FLAGS REAL SERVER WEIGHT ACTIVE INACTIVE FORWARD SERVICE"
    assert " ".join(lines[0].split()) == head
    row = "node1 TCP 10.96.0.10:80 rr persistent 600 10.244.1.5:8080 0 1 2 Masq default/web"
    assert " ".join(lines[2].split()) == row
    assert len(lines) == 1 + 4
