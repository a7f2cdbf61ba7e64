"""What a kube-proxy does on its node besides writing rules: it follows the node's agent (`agent.Follower`).

    proxy.py        one node's kube-proxy, and those of all nodes with the one thread that serves them
    cleanup.py      UDP flows that the new rules would not make are forgotten
    healthcheck.py  healthCheckNodePort: has this node endpoints of the Service?
    health.py       /healthz and /livez: is this kube-proxy up to date?
    metrics.py      /metrics, under kube-proxy's names
    http.py         the HTTP that they are asked by

Knows plans, rounds and changed objects. Knows no datapath and writes no rule.
"""
