"""Names, labels and port names: Kubernetes' rules and its sentences (apimachinery util/validation).

Knows the grammar of names. Knows no kinds: which rule a kind's name must keep stands in `metadata.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from testbed.kube.objects.fields import FieldErrors, invalid
from testbed.kube.objects.source import child

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_NAME_PART = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = f"({_NAME_PART})?"

_LABEL_MESSAGE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
    "and end with an alphanumeric character"
)
_SUBDOMAIN_MESSAGE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character"
)
_LABEL_1035_MESSAGE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end with an alphanumeric character"
)
_NAME_PART_MESSAGE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character"
)
_LABEL_VALUE_MESSAGE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
    "start and end with an alphanumeric character"
)

NameRule = Callable[[str], str]
"""What is wrong with a name, in Kubernetes' words; empty if nothing is."""


def _rule(pattern: str, message: str, longest: int, example: str) -> NameRule:
    compiled = re.compile(pattern)

    def wrong(value: str) -> str:
        if len(value.encode(errors="replace")) > longest:
            return f"must be no more than {longest} bytes"
        return "" if compiled.fullmatch(value) else f"{message} (e.g. {example})"

    return wrong


dns_label = _rule(_LABEL, _LABEL_MESSAGE, 63, "'my-name', or '123-abc'")
dns_subdomain = _rule(_SUBDOMAIN, _SUBDOMAIN_MESSAGE, 253, "'example.com'")
dns_1035_label = _rule(_LABEL_1035, _LABEL_1035_MESSAGE, 63, "'my-name', or 'abc-123'")
label_value = _rule(_LABEL_VALUE, _LABEL_VALUE_MESSAGE, 63, "'MyValue', or 'my_value', or '12345'")
_name_part = _rule(_NAME_PART, _NAME_PART_MESSAGE, 63, "'MyName', or 'my.name', or '123-abc'")


def qualified_name(value: str) -> str:
    """A label's or annotation's key: `[prefix/]name` (`IsQualifiedName`)."""
    prefix, slash, name = value.rpartition("/")
    if slash and not prefix:
        return "prefix part must be non-empty"
    if not name:
        return "name part must be non-empty"
    wrong = dns_subdomain(prefix) if prefix else ""
    return f"prefix part {wrong}" if wrong else _name_part(name)


def port_name(value: str) -> str:
    """An IANA service name, which a container's port and a targetPort have (`IsValidPortName`, RFC 6335)."""
    if len(value) > 15:
        return "must be no more than 15 characters"
    if not re.fullmatch("[a-z0-9-]+", value):
        return "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
    if not re.search("[a-z]", value):
        return "must contain at least one letter (a-z)"
    if "--" in value:
        return "must not contain consecutive hyphens"
    return "must not begin or end with a hyphen" if value[0] == "-" or value[-1] == "-" else ""


def named(path: str, value: str, rule: NameRule) -> FieldErrors:
    """Check one name against a rule; a name that lower case or hyphens would mend gets that as hint."""
    wrong = rule(value)
    if wrong:
        mended = re.sub("[^a-z0-9.-]+", "-", value.lower()).strip("-.")
        yield invalid(path, value, wrong, f'"{mended}" would do' if mended and not rule(mended) else "")


def labels(path: str, values: Mapping[str, str]) -> FieldErrors:
    """Check keys and values of labels, a node selector or a Service's selector (`ValidateLabels`)."""
    for key, value in values.items():
        wrong = qualified_name(key)
        if wrong:
            yield invalid(child(path, key), key, wrong)
        wrong = label_value(value)
        if wrong:
            yield invalid(child(path, key), value, wrong)


def port_number(path: str, value: int) -> FieldErrors:
    """A TCP, UDP or SCTP port (`IsValidPortNum`)."""
    if not 1 <= value <= 65535:
        yield invalid(path, value, "must be between 1 and 65535, inclusive")


def port_number_or_name(path: str, value: int | str) -> FieldErrors:
    """A targetPort or a probe's port (`ValidatePortNumOrName`)."""
    if not isinstance(value, str):  # a number, be it one that is too large for an int64
        yield from port_number(path, value)
        return
    wrong = port_name(value)
    if wrong:
        # Kubernetes takes "80" for a name, and then finds no letter in it.
        yield invalid(path, value, wrong, f"write {value} without quotes" if value.isdecimal() else "")
