"""Which credentials a client signs with."""

import pytest

from connectors import aws


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def key_of(endpoint: str | None) -> str | None:
    client = aws.client("kinesis", "us-east-1", endpoint)
    credentials = client._request_signer._credentials
    client.close()
    return credentials and credentials.access_key


def test_an_emulator_gets_made_up_credentials() -> None:
    assert key_of("http://127.0.0.1:4567") == "local"


def test_configured_credentials_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert key_of("http://127.0.0.1:4567") == "mine"


@pytest.mark.parametrize("endpoint", [None, "https://vpce-1.kinesis.us-east-1.vpce.amazonaws.com"])
def test_aws_itself_never_gets_made_up_credentials(endpoint: str | None) -> None:
    assert key_of(endpoint) is None
