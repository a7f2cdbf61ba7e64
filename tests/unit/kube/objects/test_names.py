"""Kubernetes' grammar of names."""

from __future__ import annotations

import pytest

from testbed.kube.objects import names
from testbed.kube.objects.fields import FieldError


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        (names.dns_label, "a"),
        (names.dns_label, "0-a"),
        (names.dns_label, "a" * 63),
        (names.dns_1035_label, "a-0"),
        (names.dns_subdomain, "a.b-c.0"),
        (names.dns_subdomain, ".".join(["a" * 62] * 4)),
        (names.label_value, ""),
        (names.label_value, "A_b.c-1"),
        (names.qualified_name, "app"),
        (names.qualified_name, "kubernetes.io/Name_1"),
        (names.port_name, "http"),
        (names.port_name, "a" * 15),
        (names.port_name, "8-a"),
    ],
)
def test_right(rule: names.NameRule, value: str) -> None:
    assert rule(value) == ""


@pytest.mark.parametrize(
    ("rule", "value", "wrong"),
    [
        (names.dns_label, "", "a lowercase RFC 1123 label must"),
        (names.dns_label, "A", "a lowercase RFC 1123 label must"),
        (names.dns_label, "a-", "a lowercase RFC 1123 label must"),
        (names.dns_label, "a.b", "a lowercase RFC 1123 label must"),
        (names.dns_label, "a\n", "a lowercase RFC 1123 label must"),
        (names.dns_label, "a" * 64, "must be no more than 63 bytes"),
        (names.dns_1035_label, "1a", "a DNS-1035 label must"),
        (names.dns_subdomain, "a..b", "a lowercase RFC 1123 subdomain must"),
        (names.dns_subdomain, "a" * 254, "must be no more than 253 bytes"),
        (names.label_value, "-a", "a valid label must"),
        (names.label_value, "ä", "a valid label must"),
        (names.qualified_name, "", "name part must be non-empty"),
        (names.qualified_name, "a/", "name part must be non-empty"),
        (names.qualified_name, "/a", "prefix part must be non-empty"),
        (names.qualified_name, "a/b/c", "prefix part a lowercase RFC 1123 subdomain must"),
        (names.qualified_name, "a b", "name part must consist"),
        (names.port_name, "a" * 16, "must be no more than 15 characters"),
        (names.port_name, "HTTP", "must contain only alpha-numeric"),
        (names.port_name, "", "must contain only alpha-numeric"),
        (names.port_name, "80", "must contain at least one letter"),
        (names.port_name, "a--b", "must not contain consecutive hyphens"),
        (names.port_name, "-a", "must not begin or end with a hyphen"),
    ],
)
def test_wrong(rule: names.NameRule, value: str, wrong: str) -> None:
    assert rule(value).startswith(wrong)


@pytest.mark.parametrize(
    ("value", "hint"), [("My_Web", '"my-web" would do'), ("web!", '"web" would do'), ("!!", "")]
)
def test_a_name_that_can_be_mended_is_named(value: str, hint: str) -> None:
    (error,) = names.named("metadata.name", value, names.dns_label)
    assert error.hint == hint


@pytest.mark.parametrize("value", [1, 65535])
def test_port_number(value: int) -> None:
    assert list(names.port_number("p", value)) == []


@pytest.mark.parametrize("value", [-1, 0, 65536])
def test_no_port_number(value: int) -> None:
    message = f"Invalid value: {value}: must be between 1 and 65535, inclusive"
    assert list(names.port_number("p", value)) == [FieldError("p", message)]
