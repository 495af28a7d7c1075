"""OpenTelemetry: the only importer of that library. What a span means is in `telemetry.py`.

The provider of spans is one of our own and not the process's global one: who uses rushes as a library may have set up
theirs, and the workflow library would write its own spans, with names of its own, into ours.
"""

import hashlib
import random
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags

from rushes.errors import RushesError
from rushes.version import VERSION
from rushes.video import video_uuid

SEND_EVERY_MS = 1000
INTERRUPTED = "interrupted"

_new_root: ContextVar[str | None] = ContextVar("rushes_new_root", default=None)


def trace_id_of(job_id: str) -> int:
    """The trace of a job. Pure."""
    return video_uuid(job_id).int


def root_span_id_of(job_id: str) -> int:
    """The first span of a job's trace, known to each process that works on it. Pure."""
    digest = hashlib.sha256(b"rushes root span " + video_uuid(job_id).bytes).digest()
    return int.from_bytes(digest[:8], "big") or 1  # zero is no id


def _nanoseconds(at: datetime) -> int:
    """Since 1970, as the library counts."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


class _Ids(IdGenerator):
    """Random ids, except for the root of a job."""

    def generate_span_id(self) -> int:
        job_id = _new_root.get()
        return root_span_id_of(job_id) if job_id else random.getrandbits(64) or 1

    def generate_trace_id(self) -> int:
        job_id = _new_root.get()
        return trace_id_of(job_id) if job_id else random.getrandbits(128) or 1


class RecordedSpan:
    """A span that somebody wants to see."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self.has_outcome = False

    def note(self, **facts: str | int) -> None:
        for name, value in facts.items():
            self._span.set_attribute(f"rushes.{name}", value)
        self.has_outcome = self.has_outcome or "outcome" in facts


class Tracer:
    """Makes spans and sends them, from a thread of its own."""

    def __init__(self, *, endpoint: str, headers: Mapping[str, str], service: str) -> None:
        exporter = OTLPSpanExporter(endpoint=endpoint, headers=dict(headers))
        self._provider = TracerProvider(
            # Each video costs money and minutes, and makes half a dozen spans: none is worth leaving out.
            sampler=ALWAYS_ON,
            resource=Resource.create({SERVICE_NAME: service, SERVICE_VERSION: VERSION}),
            id_generator=_Ids(),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=SEND_EVERY_MS))
        self._tracer = self._provider.get_tracer("rushes", VERSION)

    @contextmanager
    def span(
        self, name: str, job_id: str, *, root: bool, since: datetime | None, facts: Mapping[str, str | int]
    ) -> Generator[RecordedSpan]:
        started = self._start(name, job_id, root=root, since_ns=None if since is None else _nanoseconds(since))
        recorded = RecordedSpan(started)
        started.set_attribute("rushes.job", job_id)
        recorded.note(**facts)
        # Messages of errors may quote a prompt or a link: a span tells the kind of an error, the log the rest.
        with trace.use_span(started, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                yield recorded
            except Exception as error:
                code = error.code if isinstance(error, RushesError) else type(error).__name__
                started.set_attribute("error.type", code)
                started.set_status(Status(StatusCode.ERROR, code))
                raise
            except BaseException:
                if not recorded.has_outcome:
                    recorded.note(outcome=INTERRUPTED)
                raise

    def _start(self, name: str, job_id: str, *, root: bool, since_ns: int | None) -> trace.Span:
        if root:
            token = _new_root.set(job_id)
            try:
                return self._tracer.start_span(name, context=Context(), start_time=since_ns)
            finally:
                _new_root.reset(token)
        if trace.get_current_span().get_span_context().trace_id == trace_id_of(job_id):
            return self._tracer.start_span(name, start_time=since_ns)
        parent = SpanContext(
            trace_id_of(job_id), root_span_id_of(job_id), is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED)
        )
        context = trace.set_span_in_context(NonRecordingSpan(parent), Context())
        return self._tracer.start_span(name, context=context, start_time=since_ns)

    def shut_down(self, timeout_s: float) -> None:
        """Send what is left, but do not wait longer than this: the library would for all of its retries."""
        ending = threading.Thread(target=self._provider.shutdown, daemon=True, name="rushes-telemetry-end")
        ending.start()
        ending.join(timeout_s)
