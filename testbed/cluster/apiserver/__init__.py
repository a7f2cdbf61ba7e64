"""The transport of the Kubernetes API: HTTP/1.1 on a Unix socket, and over TLS on a socket that is handed in."""

from testbed.cluster.apiserver.door import Door
from testbed.cluster.apiserver.http import TcpServer, UnixServer

__all__ = ["Door", "TcpServer", "UnixServer"]
