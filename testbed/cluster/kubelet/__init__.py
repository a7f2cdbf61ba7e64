"""The kubelets of all nodes: bound pods become running ones, and their status tells what is so.

    kubelets.py    the loop: watches Pods, gathers batches, writes statuses
    pod.py         one pod: attached, containers started in order, terminated, gone
    container.py   one container through its restarts: started, probed, ended, started again
    probing.py     the probes of one container: under way, and what they said
    served.py      containers without a command, batched towards the pod server
    wiring.py      pods' links, batched towards the pod network
    loop.py        work posted from other threads, and timers
    contract.py    what the kubelets need of others: network, server, processes, prober, clock
    processes.py, prober.py, fake.py     the real ones, and pretended ones for tests
    logs.py        what containers write, on disk; pump.py brings it there, logreading.py reads it back
    podspec.py, environment.py, probe.py, backoff.py, status.py     pure: reading the manifest, judging, telling
    volumes.py     ConfigMaps, Secrets and the downward API as files
    host.py        what a container has around it

Knows the life of a pod as Kubernetes' kubelet lives it. Knows nothing of Services, endpoints or datapaths,
and nothing of how links are made.
"""
