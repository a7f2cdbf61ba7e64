"""How long a cluster takes to come up: hosts and links by stock Mininet and by ours, whole deployments, memory.

    .venv/bin/python benchmarks/bench_bringup.py [--repeats 5] [--pods 20 100 200] [--deploy 20 200 1000]

Three tables, as root or (slower) as an ordinary user. 1: the same hosts and links by stock Mininet's own classes
and by ours, each time in a sandbox of its own, in turn; the ratio of each pair and its bootstrap interval. Ours
does more meanwhile: IPv6, routes, fixed neighbours, sysctls. 2: the limit, bare `ip -batch`. 3: `testbed deploy`
from the start of the command to its end, with all pods ready and all rules in; `testbed destroy`; memory.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from testbed.bench.results import facts
from testbed.bench.stats.interval import compare
from testbed.cluster import topologies
from testbed.kube.objects import ClusterConfig, NodeConfig
from testbed.machine import sandbox
from testbed.machine.process import ProcessId

NODES = 10
NAMESPACES = 100  # of the bare `ip -batch`
REPEATS_OF_LIMIT = 7
SETTLE_SECONDS = 15.0
PROGRAM = str(Path(sys.executable).with_name("testbed"))
# A user namespace only for those who need one: it costs a little, and both sides the same.
OWN_USER = ["--user", "--map-root-user"] if os.geteuid() else []
PRIVATE = ["unshare", *OWN_USER, "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
PREPARE = 'mount -t tmpfs none /run && mkdir /run/netns && mount -t sysfs none /sys && exec "$@"'


# What is measured, each in a process and a sandbox of its own


def stock(pods: int) -> float:
    """Seconds for Mininet's own Host, Link and LinuxBridge."""
    from mininet.link import Link
    from mininet.log import setLogLevel
    from mininet.net import Mininet
    from mininet.node import Host
    from mininet.nodelib import LinuxBridge

    Mininet.inited = True  # or it raises limits of the whole machine
    setLogLevel("error")
    start = time.perf_counter()
    net = Mininet(host=Host, switch=LinuxBridge, link=Link, controller=None, build=False)
    net.addSwitch("s1")
    for name, ip in [
        *((f"node{n}", f"192.168.0.{n}/24") for n in range(1, NODES + 1)),
        ("client1", "203.0.113.11/24"),
    ]:
        net.addHost(name, ip=ip)
        net.addLink(name, "s1", intfName1="eth0", intfName2=f"s1-{name}")
    for n in range(pods):
        net.addHost(f"pod{n}", ip=f"10.244.{n % NODES}.{n // NODES + 2}/32")
        net.addLink(f"pod{n}", f"node{n % NODES + 1}", intfName1="eth0", intfName2=f"veth{n}")
    net.build()
    net.start()
    return time.perf_counter() - start


def ours(pods: int) -> float:
    """Seconds for the cluster's network: nodes, client, and all pods in one batch, as the kubelets ask for them."""
    from testbed.cluster.network import ClusterNetwork
    from testbed.kube.controllers import create_nodes
    from testbed.kube.store import Store

    cluster = ClusterConfig("bench", tuple(NodeConfig(f"node{n}") for n in range(1, NODES + 1)))
    store = Store()
    create_nodes(store, cluster)
    wanted = [
        {
            "metadata": {"namespace": "default", "name": f"pod{n}"},
            "spec": {"nodeName": f"node{n % NODES + 1}"},
        }
        for n in range(pods)
    ]
    start = time.perf_counter()
    network = ClusterNetwork(cluster)
    network.build(store.list("Node"))
    network.attach(wanted)
    return time.perf_counter() - start


def limit(namespaces: int) -> float:
    """Seconds for one `ip -batch`: namespaces, each with a veth pair whose other end is a port of a bridge."""
    lines = ["link add s1 type bridge", "link set s1 up"]
    for n in range(namespaces):
        lines += [
            f"netns add n{n}",
            f"link add v{n} type veth peer name eth0 netns n{n}",
            f"link set v{n} master s1 up",
        ]
    start = time.perf_counter()
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)
    return time.perf_counter() - start


ARMS: dict[str, Callable[[int], float]] = {"stock": stock, "ours": ours, "limit": limit}


def in_sandbox(arm: str, count: int) -> float:
    """Measure an arm in a sandbox that is gone afterwards."""
    child = [sys.executable, str(Path(__file__).resolve()), "--child", arm, str(count)]
    done = subprocess.run(
        [*PRIVATE, "sh", "-c", PREPARE, "sh", *child], stdout=subprocess.PIPE, text=True, check=True
    )
    return float(done.stdout)


# Whole deployments


@dataclass(frozen=True, slots=True)
class Deployment:
    """One life of a lab instance: seconds and bytes."""

    ready: float
    gone: float
    processes: int  # proportional set size of all its processes
    kernel: int  # what the machine's slab, stacks, page tables and per-CPU areas grew by
    available: int  # what MemAvailable fell by


def deployment(manifest: Path) -> Deployment:
    """Deploy and destroy once."""
    name = f"bench-{os.getpid()}"
    before = memory()
    start = time.perf_counter()
    run([PROGRAM, "deploy", "--name", name, "-f", str(manifest)])
    ready = time.perf_counter() - start
    after, processes = memory(), sum(pss(pid) for pid in inside(sandbox.get(name).daemon))
    start = time.perf_counter()
    run([PROGRAM, "destroy", "--name", name])
    gone = time.perf_counter() - start
    _wait_for_kernel(before)
    grown = {key: after[key] - before[key] for key in before}
    kernel = sum(grown[key] for key in KERNEL)
    return Deployment(ready, gone, processes, kernel, -grown["MemAvailable"])


def run(argv: Sequence[str]) -> None:
    """Run a command that says nothing unless it fails."""
    subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)


def _wait_for_kernel(before: dict[str, int]) -> None:
    """The kernel frees namespaces after their last process has ended, in the background; or the next deployment
    would find half of its memory there already. Others use this machine too, so not for ever."""
    end = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < end and memory()["Percpu"] > before["Percpu"]:
        time.sleep(0.1)


KERNEL = ("Slab", "KernelStack", "PageTables", "Percpu")


def memory() -> dict[str, int]:
    """/proc/meminfo in bytes, as far as it is asked for here."""
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    return {
        words[0][:-1]: int(words[1]) * 1024 for words in lines if words[0][:-1] in (*KERNEL, "MemAvailable")
    }


def inside(daemon: ProcessId) -> Iterator[int]:
    """The processes of a sandbox: those in the daemon's pid namespace."""
    home = Path(f"/proc/{daemon.pid}/ns/pid").readlink()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "ns/pid").readlink() == home:
                yield int(folder.name)
        except OSError:
            continue  # gone, or somebody else's


def pss(pid: int) -> int:
    """Bytes of memory of a process, shared pages counted by their share (proc(5), smaps_rollup)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


@contextmanager
def scaled(pods: int) -> Iterator[Path]:
    """The topology ten-nodes (three-nodes up to 20 pods) with another number of pods."""
    text = topologies.path("three-nodes" if pods <= 20 else "ten-nodes").read_text()
    given = "replicas: 20\n" if pods <= 20 else "replicas: 200\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "cluster.yaml")
        path.write_text(text.replace(given, f"replicas: {pods}\n"))
        yield path


# Tables


def print_machine() -> None:
    """What it ran on."""
    now = facts.gather()
    print(f"{now.time}, commit {now.commit}, kernel {now.kernel}, {now.cpus} x {now.cpu_model}, "
          f"{now.memory_bytes / 1e9:.0f} GB, Python {now.python}, load {load()}")  # fmt: skip


def compare_with_stock(pods: Sequence[int], repeats: int) -> None:
    """Table 1: in turn, so that both meet the same machine."""
    print("\nhosts and links: seconds, medians; stock/ours over pairs with its 95 % interval")
    print(" pods   stock    ours   ratio            load")
    for count in pods:
        pairs = [(in_sandbox("stock", count), in_sandbox("ours", count)) for _ in range(repeats)]
        theirs, mine = (np.array(column) for column in zip(*pairs, strict=True))
        ratio = compare(theirs, mine).ratio
        times = f"{np.median(theirs):7.3f} {np.median(mine):7.3f}"
        print(
            f"{count:5} {times} {ratio.estimate:7.1f} [{ratio.low:.1f}, {ratio.high:.1f}] {load()}",
            flush=True,
        )


def show_limit() -> None:
    """Table 2: what bare `ip -batch` takes, and ours for as many pods."""
    pairs = [
        (in_sandbox("limit", NAMESPACES), in_sandbox("ours", NAMESPACES)) for _ in range(REPEATS_OF_LIMIT)
    ]
    bare, mine = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"\n{NAMESPACES} namespaces with veth and bridge port: ip -batch {bare:.3f} s")
    print(f"ours, {NAMESPACES} pods and {NODES + 1} others: {mine:.3f} s; load {load()}", flush=True)


def show_deployments(pods: Sequence[int], repeats: int) -> None:
    """Table 3."""
    print("\ntestbed deploy and destroy: seconds, medians (worst); MB, medians")
    print(" pods       ready          gone     processes  kernel  both  MemAvailable  load")
    for count in pods:
        with scaled(count) as manifest:
            done = [deployment(manifest) for _ in range(repeats)]
        seconds = [spread([getattr(each, name) for each in done]) for name in ("ready", "gone")]
        both = [each.processes + each.kernel for each in done]
        columns = ([e.processes for e in done], [e.kernel for e in done], both, [e.available for e in done])
        sizes = [statistics.median(column) / 1e6 for column in columns]
        sized = "{:10.0f} {:7.0f} {:6.0f} {:10.0f}".format(*sizes)
        print(f"{count:5}  {seconds[0]}  {seconds[1]} {sized}     {load()}", flush=True)


def spread(values: Sequence[float]) -> str:
    """Median and worst."""
    return f"{statistics.median(values):5.2f} ({max(values):5.2f})"


def load() -> str:
    """The load average of the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--pods", type=int, nargs="*", default=[20, 100, 200], help="of the comparison with Mininet"
    )
    parser.add_argument(
        "--deploy", type=int, nargs="*", default=[20, 200, 1000], help="of the whole deployments"
    )
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(ARMS[options.child[0]](int(options.child[1])), flush=True)
        os._exit(0)  # process 1 of its sandbox: everything else ends with it
    print_machine()
    compare_with_stock(options.pods, options.repeats)
    show_limit()
    show_deployments(options.deploy, options.repeats)


if __name__ == "__main__":
    main()
