"""Pods' places in the network, asked for in batches: everything that waits goes in one call.

Laying 1,000 links in one call costs far less than 1,000 calls, and while one batch is being laid the next one
gathers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from functools import partial

from testbed.cluster.kubelet.contract import PodAttachment, PodKey, PodNetwork
from testbed.cluster.kubelet.loop import Loop
from testbed.errors import TestbedError
from testbed.kube.store.store import Object

LOG = logging.getLogger(__name__)

Attached = Callable[[PodAttachment | TestbedError], None]
Detached = Callable[[], None]
Places = Mapping[PodKey, PodAttachment | TestbedError]


def pod_key(pod: Object) -> PodKey:
    """Namespace and name."""
    return pod["metadata"]["namespace"], pod["metadata"]["name"]


class Wiring:
    """What is to be attached and detached. Every method is called in the loop."""

    def __init__(self, network: PodNetwork, loop: Loop, executor: Executor) -> None:
        self._network, self._loop, self._executor = network, loop, executor
        self._attaching: dict[PodKey, tuple[Object, Attached]] = {}
        self._detaching: dict[PodKey, Detached] = {}
        self._busy = False

    def attach(self, pod: Object, done: Attached) -> None:
        """Attach a pod with the next batch. `done` gets its place, or what went wrong with it or the batch."""
        self._attaching[pod_key(pod)] = pod, done

    def detach(self, key: PodKey, done: Detached) -> None:
        """Detach a pod with the next batch; one that still waits for its place loses that at once."""
        self._attaching.pop(key, None)
        self._detaching[key] = done

    def flush(self) -> None:
        """Send what was gathered, unless the last batch is still under way: then later, together.

        First what is detached: a pod of the same name may take its place.
        """
        if self._busy or not (self._attaching or self._detaching):
            return
        attaching, self._attaching = self._attaching, {}
        detaching, self._detaching = self._detaching, {}
        self._busy = True
        job = partial(self._work, tuple(detaching), [pod for pod, _ in attaching.values()])
        self._loop.submit(self._executor, job, partial(self._done, detaching, attaching))

    def _work(self, keys: tuple[PodKey, ...], pods: list[Object]) -> Places:
        if keys:
            self._network.detach(keys)
        return self._network.attach(pods) if pods else {}

    def _done(
        self,
        detached: Mapping[PodKey, Detached],
        attached: Mapping[PodKey, tuple[Object, Attached]],
        result: Places | TestbedError,
    ) -> None:
        self._busy = False
        if isinstance(result, TestbedError):
            LOG.warning("pod network: %s", result)
        for gone in detached.values():
            gone()
        for key, (_, done) in attached.items():
            done(result if isinstance(result, TestbedError) else result[key])
