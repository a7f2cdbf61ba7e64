"""A lab instance brought to where the learner begins, and brought back there.

Knows labs, sandboxes and the daemon; knows nothing of how tasks are judged.
"""

from __future__ import annotations

import contextlib

from testbed.cluster import daemon, launch
from testbed.machine import sandbox
from testbed.machine.kernels import NATIVE
from testbed.machine.kernels.choose import Need
from testbed.machine.sandbox import Instance
from testbed.scenario.lab import state
from testbed.scenario.lab.running import Progress, Running
from testbed.scenario.lab.spec import Lab


def need(lab: Lab) -> Need:
    """What the lab's cluster asks of a kernel. Raises UsageError if there is no such datapath."""
    cluster = lab.loaded.cluster
    assert cluster is not None, "spec.read takes no lab without one"
    return launch.need(cluster)


def start(lab: Lab, name: str, progress: Progress, kernel: str = NATIVE) -> Instance:
    """Start a lab instance with the objects of the lab's start, run its commands; half of it helps nobody.

    Raises UsageError if the name is taken, FeatureMissing if this machine cannot, TestbedError if it gets
    not ready.
    """
    cluster, manifests = lab.loaded.cluster, lab.loaded.manifests
    assert cluster is not None, "spec.read takes no lab without one"
    daemon.check(cluster, manifests)
    instance = launch.start(kernel, name, cluster, manifests)
    with contextlib.ExitStack() as undo:
        undo.callback(sandbox.destroy, instance)
        with Running(instance) as running:
            running.await_start(lab.unready, progress)
            for command in lab.run:
                running.run(command.place, command.argv)
        state.write(instance, state.State(lab.name))
        undo.pop_all()
    return instance


def reset(lab: Lab, instance: Instance, progress: Progress) -> Instance:
    """End the instance and start it again: nothing of what was done to it is left, not even other addresses."""
    sandbox.destroy(instance)
    return start(lab, instance.name, progress, instance.kernel)
