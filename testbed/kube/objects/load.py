"""Manifests from files, directories and standard input: every mistake at once, or objects to apply.

Knows files, documents and what is wrong across them (twice the same object, two clusters). What is wrong
within one object is `validate.py`'s to say.
"""

from __future__ import annotations

import contextlib
import difflib
import gc
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from testbed.errors import ManifestErrors, Mistake
from testbed.kube.objects.cluster import ClusterConfig, cluster_of
from testbed.kube.objects.documents import Document, documents
from testbed.kube.objects.kinds import CLUSTER, KINDS
from testbed.kube.objects.source import Manifest, Source
from testbed.kube.objects.validate import checked

# Of one text: several times 10,000 Services; the worst takes 200 times that in memory.
MAX_CHARACTERS = 32 << 20
_ENDINGS = frozenset({".yaml", ".yml", ".json"})
_STAND_ON_OTHERS = tuple(KINDS.keys() - {"Namespace"})  # what is asked may be no string, and have no hash
_SERVER_FIELDS = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid")


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was handed in: objects in their order, the cluster if it was described, lines to warn with.

    With `mistakes`, the manifests are those that a cluster can judge nevertheless: sound ones, each name once, and
    none at all if a Cluster, a Namespace or a document that cannot be read is among the mistaken ones.
    """

    manifests: tuple[Manifest, ...]
    cluster: ClusterConfig | None = None
    warnings: tuple[str, ...] = ()
    mistakes: tuple[Mistake, ...] = ()


def load(paths: Sequence[str], stdin: TextIO | None = None) -> Loaded:
    """Read files, directories (with all below them) and `-`, which is `stdin`.

    Raises ManifestErrors with every mistake found, also if a path cannot be read or there is nothing in any.
    """
    return _sound(read(paths, stdin))


def read(paths: Sequence[str], stdin: TextIO | None = None) -> Loaded:
    """As `load`, for whoever has mistakes of their own to add: those in the files are in the result.

    Raises ManifestErrors only if there is nothing to read.
    """
    if not paths:
        raise ManifestErrors(
            [Mistake("", 0, "", "nothing to read", "name files, directories, or - for stdin")]
        )
    collected = _Collected()
    with no_collections():
        for path in paths:
            for text, file in _texts(path, stdin, collected.mistakes):
                collected.add_text(text, file)
    if not collected.documents and not collected.mistakes:
        hint = "a manifest has at least the fields apiVersion, kind and metadata.name"
        raise ManifestErrors([Mistake("", 0, "", f"no objects in {', '.join(paths)}", hint)])
    return collected.loaded()


def load_text(text: str, file: str) -> Loaded:
    """Read manifests from a text; `file` is what mistakes call it. Raises ManifestErrors."""
    collected = _Collected()
    with no_collections():
        collected.add_text(text, file)
    return _sound(collected.loaded())


def _sound(loaded: Loaded) -> Loaded:
    if loaded.mistakes:
        raise ManifestErrors(loaded.mistakes)
    return loaded


@contextlib.contextmanager
def no_collections() -> Iterator[None]:
    """Without the cyclic garbage collector.

    A document makes no cycles, but very many objects, and walking them again and again took three quarters of
    the time for one List of 10,000 Services.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _texts(path: str, stdin: TextIO | None, mistakes: list[Mistake]) -> Iterator[tuple[str, str]]:
    """The texts that a path stands for, each with the name to call it."""
    if path == "-":
        if stdin is None:
            mistakes.append(Mistake("-", 1, "", "there is no standard input here", "name a file"))
        else:
            yield from _limited(stdin, "-", mistakes)
        return
    files = _files(Path(path))
    if not files:
        mistakes.append(Mistake("", 0, "", f"{path}: no *.yaml, *.yml or *.json file in this directory"))
    for file in files:
        try:
            with file.open(encoding="utf-8-sig") as opened:
                yield from _limited(opened, str(file), mistakes)
        except OSError as error:
            mistakes.append(Mistake("", 0, "", f"{file}: {error.strerror}"))
        except ValueError as error:  # not UTF-8, or a path with a null byte in it
            mistakes.append(Mistake("", 0, "", f"{file}: {error}", "manifests are UTF-8 text"))


def _limited(source: TextIO, name: str, mistakes: list[Mistake]) -> Iterator[tuple[str, str]]:
    """The text of a file, if it is not so long that nobody can have meant it (a device has no end at all)."""
    text = source.read(MAX_CHARACTERS + 1)
    if len(text) > MAX_CHARACTERS:
        message = f"longer than {MAX_CHARACTERS >> 20} MiB"
        mistakes.append(Mistake(name, 1, "", message, "split it, and apply one part after the other"))
    else:
        yield text, name


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*") if file.suffix in _ENDINGS and file.is_file())


@dataclass(slots=True)
class _Collected:
    """Everything read so far, good and bad."""

    documents: int = 0
    manifests: list[Manifest] = field(default_factory=list)
    clusters: list[Manifest] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    groundless: bool = False  # what other documents stand on is mistaken, so they cannot be judged
    unknown: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add_text(self, text: str, file: str) -> None:
        for document in documents(text, file):
            self.documents += 1
            self._add(document)

    def _add(self, document: Document) -> None:
        body, source = document.body, document.source
        self.mistakes += document.mistakes
        self.groundless |= bool(document.mistakes)
        if document.mistakes and body is None:
            return
        if not isinstance(body, dict):
            hint = "a manifest has at least the fields apiVersion, kind and metadata.name"
            self.mistakes.append(source.mistake("", "not an object", hint))
        elif _is_foreign(body):
            self.unknown[body["kind"], str(body.get("apiVersion", ""))] += 1
        else:
            self._add_known(body, source)

    def _add_known(self, body: dict[str, Any], source: Source) -> None:
        new, errors = checked(body)
        self.mistakes += [source.mistake(error.path, error.message, error.hint) for error in errors]
        self.groundless |= bool(errors) and body.get("kind") not in _STAND_ON_OTHERS
        if not errors:
            written = {**body, "metadata": dict(body["metadata"])}
            manifest = Manifest(_without_server_fields(new), source, _without_server_fields(written))
            (self.clusters if new["kind"] == CLUSTER.name else self.manifests).append(manifest)

    def loaded(self) -> Loaded:
        """The result, with what is wrong."""
        twice = list(_twice(self.manifests))
        mistakes = [*self.mistakes, *twice, *_more_clusters(self.clusters)]
        cluster = cluster_of(self.clusters[0].body) if self.clusters else None
        manifests = _first_of_each(self.manifests) if twice else self.manifests
        judged = () if self.groundless else tuple(manifests)
        return Loaded(judged, cluster, tuple(_warnings(self.unknown)), tuple(mistakes))


def _is_foreign(body: dict[str, Any]) -> bool:
    """True for an object of a kind that is none of ours. Kinds in quotes or without a name are mistakes."""
    kind = body.get("kind")
    return isinstance(kind, str) and kind != "" and kind != CLUSTER.name and kind not in KINDS


def _without_server_fields(body: dict[str, Any]) -> dict[str, Any]:
    """Without what another API server has set, which `kubectl get -o yaml` prints.

    It says nothing about the object here, and its resourceVersion would make every update a conflict.
    """
    for name in _SERVER_FIELDS:
        body["metadata"].pop(name, None)
    return body


def _first_of_each(manifests: Sequence[Manifest]) -> list[Manifest]:
    return list({_key(manifest): manifest for manifest in reversed(manifests)}.values())[::-1]


def _key(manifest: Manifest) -> tuple[str, str, str]:
    metadata = manifest.body["metadata"]
    return manifest.body["kind"], metadata.get("namespace", ""), metadata["name"]


def _twice(manifests: Sequence[Manifest]) -> Iterator[Mistake]:
    seen: dict[tuple[str, str, str], Source] = {}
    for manifest in manifests:
        source = manifest.source
        kind, namespace, name = _key(manifest)
        first = seen.setdefault((kind, namespace, name), source)
        if first is not source:
            full_name = f"{namespace}/{name}" if namespace else name
            place = f"{first.file}:{first.line('metadata.name')}"
            message = f'Duplicate value: {kind} "{full_name}" is at {place} already'
            yield source.mistake("metadata.name", message, "rename one of the two, or leave one out")


def _more_clusters(clusters: Sequence[Manifest]) -> Iterator[Mistake]:
    for extra in clusters[1:]:
        first = clusters[0].source
        message = f"a second Cluster document; the first is at {first.file}:{first.line('')}"
        yield extra.source.mistake("", message, "one input describes one cluster")


def _warnings(unknown: Counter[tuple[str, str]]) -> Iterator[str]:
    for (kind, version), count in sorted(unknown.items()):
        things = "1 object is" if count == 1 else f"{count} objects are"
        near = difflib.get_close_matches(
            kind.lower(), [name.lower() for name in (*KINDS, CLUSTER.name)], 1, 0.85
        )
        twin = next((name for name in (*KINDS, CLUSTER.name) if near and name.lower() == near[0]), "")
        hint = f"; did you mean {twin}?" if twin else ""
        yield f"kind {kind} ({version or 'no apiVersion'}) is not known here: {things} ignored{hint}"
