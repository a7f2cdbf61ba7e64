"""One process that serves many pods: sockets opened in their network namespaces, one event loop.

    spec.py      what to serve: the messages between kubelet and server
    client.py    the kubelet's side: starts the process, asks it, notices its death
    control.py   the server's side of the pipe: one JSON document a line
    server.py    pods opened and closed
    sockets.py   a socket in a namespace, for both address families
    stream.py    what a TCP or SCTP connection gets: HTTP, echo, discard
    http.py      the HTTP half of that
    datagram.py  what a UDP datagram gets

Knows namespaces, ports and identities. Knows nothing of Kubernetes objects, nodes' routing or the store, and
imports little, because it is started while somebody waits.
"""
