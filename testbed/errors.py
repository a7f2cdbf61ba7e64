"""Every exception that testbed raises on purpose, in one tree.

TestbedError                 exit code 1: a check failed, or something went wrong that has a name
├── UsageError               exit code 2: the command line or a setting is wrong
│   ├── ManifestErrors       exit code 2: every mistake found in the input, at once
│   └── Forbidden            exit code 2: what nobody may do
├── FeatureMissing           exit code 3: this machine cannot do it; says what mends that
├── CommandFailed            a started process ended with a status other than 0
├── KernelStateError         the kernel holds something else than what was just put there
├── MeasurementInvalid       a figure was refused because its conditions were not met
├── NotFound                 the store holds no such object
├── Conflict                 the store's object changed meanwhile, or exists already
├── Expired                  the store no longer knows what happened since the version that was asked for
└── StatusError              the Kubernetes API said no, by a Status object
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


class TestbedError(Exception):
    """Root of the tree. `exit_code` is what the command line ends with."""

    __test__ = False  # the name starts with "Test"; pytest must not collect it
    exit_code = 1


class UsageError(TestbedError):
    """The command line or a setting is wrong."""

    exit_code = 2


def printable(text: str) -> str:
    """Text of others for a terminal: what would move its cursor or turn its line around is escaped, as Go's %q."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One mistake in the input: where it is, what is wrong, what would be right.

    `file` is the path as the user gave it (`-` for standard input), `line` counts from 1,
    `path` is the field in Kubernetes' notation (`spec.ports[0].port`), empty for the document.
    """

    file: str
    line: int
    path: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: " if self.file else ""
        field = f"{self.path}: " if self.path else ""
        remedy = f"\n    hint: {printable(self.hint)}" if self.hint else ""
        return printable(f"{where}{field}{self.message}") + remedy


class ManifestErrors(UsageError):
    """Everything that is wrong with the input; nothing was changed."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes))
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))


class Forbidden(UsageError):
    """What nobody may do in this cluster, whoever asks."""


class FeatureMissing(TestbedError):
    """This machine lacks `feature`; `fix` is the command or the setting that mends it."""

    exit_code = 3

    def __init__(self, feature: str, reason: str, fix: str) -> None:
        self.feature, self.reason, self.fix = feature, reason, fix
        super().__init__(f"{feature}: {reason}\n    fix: {fix}")


class CommandFailed(TestbedError):
    """A process ended badly. Tells the whole story: what, where, status, what it said, which input line."""

    def __init__(
        self, argv: Sequence[str], status: int, stderr: str, *, where: str = "", input_line: str = ""
    ) -> None:
        self.argv, self.status, self.stderr = tuple(argv), status, stderr
        self.where, self.input_line = where, input_line
        place = f" in {where}" if where else ""
        culprit = f"\n    input: {input_line}" if input_line else ""
        super().__init__(f"{' '.join(argv)}{place}: status {status}: {stderr.strip()}{culprit}")


class KernelStateError(TestbedError):
    """The kernel's own state is not what was put there."""


class MeasurementInvalid(TestbedError):
    """A measurement's conditions were not met, so no figure is given."""


class NotFound(TestbedError):
    """The store holds no such object."""


class Conflict(TestbedError):
    """The object exists already, or was changed since it was read."""


class Expired(TestbedError):
    """The store no longer knows what happened since a version; list anew (the API's 410 Gone)."""


class StatusError(TestbedError):
    """An answer of the Kubernetes API other than success: `status` is its Status object (meta.k8s.io/v1).

    Raised by the server's code and, out of what came over the socket, by the client's.
    """

    def __init__(self, status: Mapping[str, Any]) -> None:
        self.status = status
        super().__init__(str(status.get("message", "")))

    @property
    def code(self) -> int:
        """The HTTP status code."""
        return int(self.status.get("code", 500))

    @property
    def reason(self) -> str:
        """The machine's word for it: NotFound, AlreadyExists, Conflict, Invalid, …"""
        return str(self.status.get("reason", ""))


def error_to_json(error: TestbedError) -> dict[str, Any]:
    """An error as JSON, for a socket."""
    told: dict[str, Any] = {"kind": type(error).__name__, "message": str(error)}
    if isinstance(error, ManifestErrors):
        told["mistakes"] = [asdict(mistake) for mistake in error.mistakes]
    if isinstance(error, FeatureMissing):
        told |= {"feature": error.feature, "reason": error.reason, "fix": error.fix}
    if isinstance(error, StatusError):
        told["status"] = dict(error.status)
    return told


def error_from_json(told: Mapping[str, Any]) -> TestbedError:
    """The inverse of `error_to_json`: the error as the class it was; one that is not known here as the root."""
    if "mistakes" in told:
        return ManifestErrors([Mistake(**mistake) for mistake in told["mistakes"]])
    if "fix" in told:
        return FeatureMissing(told["feature"], told["reason"], told["fix"])
    if "status" in told:
        return StatusError(told["status"])
    kind = globals().get(told["kind"], TestbedError)
    made: TestbedError = (TestbedError if kind is CommandFailed else kind)(told["message"])
    return made
