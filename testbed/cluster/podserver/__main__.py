"""`python -m testbed.cluster.podserver [FOLDER]`: serve pods whose namespaces are named in FOLDER."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from testbed.cluster.podserver.control import serve
from testbed.cluster.podserver.server import Server
from testbed.machine.netns import FOLDER


def main() -> None:
    """Serve until the standard input ends."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    asyncio.run(serve(Server(folder), sys.stdin.buffer, sys.stdout.buffer))


if __name__ == "__main__":
    main()
