"""Traces: one job, one trace, whichever processes worked on it."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from rushes import config, telemetry
from rushes.config import Settings
from rushes.errors import ConfigError
from rushes.testing.server import Answer, Exchange, FakeServer, Received

JOB = "video_0123456789abcdef0123456789abcdef"
OTHER = "video_fedcba9876543210fedcba9876543210"
TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Seen:
    """A span as it came to the collector."""

    name: str
    trace: str
    id: bytes
    parent: bytes
    facts: Mapping[str, str | int]
    error: str | None
    took_s: float


class Collector(FakeServer):
    """What speaks OTLP over HTTP, in protobuf."""

    def __init__(self) -> None:
        super().__init__()
        self.spans: list[Seen] = []
        self.services: set[str] = set()
        self.headers: list[Mapping[str, str]] = []

    def serve(self, received: Received, exchange: Exchange) -> None:
        assert (received.method, received.path) == ("POST", "/v1/traces")
        self.headers.append(received.headers)
        for resource in ExportTraceServiceRequest.FromString(received.body).resource_spans:
            self.services |= {a.value.string_value for a in resource.resource.attributes if a.key == "service.name"}
            self.spans += [seen(span) for scope in resource.scope_spans for span in scope.spans]
        exchange.send(Answer(200, b"", {"content-type": "application/x-protobuf"}))

    def named(self, name: str) -> Seen:
        [found] = [span for span in self.spans if span.name == name]
        return found


def seen(span: Span) -> Seen:
    facts = {a.key: a.value.string_value or a.value.int_value for a in span.attributes}
    return Seen(
        span.name,
        span.trace_id.hex(),
        span.span_id,
        span.parent_span_id,
        facts,
        span.status.message if span.status.code == Status.STATUS_CODE_ERROR else None,
        (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
    )


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture
def on(tmp_path: Path, collector: Collector) -> Iterator[Settings]:
    """Telemetry of this process goes to the collector until the test ends."""
    settings = asking(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    telemetry.set_up(settings)
    yield settings
    telemetry.shut_down()


def asking(folder: Path, **environment: str) -> Settings:
    return config.load(environment=environment, folder=folder, home=str(folder))


def in_a_process(program: str, folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a program that sets telemetry up as a command does."""
    head = "from rushes import config, telemetry\nfrom rushes.errors import Unavailable\nimport sys\n"
    body = "".join(f"    {line}\n" for line in program.strip().splitlines())
    whole = f"{head}telemetry.set_up(config.load())\ntry:\n{body}finally:\n    telemetry.shut_down()\n"
    return subprocess.run(
        [sys.executable, "-c", whole],
        cwd=folder,
        env={"RUSHES_HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )


SUBMITS = f"""
with telemetry.span("admit", "{JOB}", model="openai:video:sora-2") as span:
    span.note(outcome="admitted")
"""

WORKS = f"""
with telemetry.span("submit", "{JOB}", provider="openai", attempt=1) as span:
    span.note(remote_id="remote-1", outcome="created")
with telemetry.span("poll", "{JOB}") as span:
    span.note(looks=7)
with telemetry.span("download", "{JOB}"):
    with telemetry.span("publish", "{JOB}", size_bytes=1000):
        pass
"""


# -- one job, one trace ------------------------------------------------------------------------------------------------


def test_two_processes_write_into_one_trace_whose_id_is_the_jobs(tmp_path: Path, collector: Collector) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_SERVICE_NAME": "our-videos"}

    done = [in_a_process(program, tmp_path, **env) for program in (SUBMITS, WORKS)]

    assert [(each.returncode, each.stderr) for each in done] == [(0, ""), (0, "")]
    assert {span.trace for span in collector.spans} == {JOB.removeprefix("video_")}
    assert collector.services == {"our-videos"}
    root = collector.named("admit")
    assert root.parent == b""
    assert {collector.named(name).parent for name in ("submit", "poll", "download")} == {root.id}
    assert collector.named("publish").parent == collector.named("download").id
    assert collector.named("submit").facts == {
        "rushes.job": JOB,
        "rushes.provider": "openai",
        "rushes.attempt": 1,
        "rushes.remote_id": "remote-1",
        "rushes.outcome": "created",
    }
    assert collector.named("poll").facts["rushes.looks"] == 7


def test_jobs_do_not_share_a_trace(on: Settings, collector: Collector) -> None:
    with telemetry.span("submit", JOB), telemetry.span("submit", OTHER):
        pass
    telemetry.shut_down()

    assert {span.trace for span in collector.spans} == {JOB[6:], OTHER[6:]}
    assert len({span.parent for span in collector.spans}) == 2


# -- what a span says --------------------------------------------------------------------------------------------------


def test_an_error_is_told_by_its_code_and_not_by_its_words(tmp_path: Path, collector: Collector) -> None:
    program = f"""
with telemetry.span("submit", "{JOB}"):
    raise Unavailable("a CANARY in the words")
"""

    done = in_a_process(program, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)

    assert "Unavailable" in done.stderr
    submit = collector.named("submit")
    assert (submit.error, submit.facts["error.type"]) == ("provider_unavailable", "provider_unavailable")
    assert "CANARY" not in repr(collector.spans)


def test_a_step_that_is_cancelled_is_interrupted_and_no_error(on: Settings, collector: Collector) -> None:
    with pytest.raises(KeyboardInterrupt), telemetry.span("poll", JOB):
        raise KeyboardInterrupt
    telemetry.shut_down()

    poll = collector.named("poll")
    assert (poll.error, poll.facts["rushes.outcome"]) == (None, "interrupted")


def test_each_look_is_a_span_at_level_debug_only(tmp_path: Path, collector: Collector) -> None:
    program = f"""
with telemetry.span("poll", "{JOB}"), telemetry.span("look", "{JOB}"):
    pass
"""

    in_a_process(program, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    usually = [span.name for span in collector.spans]
    in_a_process(program, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, RUSHES_LOG_LEVEL="debug")

    assert usually == ["poll"]
    assert [span.name for span in collector.spans][1:] == ["look", "poll"]


def test_no_fact_of_a_span_could_hold_a_prompt() -> None:
    assert set(telemetry.Facts.__annotations__) == {
        *("model", "provider", "attempt", "remote_id", "outcome", "looks", "size_bytes", "joined")
    }
    assert get_args(telemetry.Step) == ("admit", "submit", "poll", "look", "download", "publish")


# -- on and off --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "endpoint"),
    [
        ({}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://far:4318/"}, "http://far:4318/v1/traces"),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "http://localhost:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://far/otlp"}, "http://far/otlp"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://far:4318", "OTEL_TRACES_EXPORTER": "none"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://far:4318", "OTEL_SDK_DISABLED": "true"}, None),
    ],
)
def test_the_usual_variables_switch_it_on_and_off(
    environment: dict[str, str], endpoint: str | None, tmp_path: Path
) -> None:
    target = telemetry.target_of(asking(tmp_path, **environment))

    assert (target.endpoint if target else None) == endpoint


def test_an_exporter_that_nobody_here_knows_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'zipkin'.*otlp only"):
        telemetry.target_of(asking(tmp_path, OTEL_TRACES_EXPORTER="zipkin"))


def test_headers_reach_the_collector_and_are_not_shown(tmp_path: Path, collector: Collector) -> None:
    headers = {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20CANARY,x-team=films"}
    target = telemetry.target_of(asking(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **headers))

    in_a_process(SUBMITS, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **headers)

    assert collector.headers[0]["authorization"] == "Bearer CANARY"
    assert collector.headers[0]["x-team"] == "films"
    assert "CANARY" not in repr(target)


def test_nothing_is_imported_unless_it_is_asked_for(tmp_path: Path) -> None:
    says = "\nassert not any(name.startswith('opentelemetry') for name in sys.modules)"

    off = in_a_process(SUBMITS + says, tmp_path)
    unused = in_a_process("pass" + says, tmp_path, OTEL_TRACES_EXPORTER="otlp")

    assert (off.returncode, off.stderr) == (0, "")
    assert (unused.returncode, unused.stderr) == (0, "")


def test_without_the_extra_it_is_off_and_the_log_says_how_to_get_it(tmp_path: Path, collector: Collector) -> None:
    program = "import logging; logging.basicConfig(level=logging.INFO, format='%(message)s %(install)s')"
    hidden = "\nsys.modules['opentelemetry'] = None"  # as if it were not installed

    done = in_a_process(program + hidden + SUBMITS + WORKS, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)

    assert done.returncode == 0, done.stderr
    assert done.stderr == "telemetry.off pip install 'rushes[otel]'\n"
    assert collector.spans == []


def test_a_collector_that_is_away_holds_nobody_up(tmp_path: Path, collector: Collector) -> None:
    collector.refuse()
    started = time.monotonic()

    done = in_a_process(SUBMITS, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)

    assert done.returncode == 0, done.stderr
    assert time.monotonic() - started < telemetry.SHUT_DOWN_S + 10
