"""Commands as people type them, in an emulated cloud that they find as the AWS SDKs do."""

import io
from collections.abc import Callable

import pytest

from telefold.cli.main import main
from telefold.deploy.managed import poller
from tests.support.aws.cloud import Cloud

Run = Callable[..., tuple[int, str, str]]


def command_runner(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Gives the exit code, stdout and stderr of a command that is answered what is `typed`; time flies."""
    settings = {
        "AWS_ENDPOINT_URL": cloud.moto_url,
        "AWS_ENDPOINT_URL_CLOUDFORMATION": cloud.url,
        "AWS_ENDPOINT_URL_KINESIS_ANALYTICS_V2": cloud.url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(poller, "Poller", lambda: cloud.poller())

    def run(*arguments: str, typed: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["telefold", *arguments])
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run
