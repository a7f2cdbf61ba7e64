"""A socket in a pod's namespace, bound to all of the pod's addresses in both families.

Knows socket options. Knows nothing of what is spoken over the socket.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct

from testbed.cluster.podserver.spec import DISCARD, Port
from testbed.errors import KernelStateError
from testbed.machine.netns import Netns

KINDS = {
    "TCP": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    "UDP": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    "SCTP": (socket.SOCK_STREAM, socket.IPPROTO_SCTP),  # one-to-one style, RFC 6458
}
BACKLOG = 4096  # the kernel cuts it to net.core.somaxconn

SO_ATTACH_FILTER = 26  # include/uapi/asm-generic/socket.h; Python's socket module has no name for it
BPF_RET_K = 0x06
NO_IPV6 = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})


def open_socket(netns: Netns, port: Port) -> socket.socket:
    """A bound, non-blocking socket for one container port; a stream listens already.

    Raises KernelStateError: the port is taken, the protocol is not in this kernel, the namespace is gone.
    """
    try:
        return _open(netns, port, socket.AF_INET6)
    except OSError as error:
        if error.errno not in NO_IPV6:
            raise KernelStateError(error.strerror or str(error)) from error
    try:
        return _open(netns, port, socket.AF_INET)
    except OSError as error:
        raise KernelStateError(error.strerror or str(error)) from error


def _open(netns: Netns, port: Port, family: socket.AddressFamily) -> socket.socket:
    kind, protocol = KINDS[port.protocol]
    sock = netns.socket(family, kind, protocol)
    try:
        _prepare(sock, port)
        sock.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port.port))
        if kind == socket.SOCK_STREAM:
            sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _prepare(sock: socket.socket, port: Port) -> None:
    """Everything that must be set before the first packet can arrive."""
    sock.setblocking(False)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    if sock.type == socket.SOCK_STREAM:
        # A restarted container takes its port again while old connections are in TIME_WAIT.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    elif port.name == DISCARD:
        drop_everything(sock)


def drop_everything(sock: socket.socket) -> None:
    """Have the kernel drop what arrives, so that a measurement costs this process nothing.

    A classic BPF program of one instruction, `ret #0` (Documentation/networking/filter.rst). The socket still
    owns the port, so the sender gets no ICMP error.
    """
    program = ctypes.create_string_buffer(struct.pack("HBBI", BPF_RET_K, 0, 0, 0))
    sock_fprog = struct.pack("HP", 1, ctypes.addressof(program))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, sock_fprog)


def address_text(address: tuple[object, ...]) -> str:
    """`ip:port` or `[ip]:port` of a peer; an IPv4 client of a dual socket without its `::ffff:`."""
    host, port = str(address[0]), address[1]
    if host.startswith("::ffff:") and "." in host:
        host = host.removeprefix("::ffff:")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
