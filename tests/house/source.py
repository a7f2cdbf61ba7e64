"""Parsed source files for the house tests: each file is read and parsed once per process."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One Python file: its dotted module name, text and tree."""

    path: Path
    text: str
    tree: ast.Module

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def module(self) -> str:
        """The dotted name; a package's is that of its folder."""
        parts = self.path.relative_to(ROOT).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def functions(self) -> Iterator[Function]:
        """Every function and method, nested ones too."""
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))

    def where(self, node: ast.stmt | ast.expr) -> str:
        """`path:line` of a node, as an editor understands it."""
        return f"{self}:{node.lineno}"

    def imports(self) -> Iterator[tuple[str, ast.stmt]]:
        """Each imported module by its full name: `from a import b` gives `a.b` if that is a module."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, node) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((self._imported(node, alias.name), node) for alias in node.names)

    def _imported(self, node: ast.ImportFrom, name: str) -> str:
        package = self.module.split(".")
        if self.path.name != "__init__.py":
            package = package[:-1]
        base = package[: len(package) - node.level + 1] if node.level else []
        module = ".".join([*base, *([node.module] if node.module else [])])
        return f"{module}.{name}" if is_module(f"{module}.{name}") else module


def is_module(name: str) -> bool:
    """True if a dotted name is a file or a package of this project."""
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


@functools.cache
def sources(folder: str) -> tuple[Source, ...]:
    """Every Python file under a folder of the project, sorted by path."""
    return tuple(_read(path) for path in sorted((ROOT / folder).rglob("*.py")))


def _read(path: Path) -> Source:
    text = path.read_text()
    return Source(path, text, ast.parse(text, str(path)))


def called_name(node: ast.expr) -> str:
    """The dotted name of what is called, as far as it is written as one; else empty."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = called_name(node.value)
        return f"{owner}.{node.attr}" if owner else node.attr
    return ""
