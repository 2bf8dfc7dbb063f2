"""Whom a connection to Redis by TLS trusts."""

import ssl

import pytest

from tests.support.open_stores import redis_writer


def authorities(url: str) -> str | None:
    writer = redis_writer(url)
    named = writer._client.connection_pool.connection_kwargs.get("ssl_ca_certs")
    writer.close()
    return named


def test_tls_needs_no_authorities_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may have none."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent")
    monkeypatch.setenv("SSL_CERT_DIR", "/nonexistent")
    context = ssl.create_default_context()
    assert not context.get_ca_certs()
    context.load_verify_locations(cafile=authorities("rediss://127.0.0.1:1"))
    assert any("Amazon" in str(one["subject"]) for one in context.get_ca_certs())


def test_an_authority_of_ones_own_is_named_in_the_url() -> None:
    assert authorities("rediss://127.0.0.1:1?ssl_ca_certs=/etc/our-ca.pem") == "/etc/our-ca.pem"


def test_without_tls_nobody_is_asked_for() -> None:
    assert authorities("redis://127.0.0.1:1") is None
