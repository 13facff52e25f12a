"""A caller can ask whom it is taken for."""

import pytest


@pytest.mark.parametrize(("who", "scopes"), [("reader", ["read"]), ("boss", ["approve", "read"])])
def test_a_caller_is_told_its_name_and_scopes(reading, who, scopes):
    """As its token has them."""
    with reading.client(who) as client:
        assert client.get("/api/v1/me").json() == {"name": who, "tenant": "default", "scopes": scopes}


def test_without_a_token_nobody_is_told_anything(reading):
    """A 401."""
    with reading.client() as client:
        assert client.get("/api/v1/me").status_code == 401
