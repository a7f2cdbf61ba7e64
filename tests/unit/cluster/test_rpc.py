"""Client and server over a real socket: results, steps on the way, and errors that keep their class."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from testbed.cluster.rpc import Client, error_from_json, error_to_json
from testbed.cluster.server import Server
from testbed.errors import (
    CommandFailed,
    Conflict,
    FeatureMissing,
    KernelStateError,
    ManifestErrors,
    MeasurementInvalid,
    Mistake,
    NotFound,
    TestbedError,
    UsageError,
)

MISTAKES = [
    Mistake("a.yaml", 3, "spec.ports[0].port", "too large", "at most 65535"),
    Mistake("-", 1, "", "empty"),
]
PLAIN = (TestbedError, UsageError, NotFound, Conflict, KernelStateError, MeasurementInvalid)


@pytest.mark.parametrize("kind", PLAIN)
def test_an_error_keeps_class_and_message(kind: type[TestbedError]) -> None:
    back = error_from_json(error_to_json(kind("what is wrong")))
    assert (type(back), str(back), back.exit_code) == (kind, "what is wrong", kind.exit_code)


def test_mistakes_keep_their_places() -> None:
    back = error_from_json(error_to_json(ManifestErrors(MISTAKES)))
    assert isinstance(back, ManifestErrors)
    assert back.mistakes == tuple(sorted(MISTAKES))
    assert str(back) == str(ManifestErrors(MISTAKES))


def test_a_missing_feature_keeps_its_fix() -> None:
    back = error_from_json(error_to_json(FeatureMissing("nft", "no program nft", "apt-get install nftables")))
    assert isinstance(back, FeatureMissing)
    assert (back.feature, back.reason, back.fix) == ("nft", "no program nft", "apt-get install nftables")


def test_a_failed_command_keeps_its_message() -> None:
    failed = CommandFailed(["nft", "-f", "-"], 1, "syntax error", where="node1")
    assert str(error_from_json(error_to_json(failed))) == "nft -f - in node1: status 1: syntax error"


def test_an_error_of_a_newer_daemon_is_still_one_of_ours() -> None:
    back = error_from_json({"kind": "FromTheFuture", "message": "what is wrong"})
    assert (type(back), str(back)) == (TestbedError, "what is wrong")


def double(progress: Callable[[Mapping[str, Any]], None], number: int) -> int:
    for step in range(3):
        progress({"step": step})
    return 2 * number


def refuse(progress: object) -> None:
    raise ManifestErrors(MISTAKES)


def stumble(progress: object) -> None:
    assert [] == [1]


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tb-") as folder:  # a socket's path has room for 107 characters
        yield Path(folder) / "api.sock"


@pytest.fixture
def served(path: Path) -> Iterator[Path]:
    with Server(path, {"double": double, "refuse": refuse, "stumble": stumble}) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield path
        server.shutdown()
        thread.join()


def test_a_result_comes_after_its_steps(served: Path) -> None:
    told: list[Mapping[str, Any]] = []
    with Client(served) as client:
        assert client.call("double", told.append, number=21) == 42
    assert [step["step"] for step in told] == [0, 1, 2]


def test_one_connection_serves_many_calls(served: Path) -> None:
    with Client(served) as client:
        assert [client.call("double", number=number) for number in range(50)] == [2 * n for n in range(50)]


def test_many_connections_do_not_mix(served: Path) -> None:
    clients = [Client(served) for _ in range(20)]
    assert [client.call("double", number=n) for n, client in enumerate(clients)] == [2 * n for n in range(20)]
    for client in clients:
        client.close()


def test_a_raised_error_arrives_and_the_connection_lives(served: Path) -> None:
    with Client(served) as client:
        with pytest.raises(ManifestErrors, match="too large"):
            client.call("refuse")
        assert client.call("double", number=1) == 2


def test_a_bug_ends_the_connection_and_points_to_the_log(served: Path) -> None:
    with Client(served) as client, pytest.raises(TestbedError, match=r"the daemon went away.*daemon\.log"):
        client.call("stumble")
    with Client(served) as client:
        assert client.call("double", number=1) == 2


def test_an_unknown_verb_is_wrong_usage(served: Path) -> None:
    with Client(served) as client, pytest.raises(UsageError, match="the daemon knows no verb 'dance'"):
        client.call("dance")


def test_only_the_owner_may_connect(served: Path) -> None:
    assert served.stat().st_mode & 0o777 == 0o600


def test_without_a_daemon(path: Path) -> None:
    with pytest.raises(TestbedError, match="no daemon answers at "):
        Client(path)


def test_a_daemon_that_dies_in_the_middle(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        with Client(path) as client:
            listener.accept()[0].close()
            with pytest.raises(TestbedError, match="the daemon went away"):
                client.call("double", number=1)


def test_a_daemon_that_says_nothing_is_given_up(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        with Client(path, timeout=0.05) as client, pytest.raises(TestbedError, match="the daemon went away"):
            client.call("double", number=1)
