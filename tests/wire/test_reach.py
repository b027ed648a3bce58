"""Which addresses are public, and who may reach the others."""

from __future__ import annotations

import pytest

from transfermon.wire.reach import Reach, is_public_address


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("192.0.2.1", False),
        ("192.88.99.1", False),
        ("::1", False),
        ("::", False),
        ("::127.0.0.1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("2002:7f00:1::", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b:1::1", False),
        ("fec0::1", False),
        ("fc00::1", False),
        ("fe80::1%eth0", False),
        ("5f00::1", False),
        ("ff02::1", False),
    ],
)
def test_an_address_is_public_or_not(address, public):
    assert is_public_address(address) is public


def test_a_given_address_reaches_a_private_one_only_where_that_host_and_port_is_allowed():
    given = Reach(anywhere=False, allowed=frozenset({"127.0.0.1:8080", "[::1]:80"}))
    assert given.permits("127.0.0.1", 8080, "127.0.0.1")
    assert given.permits("::1", 80, "::1")
    assert not given.permits("127.0.0.1", 8081, "127.0.0.1")
    assert not given.permits("rebound.example", 8080, "127.0.0.1")
    assert given.permits("example.org", 80, "93.184.216.34")
    assert Reach().permits("x", 1, "127.0.0.1")
