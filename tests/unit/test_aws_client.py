"""Which credentials a client signs with."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from telefold.connectors import aws


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def key_of(endpoint: str | None) -> str | None:
    client = aws.client("kinesis", "us-east-1", endpoint)
    credentials = client._request_signer._credentials  # type: ignore[attr-defined]  # boto3 has no other way to ask
    client.close()
    return None if credentials is None else str(credentials.access_key)


def test_an_emulator_gets_made_up_credentials() -> None:
    assert key_of("http://127.0.0.1:4567") == "local"


def test_configured_credentials_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert key_of("http://127.0.0.1:4567") == "mine"


@pytest.mark.parametrize(
    ("variables", "region"),
    [
        ({"AWS_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-1"),
    ],
)
def test_without_a_region_a_client_is_in_that_of_the_machine(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], region: str
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    client = aws.client("s3", None)
    assert client.meta.region_name == region
    assert client.meta.endpoint_url == f"https://s3.{region}.amazonaws.com"
    client.close()


@pytest.mark.parametrize("endpoint", [None, "https://vpce-1.kinesis.us-east-1.vpce.amazonaws.com"])
def test_aws_itself_never_gets_made_up_credentials(endpoint: str | None) -> None:
    assert key_of(endpoint) is None


_CREDENTIALS = {
    "Code": "Success",
    "Type": "AWS-HMAC",
    "AccessKeyId": "of-the-role",
    "SecretAccessKey": "secret",
    "Token": "token",
    "Expiration": "2999-01-01T00:00:00Z",
    "LastUpdated": "2026-01-01T00:00:00Z",
}


@contextmanager
def metadata_service(failures: int) -> Iterator[str]:
    """A cloud machine's metadata, which fails so often before it answers each question; its address."""
    left: dict[str, int] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self._answer("token")

        def do_GET(self) -> None:
            self._answer("role" if self.path.endswith("/security-credentials/") else json.dumps(_CREDENTIALS))

        def _answer(self, text: str) -> None:
            left[self.path] = left.get(self.path, failures) - 1
            content = text.encode()
            self.send_response(500 if left[self.path] >= 0 else 200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("failures", [0, 1, 3])
def test_a_role_is_found_although_the_metadata_service_stumbles(monkeypatch: pytest.MonkeyPatch, failures: int) -> None:
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    with metadata_service(failures) as address:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", address)
        assert key_of(None) == "of-the-role"


def test_more_patience_with_the_metadata_service_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_METADATA_SERVICE_TIMEOUT", "9")
    session = aws._session()
    assert session.get_config_variable("metadata_service_timeout") == 9
    assert session.get_config_variable("metadata_service_num_attempts") > 1


def test_clients_of_one_session_are_as_patient_as_one_alone() -> None:
    session = aws.session("us-east-1")
    pairs = (
        (session.client("s3"), aws.client("s3", "us-east-1")),
        (session.client("kinesis"), aws.client("kinesis", "us-east-1")),
    )
    for client, alone in pairs:
        assert client.meta.service_model.service_name == alone.meta.service_model.service_name
        for option in ("connect_timeout", "read_timeout", "max_pool_connections", "retries"):
            assert getattr(client.meta.config, option) == getattr(alone.meta.config, option)
        client.close()
        alone.close()
