"""What is shown while something lasts: on a terminal only, and nothing of it stays."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

from tests.house.source import ROOT

PROGRAM = "from testbed.cli.progress import note\nwith note('booting vm'): print('in')"


def test_a_note_is_shown_and_taken_away() -> None:
    shown, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, stdout=subprocess.PIPE, stderr=theirs, check=True
    )
    os.close(theirs)
    assert os.read(shown, 1000) == b"booting vm ...\r\x1b[K"
    os.close(shown)
    assert done.stdout == b"in\n"


def test_where_nobody_watches_nothing_is_said() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"in\n", b"")
