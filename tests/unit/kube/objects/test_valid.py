"""Objects that Kubernetes takes, and that must not be refused here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from testbed.kube.objects import defaulted, field_errors
from testbed.kube.objects.documents import documents

SERVICES = {
    "nothing but ports": "ports: [{port: 80}]",
    "headless without ports": "clusterIP: None",
    "headless by clusterIPs": "clusterIPs: [None]",
    "one port number for two protocols": "ports: [{name: a, port: 53}, {name: b, port: 53, protocol: UDP}]",
    "node port for two protocols": (
        "type: NodePort\nports: [{name: a, port: 53, nodePort: 30053}, "
        "{name: b, port: 53, nodePort: 30053, protocol: UDP}]"
    ),
    "lowest and highest node port": (
        "type: NodePort\nports: [{name: a, port: 1, nodePort: 30000}, {name: b, port: 2, nodePort: 32767}]"
    ),
    "node port on a load balancer": "type: LoadBalancer\nports: [{port: 80, nodePort: 30080}]",
    "node port 0": "ports: [{port: 80, nodePort: 0}]",
    "target port by name": "ports: [{port: 80, targetPort: http-alt}]",
    "sctp": "ports: [{port: 80, protocol: SCTP, appProtocol: kubernetes.io/h2c}]",
    "dual stack": (
        "ipFamilyPolicy: RequireDualStack\nipFamilies: [IPv6, IPv4]\n"
        "clusterIP: fd00:10:96::5\nclusterIPs: [fd00:10:96::5, 10.96.0.5]\nports: [{port: 80}]"
    ),
    "affinity for a day": (
        "sessionAffinity: ClientIP\nports: [{port: 80}]\n"
        "sessionAffinityConfig: {clientIP: {timeoutSeconds: 86400}}"
    ),
    "affinity config alone": "sessionAffinityConfig: {clientIP: {timeoutSeconds: 0}}\nports: [{port: 80}]",
    "external address and policy": "externalIPs: [203.0.113.7]\nexternalTrafficPolicy: Local\nports: [{port: 80}]",
    "padded source range": 'type: LoadBalancer\nloadBalancerSourceRanges: [" 10.0.0.0/8 "]\nports: [{port: 80}]',
    "health check port": (
        "type: LoadBalancer\nexternalTrafficPolicy: Local\nhealthCheckNodePort: 30999\nports: [{port: 80}]"
    ),
    "external name": "type: ExternalName\nexternalName: db.example.com.",
    "external name with ports": "type: ExternalName\nexternalName: db.example.com\nports: [{port: 5432}]",
    "null fields": "clusterIP: null\nselector:\nports: [{port: 80, name: null, targetPort: null}]",
    "distribution": "trafficDistribution: PreferSameZone\nports: [{port: 80}]",
}


def only(text: str) -> dict[str, Any]:
    (document,) = documents(text, "f.yaml")
    assert document.mistakes == []
    body: dict[str, Any] = document.body
    return body


def indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())


@pytest.mark.parametrize("spec", SERVICES.values(), ids=SERVICES.keys())
def test_service(spec: str) -> None:
    body = only(f"apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec:\n{indented(spec)}")
    assert field_errors(body) == []
    assert field_errors(defaulted(body)) == []


OTHERS = {
    "Namespace": "apiVersion: v1\nkind: Namespace\nmetadata: {name: 1-team}",
    "Node": (
        "apiVersion: v1\nkind: Node\nmetadata: {name: node-1.example.com}\n"
        "spec: {podCIDR: 10.244.0.0/24, podCIDRs: [10.244.0.0/24, 'fd00:10:244::/64'],"
        " taints: [{key: a/b, effect: NoSchedule}]}\n"
        "status: {addresses: [{type: InternalIP, address: 192.168.0.1}, {type: Hostname, address: node-1}]}"
    ),
    "Pod with everything": (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: 1.web}\nspec:\n  nodeName: node1\n  restartPolicy: Never\n"
        "  initContainers: [{name: before, command: ['true']}]\n  containers:\n  - name: web\n    image: web:1\n"
        "    command: [sh, -c, 'exec sleep 9']\n    env: [{name: A.b-c, value: ''}]\n"
        "    ports: [{containerPort: 53}, {containerPort: 53, protocol: UDP, name: dns}]\n"
        "    resources: {limits: {cpu: 1.5, memory: 1Gi}}\n"
        "    readinessProbe: {exec: {command: [x]}, successThreshold: 3}\n"
        "    livenessProbe: {httpGet: {port: http, path: /up}}\n    startupProbe: {grpc: {port: 9}}"
    ),
    "Deployment by expression": (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 0\n"
        "  selector: {matchExpressions: [{key: app, operator: In, values: [web, api]},"
        " {key: old, operator: DoesNotExist}, {key: app, operator: Exists},"
        " {key: x, operator: NotIn, values: [z]}]}\n"
        "  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}\n"
        "  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web}]}}"
    ),
    "EndpointSlice": (
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: web-1}\naddressType: IPv6\n"
        "ports: [{name: a, port: 1}, {name: b}, {port: 65535, protocol: UDP}]\n"
        "endpoints: [{addresses: ['fd00::1'], nodeName: node1, zone: za, conditions: {},"
        " hints: {forZones: [{name: za}]}, targetRef: {kind: Pod, name: web}}]"
    ),
    "EndpointSlice of names": (
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: web-1}\naddressType: FQDN\n"
        "endpoints: [{addresses: [db.example.com]}]"
    ),
}


@pytest.mark.parametrize("text", OTHERS.values(), ids=OTHERS.keys())
def test_other_kinds(text: str) -> None:
    body = only(text)
    assert field_errors(body) == []
    assert field_errors(defaulted(body)) == []


@pytest.mark.parametrize("text", OTHERS.values(), ids=OTHERS.keys())
def test_json_is_yaml(text: str) -> None:
    body = only(text)
    assert only(json.dumps(body, indent=1)) == body
