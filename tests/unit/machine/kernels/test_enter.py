"""Programs inside, as if they were ours: streams, terminal, signals, exit codes; with real processes."""

from __future__ import annotations

import hashlib
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from fcntl import ioctl
from pathlib import Path

import pytest

from tests.unit.machine.kernels.wiring import ENTER, SECONDS, Pretended, pretended
from tests.waiting import until

MUCH = bytes(range(256)) * 20_000  # 5 MB


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pretended]:
    with pretended(tmp_path_factory.mktemp("guest")) as made:
        yield made


@pytest.mark.parametrize(
    ("script", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143)]
)
def test_the_exit_code_is_the_programs(guest: Pretended, script: str, status: int) -> None:
    assert guest.run("sh", "-c", script).returncode == status


def test_a_program_that_is_not_there(guest: Pretended) -> None:
    done = guest.run("no-such-program")
    assert (done.returncode, done.stderr) == (
        127,
        b"testbed: no-such-program: No such file or directory\n",
    )


def test_a_file_that_is_no_program(guest: Pretended) -> None:
    assert guest.run("/etc/passwd").returncode == 126


def test_megabytes_go_through_unchanged(guest: Pretended) -> None:
    assert guest.run("cat", given=MUCH).stdout == MUCH


def test_streams_are_apart(guest: Pretended) -> None:
    done = guest.run("sh", "-c", "echo out; echo err >&2")
    assert (done.stdout, done.stderr) == (b"out\n", b"err\n")


def test_streams_that_are_one_stay_in_order(guest: Pretended) -> None:
    script = "for n in 1 2 3 4 5; do echo out$n; echo err$n >&2; done"
    done = subprocess.run(
        guest.argv("sh", "-c", script), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True
    )
    assert done.stdout.split() == [f"{s}{n}".encode() for n in range(1, 6) for s in ("out", "err")]


def test_last_words_are_not_cut_short(guest: Pretended) -> None:
    done = guest.run("sh", "-c", "head -c 3000000 /dev/zero; echo end >&2; exit 3")
    assert (len(done.stdout), done.stderr, done.returncode) == (3_000_000, b"end\n", 3)


def test_who_holds_the_pipe_is_heard_after_the_end(guest: Pretended) -> None:
    done = guest.run("sh", "-c", "(sleep 0.3; echo late) & echo early; exit 5")
    assert (done.stdout, done.returncode) == (b"early\nlate\n", 5)


def test_folder_environment_and_umask_are_ours(guest: Pretended, tmp_path: Path) -> None:
    script = 'cd "$1"; umask 027; WORD="bär" exec "$2" -m "$3" "$4" -- sh -c \'pwd; echo $WORD; umask\''
    argv = ["sh", "-c", script, "sh", str(tmp_path), sys.executable, ENTER, str(guest.folder)]
    path = str(Path(__file__).parents[4])
    done = subprocess.run(argv, capture_output=True, check=True, env={**os.environ, "PYTHONPATH": path})
    assert done.stdout.decode().split() == [str(tmp_path), "bär", "0027"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_signals_are_passed_on(guest: Pretended, number: signal.Signals) -> None:
    script = f"import signal; print('ready', flush=True); print(signal.sigwait([{number:d}]).name)"
    block = f"import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [{number:d}]); "
    argv = guest.argv(sys.executable, "-c", block + script)
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as started:
        assert started.stdout
        assert started.stdout.readline() == b"ready\n"
        started.send_signal(number)
        assert started.stdout.read() == f"{number.name}\n".encode()
    assert started.returncode == 0


def test_a_reader_that_leaves_ends_the_program(guest: Pretended) -> None:
    with subprocess.Popen(guest.argv("yes"), stdout=subprocess.PIPE) as started:
        assert started.stdout
        assert started.stdout.readline() == b"y\n"
        started.stdout.close()
        assert started.wait(SECONDS) == 128 + signal.SIGPIPE


def test_a_slow_reader_delays_nobody_else(guest: Pretended) -> None:
    with subprocess.Popen(guest.argv("yes"), stdout=subprocess.PIPE) as slow:
        assert slow.stdout
        assert slow.stdout.readline() == b"y\n"
        assert guest.run("cat", given=MUCH).stdout == MUCH
        slow.terminate()
        slow.stdout.read()
    assert slow.returncode == 128 + signal.SIGTERM


def test_fifty_at_once(guest: Pretended) -> None:
    given = [hashlib.sha1(str(n).encode()).hexdigest().encode() * 500 for n in range(50)]
    started = [
        subprocess.Popen(guest.argv("cat"), stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in given
    ]
    got = [
        process.communicate(text, timeout=SECONDS)[0] for process, text in zip(started, given, strict=True)
    ]
    assert got == given
    assert {process.returncode for process in started} == {0}


def test_the_program_of_a_client_that_is_killed_is_hung_up(guest: Pretended, tmp_path: Path) -> None:
    mark = tmp_path / "hung-up"
    # The shell itself would die of a word on its standard error, which is closed by then.
    script = 'exec 2>/dev/null; trap "touch $0; exit" HUP; echo ready; while :; do read x || sleep 0.05; done'
    with subprocess.Popen(guest.argv("sh", "-c", script, str(mark)), stdout=subprocess.PIPE) as started:
        assert started.stdout
        started.stdout.readline()
        started.kill()
    until(mark.exists, "the program to be told")


def on_a_terminal(argv: list[str], keys: bytes, expected: bytes) -> tuple[bytes, int]:
    """Run it on a terminal of 33 rows and 77 columns; type when `expected` is shown. What was shown, exit code."""
    child, master = pty.fork()
    if child == 0:
        os.execv(argv[0], argv)
    ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
    shown = b""
    while True:
        try:
            data = os.read(master, 4096)
        except OSError:
            break
        shown += data
        if keys and expected in shown:
            os.write(master, keys)
            keys = b""
    os.close(master)
    return shown, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_terminal_is_one_inside(guest: Pretended) -> None:
    script = "until [ \"$(stty size)\" = '33 77' ]; do :; done; test -t 0 -a -t 1 -a -t 2 && echo all"
    shown, status = on_a_terminal(guest.argv("sh", "-c", script), b"", b"")
    assert (shown, status) == (b"all\r\n", 0)


def test_a_shell_on_a_terminal(guest: Pretended) -> None:
    keys = b"echo $((6*7)); exit 4\r"
    shown, status = on_a_terminal(guest.argv("env", "PS1=prompt> ", "sh", "-i"), keys, b"prompt> ")
    assert b"42" in shown
    assert status == 4


def test_keys_mean_something_to_the_program(guest: Pretended) -> None:
    """Ctrl-C is a byte to us, and an interrupt inside."""
    argv = guest.argv("sh", "-c", "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.05; done")
    shown, status = on_a_terminal(argv, b"\x03", b"ready")
    assert b"caught" in shown
    assert status == 9


def test_a_terminal_for_a_program_although_we_have_none(guest: Pretended) -> None:
    argv = guest.argv("sh", "-c", "tty && read word && echo got $word", options=["-t"])
    done = subprocess.run(argv, input=b"this\n", capture_output=True, check=True)
    assert b"/dev/pts/" in done.stdout
    assert b"got this\r\n" in done.stdout


def test_a_guest_that_dies_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    with pretended(tmp_path) as guest:
        argv = guest.argv("sh", "-c", "echo ready; sleep 100")
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
            assert started.stdout
            assert started.stderr
            started.stdout.readline()
            guest.agent.kill()
            said = started.stderr.read()
    assert started.returncode == 1
    assert said.startswith(b"testbed: the guest has gone: ")
    assert said.endswith(b"Kernel panic - not syncing: a test\n")


def test_no_guest_at_all(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", ENTER, str(tmp_path), "--", "true"]
    done = subprocess.run(argv, capture_output=True, check=False)
    assert done.returncode == 1
    assert b"no guest answers at" in done.stderr


@pytest.mark.parametrize("words", [[], ["folder"], ["folder", "--"], ["folder", "true"]])
def test_usage(words: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", ENTER, *words], capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(b"usage: ")
