"""Habits of the product's code that a linter does not know: prints, errors, docstrings, words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.house.source import ROOT, Function, Source, called_name, sources

PRODUCT = sources("testbed")
ERRORS = {
    node.name
    for source in PRODUCT
    if source.module == "testbed.errors"
    for node in source.tree.body
    if isinstance(node, ast.ClassDef) and node.name != "Mistake"
}
# What Python itself, or a library that calls us, wants to be raised; each only where it is the protocol.
PROTOCOL = {
    "__getitem__": {"KeyError", "IndexError"},
    "__delitem__": {"KeyError", "IndexError"},
    "__getattr__": {"AttributeError"},
    "__next__": {"StopIteration"},
}

# "backend" means two things (endpoint, datapath), so we say neither by it. Other people's names may hold it.
FOREIGN_WORDS = {r"matplotlib\.backends\.backend_\w+": "the module's own name; it has no other"}


def texts() -> list[str]:
    """Every text file of the product, as a path below the root."""
    kinds = {".py", ".md", ".yaml", ".json", ".j2", ".css", ".js", ".c", ".h"}
    return [
        str(path.relative_to(ROOT)) for path in sorted((ROOT / "testbed").rglob("*")) if path.suffix in kinds
    ]


def packages() -> list[str]:
    """The packages that have code of their own."""
    return sorted(
        {
            s.module if s.path.name == "__init__.py" else s.module.rpartition(".")[0]
            for s in PRODUCT
            if s.tree.body[1:]
        }
    )


@pytest.mark.parametrize("source", [s for s in PRODUCT if not s.module.startswith("testbed.cli")], ids=str)
def test_only_the_command_line_prints(source: Source) -> None:
    calls = [node for node in ast.walk(source.tree) if isinstance(node, ast.Call)]
    prints = [source.where(call) for call in calls if called_name(call.func) in ("print", "pprint.pprint")]
    assert not prints


@pytest.mark.parametrize("source", PRODUCT, ids=str)
def test_no_handler_takes_everything(source: Source) -> None:
    """What is caught broadly to tidy up is raised again."""
    handlers = [node for node in ast.walk(source.tree) if isinstance(node, ast.ExceptHandler)]
    broad = [source.where(handler.body[0]) for handler in handlers if is_broad(handler)]
    assert not broad


def is_broad(handler: ast.ExceptHandler) -> bool:
    """True if the handler takes every exception and keeps it."""
    types = set(ast.unparse(handler.type).strip("()").split(", ")) if handler.type else {"Exception"}
    last = handler.body[-1]
    reraises = isinstance(last, ast.Raise) and last.exc is None
    return bool({"Exception", "BaseException"} & types) and not reraises


@pytest.mark.parametrize("source", PRODUCT, ids=str)
def test_only_own_errors_are_raised(source: Source) -> None:
    foreign = [f"{source.where(node)}: {name}" for name, node in raised(source) if name not in ERRORS]
    assert not foreign, "raise an error of testbed/errors.py, chained"


def raised(source: Source) -> Iterator[tuple[str, ast.Raise]]:
    """Names of exception classes raised, without those that are the protocol of the method they stand in.

    A lower-case name is a variable or a function that makes the error: what it holds was made elsewhere.
    """
    for node, function in raises(source.tree, ""):
        made = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        name = called_name(made).rpartition(".")[2] if made is not None else ""
        if name[:1].isupper() and name not in PROTOCOL.get(function, set()):
            yield name, node


def raises(node: ast.AST, function: str) -> Iterator[tuple[ast.Raise, str]]:
    """Every raise with the name of the function it stands in."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Raise):
            yield child, function
        yield from raises(child, child.name if isinstance(child, Function) else function)


@pytest.mark.parametrize("source", [s for s in PRODUCT if s.module != "testbed.errors"], ids=str)
def test_errors_live_in_one_file(source: Source) -> None:
    classes = [node for node in ast.walk(source.tree) if isinstance(node, ast.ClassDef)]
    suspects = ERRORS | {"Exception", "BaseException", "RuntimeError", "ValueError", "KeyError", "OSError"}
    own = [source.where(c) for c in classes if suspects & {called_name(base) for base in c.bases}]
    assert not own, "a new exception belongs into the tree of testbed/errors.py"


@pytest.mark.parametrize("source", PRODUCT, ids=str)
def test_what_is_public_is_described(source: Source) -> None:
    silent = [f"{source}: the module"] if source.text.strip() and not ast.get_docstring(source.tree) else []
    silent += [f"{source.where(node)}: {node.name}" for node in public(source.tree.body)]
    assert not silent, "no docstring:\n" + "\n".join(silent)


def public(body: list[ast.stmt]) -> Iterator[ast.ClassDef | Function]:
    """Public classes, functions and methods without a docstring, one-line properties left out."""
    for node in body:
        if not isinstance(node, ast.ClassDef | Function) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node) and not is_attribute(node):
            yield node
        if isinstance(node, ast.ClassDef):
            yield from public(node.body)


def is_attribute(node: ast.ClassDef | Function) -> bool:
    """True for a property of one line: its name tells what it is."""
    return len(node.body) == 1 and any(
        called_name(decorator) == "property" for decorator in node.decorator_list
    )


@pytest.mark.parametrize("path", texts())
def test_the_word_that_means_two_things(path: str) -> None:
    text = (ROOT / path).read_text()
    for pattern in FOREIGN_WORDS:
        text = re.sub(pattern, "", text)
    assert "backend" not in text.lower(), "say endpoint, or datapath"


@pytest.mark.parametrize("module", packages())
def test_every_package_is_imported_by_a_test(module: str) -> None:
    named = re.compile(rf"\b{re.escape(module)}\b")
    tests = [s for s in sources("tests") if s.path.name.startswith(("test_", "conftest"))]
    assert any(named.search(test.text) for test in tests), f"no test names {module}"
