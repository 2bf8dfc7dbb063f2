"""`telefold run` against servers of which something is missing: a sentence for each problem, and no JVM is started."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from uuid import uuid4

import pytest

from telefold.connectors import aws
from telefold.deploy import checkout
from telefold.deploy.local.servers import free_port
from telefold.deploy.local.tables import REGION
from telefold.deploy.minicluster import environment, jvm
from telefold.deploy.package import packaging
from telefold.jobs import preflight, settings
from telefold.schemas.errors import JobError
from tests.support.run_in_process import Ended, Groups, ReachedTheJvm, Telefold, changed, write

SOURCE, JOB, VIEWS, DEAD_LETTER = "telefold.source", "telefold.job", "telefold.views", "telefold.dead-letter"
ARCHIVE = "telefold.archive"


@pytest.fixture
def stream(kinesis_endpoint: str) -> Iterator[str]:
    """An event stream, and one of its name and `-dead` for the dead letters."""
    client = aws.client("kinesis", REGION, kinesis_endpoint)
    name = f"events-{uuid4().hex[:8]}"
    for one in (name, f"{name}-dead"):
        client.create_stream(StreamName=one, ShardCount=1)
        client.get_waiter("stream_exists").wait(StreamName=one, WaiterConfig={"Delay": 1})
    yield name
    for one in (name, f"{name}-dead"):
        client.delete_stream(StreamName=one)
    client.close()


@pytest.fixture
def groups(kinesis_endpoint: str, dynamodb_endpoint: str, stream: str, views_table: str, redis_url: str) -> Groups:
    """Properties that name what is there."""
    return {
        SOURCE: {"stream.name": stream, "aws.region": REGION, "aws.endpoint": kinesis_endpoint},
        VIEWS: {"dynamodb.table": views_table, "dynamodb.endpoint": dynamodb_endpoint, "redis.url": redis_url},
        DEAD_LETTER: {"stream.name": f"{stream}-dead"},
    }


@pytest.fixture(autouse=True)
def no_jvm(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(log_file: Path, environment: Mapping[str, str]) -> jvm.Jvm:
        raise ReachedTheJvm

    monkeypatch.setattr(jvm, "start", start)


@pytest.fixture
def telefold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Telefold:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    return Telefold(tmp_path, monkeypatch, capsys)


def test_with_all_in_place_the_job_is_started(groups: Groups, telefold: Telefold) -> None:
    with pytest.raises(ReachedTheJvm):
        telefold.run(groups)


def test_a_misspelt_property(groups: Groups, telefold: Telefold) -> None:
    code, (heading, sentence) = telefold.run(changed(groups, JOB, paralelism="2"))
    assert code == 2
    assert heading == "The settings cannot be used:"
    assert sentence.startswith("telefold.job/paralelism: there is no such property; did you mean parallelism?")


def test_a_missing_stream(groups: Groups, telefold: Telefold, kinesis_endpoint: str) -> None:
    assert telefold.run(changed(groups, SOURCE, stream_name="clicks")) == Ended(
        1,
        [
            f"There is no stream clicks in us-east-1 at {kinesis_endpoint}:"
            " create it, or correct telefold.source/stream.name."
        ],
    )


def test_a_missing_stream_that_is_named_by_its_arn(groups: Groups, telefold: Telefold, kinesis_endpoint: str) -> None:
    arn = "arn:aws:kinesis:us-east-1:123456789012:stream/letters"
    assert telefold.run(groups | {DEAD_LETTER: {"stream.arn": arn}}) == Ended(
        1,
        [
            f"There is no stream letters in us-east-1 at {kinesis_endpoint}:"
            " create it, or correct telefold.dead-letter/stream.arn."
        ],
    )


def test_a_wrong_region(groups: Groups, telefold: Telefold, stream: str, kinesis_endpoint: str) -> None:
    assert telefold.run(changed(groups, SOURCE, aws_region="eu-west-1")) == Ended(
        1,
        [
            f"There are no streams {stream} and {stream}-dead in eu-west-1 at {kinesis_endpoint}:"
            " create them, or correct telefold.source/aws.region or aws.endpoint."
        ],
    )


def test_a_stopped_kinesis(groups: Groups, telefold: Telefold) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    assert telefold.run(changed(groups, SOURCE, aws_endpoint=nowhere)) == Ended(
        1,
        [
            f"Kinesis cannot be reached at {nowhere}:"
            " start it with `telefold local up`, or correct telefold.source/aws.endpoint."
        ],
    )


def test_a_stopped_redis(groups: Groups, telefold: Telefold) -> None:
    port = free_port()
    code, (sentence,) = telefold.run(changed(groups, VIEWS, redis_url=f"redis://127.0.0.1:{port}"))
    assert code == 1
    assert re.fullmatch(
        rf"Redis cannot serve now \(Error \d+ connecting to 127\.0\.0\.1:{port}\. Connection refused\.\):"
        r" start it or wait until it does, or correct telefold\.views/redis\.url\.",
        sentence,
    )


def test_a_stopped_dynamodb(groups: Groups, telefold: Telefold) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    assert telefold.run(changed(groups, VIEWS, dynamodb_endpoint=nowhere)) == Ended(
        1,
        [
            f'DynamoDB cannot be reached (Could not connect to the endpoint URL: "{nowhere}/"):'
            " start it or wait until it is back, or correct telefold.views/dynamodb.endpoint or aws.region."
        ],
    )


def test_a_missing_table(groups: Groups, telefold: Telefold) -> None:
    assert telefold.run(changed(groups, VIEWS, dynamodb_table="viewz")) == Ended(
        1,
        [
            "The table viewz does not exist in this account and region:"
            " create it, or correct telefold.views/dynamodb.table or aws.region."
        ],
    )


def test_an_archive_that_is_not_there_yet(groups: Groups, telefold: Telefold, tmp_path: Path) -> None:
    with pytest.raises(ReachedTheJvm):
        telefold.run(changed(groups, ARCHIVE, path=str(tmp_path / "new" / "archive")))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_an_archive_that_cannot_be_made(groups: Groups, telefold: Telefold, tmp_path: Path, scheme: str) -> None:
    (tmp_path / "file").touch()
    path = f"{scheme}{tmp_path}/file/archive"
    assert telefold.run(changed(groups, ARCHIVE, path=path)) == Ended(
        1,
        [
            f"The archive at {path} cannot be written, for {tmp_path}/file is not a folder:"
            " change that, or correct telefold.archive/path."
        ],
    )


def test_an_archive_without_the_right_to_write(groups: Groups, telefold: Telefold) -> None:
    """Linux lets not even root make a folder there."""
    code, (sentence,) = telefold.run(changed(groups, ARCHIVE, path="/proc/sys/archive"))
    assert code == 1
    assert sentence.endswith(" may not be written to by this user: change that, or correct telefold.archive/path.")


def test_a_bucket_that_is_not_there(
    groups: Groups, telefold: Telefold, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3_endpoint)
    assert telefold.run(changed(groups, ARCHIVE, path="s3://no-such-bucket/events")) == Ended(
        1, [f"There is no bucket no-such-bucket in S3 at {s3_endpoint}: create it, or correct telefold.archive/path."]
    )


def test_an_s3_that_cannot_be_reached(groups: Groups, telefold: Telefold, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", nowhere)
    code, (sentence,) = telefold.run(changed(groups, ARCHIVE, path="s3://telemetry/events"))
    assert code == 1
    assert sentence.startswith(
        f'The archive at s3://telemetry/events cannot be reached (Could not connect to the endpoint URL: "{nowhere}/'
    )
    assert sentence.endswith(
        "): check telefold.archive/path, the credentials and their right to the bucket, and AWS_ENDPOINT_URL_S3 if it"
        " is set."
    )


def test_an_archive_in_s3_without_flinks_file_system_for_it(
    groups: Groups, telefold: Telefold, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "PLUGINS", tmp_path)
    assert telefold.run(changed(groups, ARCHIVE, path="s3://telemetry/events")) == Ended(
        1,
        [
            f"telefold.archive/path is in S3, but Flink's file system for S3 is not in {tmp_path}:"
            " run `make setup` to fetch it, or set the path to a folder."
        ],
    )


def test_a_cluster_brings_its_file_system_for_s3(
    groups: Groups, tmp_path: Path, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "PLUGINS", tmp_path)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3_endpoint)
    wrong = changed(groups, ARCHIVE, path="s3://no-such-bucket/events")
    loaded = settings.load(write(tmp_path / "application_properties.json", wrong))
    with pytest.raises(JobError, match=r"^There is no bucket no-such-bucket"):
        preflight.check(loaded)


def test_two_problems_are_two_sentences(groups: Groups, telefold: Telefold) -> None:
    wrong = changed(changed(groups, VIEWS, dynamodb_table="viewz"), SOURCE, stream_name="clicks")
    code, (about_stream, about_table) = telefold.run(wrong)
    assert code == 1
    assert about_stream.startswith("There is no stream clicks")
    assert about_table.startswith("The table viewz does not exist")


def test_settings_that_cannot_be_used_are_told_before_any_server_is_asked(groups: Groups, telefold: Telefold) -> None:
    wrong = changed(changed(groups, JOB, parallelism="0"), SOURCE, stream_name="clicks")
    code, (_, sentence) = telefold.run(wrong)
    assert code == 2
    assert sentence == "telefold.job/parallelism = '0': must be at least 1."


def test_a_checkpoint_that_is_not_there(groups: Groups, telefold: Telefold) -> None:
    assert telefold.run(groups, "--resume", "chk-7") == Ended(
        1, ["There is no complete checkpoint in chk-7: give --resume a folder that holds _metadata."]
    )


def test_a_job_that_is_not_there(groups: Groups, telefold: Telefold) -> None:
    assert telefold.run(groups, "telemetri") == Ended(1, ["There is no job telemetri: the only one is telemetry."])


def test_a_program_of_its_own_ends_likewise_without_traceback_or_jvm(groups: Groups, tmp_path: Path) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    java.chmod(0o755)
    environment = os.environ | {"PATH": f"{java.parent}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("JAVA_HOME", None)
    properties = write(tmp_path / "application_properties.json", changed(groups, VIEWS, dynamodb_table="viewz"))
    done = subprocess.run(
        [sys.executable, "-m", "telefold", "run", "telemetry", "--properties", properties],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "The table viewz does not exist in this account and region:"
        " create it, or correct telefold.views/dynamodb.table or aws.region.\n"
    )
    assert not (tmp_path / "started").exists()
    assert not (tmp_path / "logs").exists()


def test_the_program_of_the_zip_ends_likewise_in_lines_of_its_own(groups: Groups, tmp_path: Path) -> None:
    wrong = changed(changed(groups, VIEWS, dynamodb_table="viewz"), SOURCE, stream_name="clicks")
    properties = write(tmp_path / "application_properties.json", wrong)
    done = subprocess.run(
        [sys.executable, checkout.TEMPLATES / packaging.MAIN],
        env=os.environ | {"TELEFOLD_PROPERTIES": str(properties)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    about_stream, about_table = done.stderr.splitlines()
    assert about_stream.startswith("telefold: There is no stream clicks")
    assert about_table.startswith("telefold: The table viewz does not exist")
