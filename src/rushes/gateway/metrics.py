"""`GET /metrics`: what a Prometheus server wants to know.

Jobs, times, bytes and money are counted from the ledger, so that every process tells the same, and at most every ten
seconds, so that scraping costs next to nothing. Requests are counted by each process for itself, at its door
(`Measured`), under the template of their route: an address with an id in it would be a new time series for each video.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, MutableMapping
from time import perf_counter
from typing import Any

import anyio
from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rushes.errors import NotAllowed
from rushes.gateway.answers import NO_STORE
from rushes.gateway.gateway import Gateway, gateway_of, kept
from rushes.gateway.native_shapes import SECURED, errors
from rushes.jobs.census import TOOK_S, Census, census
from rushes.version import VERSION

GOOD_S = 10.0
AT_MOST_PART = 50
"""A census is believed for so many times as long as it took to make: a large ledger is asked more seldom."""
REQUEST_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NO_ROUTE = "none"
SCOPE_KEY = "rushes.measured"

router = APIRouter(tags=["Health"], dependencies=[SECURED])


@router.get(
    "/metrics",
    operation_id="getMetrics",
    response_class=Response,
    responses={
        **errors(403),
        200: {
            "description": "In the text format of Prometheus",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        },
    },
)
async def metrics(request: Request) -> Response:
    """Numbers for monitoring, of all owners."""
    gateway = gateway_of(request)
    caller = await gateway.caller(request)
    if not caller.admin:
        raise NotAllowed("Only an admin key may read the metrics: rushes keys create NAME --admin")
    counted = await kept(request, Counter, Counter).counted()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Numbers(families_of(counted, gateway.app.jobs.now().timestamp())))
    measured = request.scope.get(SCOPE_KEY)
    if isinstance(measured, Measured):
        registry.register(Numbers(measured.families()))
    ProcessCollector(registry=registry)
    return Response(generate_latest(registry), headers={**NO_STORE, "content-type": CONTENT_TYPE_LATEST})


class Numbers(Collector):
    """Numbers that were counted already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)


# -- of the ledger -----------------------------------------------------------------------------------


class Counter:
    """Takes the census, one at a time, and believes it for a while."""

    def __init__(self, gateway: Gateway) -> None:
        self._db = gateway.app.db
        self._until = float("-inf")
        self._found: Census | None = None
        self._turn = anyio.Lock()

    async def counted(self) -> Census:
        async with self._turn:
            began = anyio.current_time()
            if self._found is None or began >= self._until:
                self._found = await self._db.read(census)
                now = anyio.current_time()
                self._until = now + max(GOOD_S, (now - began) * AT_MOST_PART)
            return self._found


def families_of(found: Census, now_s: float) -> Iterator[Metric]:
    """A census as metrics. Pure."""
    info = GaugeMetricFamily("rushes_info", "The release", labels=["version"])
    info.add_metric([VERSION], 1)
    yield info
    ended = CounterMetricFamily("rushes_jobs", "Jobs that ended, by what became of them", labels=["model", "outcome"])
    for kind, n in sorted(found.ended.items()):
        ended.add_metric([kind.model, kind.outcome], n)
    yield ended
    took = HistogramMetricFamily(
        "rushes_generation_seconds",
        "From the provider's acceptance to its end, where a video came of it",
        labels=["model"],
    )
    for model, each in sorted(found.took.items()):
        buckets = [
            *((str(float(bound)), n) for bound, n in zip(TOOK_S, each.at_most, strict=True)),
            ("+Inf", each.count),
        ]
        took.add_metric([model], buckets, each.sum_s)
    yield took
    waiting = GaugeMetricFamily("rushes_jobs_open", "Jobs that have not ended, by state", labels=["state"])
    for state, n in found.open.items():
        waiting.add_metric([state.value], n)
    yield waiting
    oldest = GaugeMetricFamily("rushes_queue_oldest_seconds", "For how long the oldest queued job has waited")
    oldest.add_metric([], max(0.0, now_s - found.queued_since.timestamp()) if found.queued_since else 0.0)
    yield oldest
    stored = GaugeMetricFamily("rushes_storage_bytes", "Files of the library, by kind", labels=["kind"])
    for kind, size_bytes in sorted(found.stored_bytes.items()):
        stored.add_metric([kind], size_bytes)
    yield stored
    yield from _money(found)


def _money(found: Census) -> Iterator[Metric]:
    # Gauges, since a person may correct what was billed.
    for name, words in (
        ("settled", "What providers have charged"),
        ("held", "What may still be charged"),
        ("overrun", "By how much was charged more than was held"),
    ):
        family = GaugeMetricFamily(f"rushes_{name}_usd", words, labels=["provider"])
        for provider, money in sorted(found.money.items()):
            family.add_metric([provider], float(getattr(money, f"{name}_usd")))
        yield family


# -- of this process ---------------------------------------------------------------------------------


class Measured:
    """ASGI middleware, to be the outermost: counts the requests of this process and times how soon each is answered.

    Until the answer begins, not until its end: that would be the speed of the client's connection, and for a stream of
    events its patience.
    """

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner
        self._answers: dict[tuple[str, str, int], int] = {}
        self._times: dict[tuple[str, str], list[float]] = {}  # a count for each class, the last for all above, the sum
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        status, took_s = 500, -1.0
        began = perf_counter()

        async def sending(message: Message) -> None:
            nonlocal status, took_s
            if message["type"] == "http.response.start":
                status, took_s = message["status"], perf_counter() - began
            await send(message)

        scope[SCOPE_KEY] = self
        self._under_way += 1
        try:
            await self._inner(scope, receive, sending)
        finally:
            self._under_way -= 1
            self._note(scope, status, took_s if took_s >= 0 else perf_counter() - began)

    def _note(self, scope: MutableMapping[str, Any], status: int, took_s: float) -> None:
        method = scope["method"] if scope["method"] in METHODS else "other"
        route = getattr(scope.get("route"), "path", NO_ROUTE)
        answer = (method, route, status)
        self._answers[answer] = self._answers.get(answer, 0) + 1
        times = self._times.get((method, route))
        if times is None:
            times = self._times[method, route] = [0.0] * (len(REQUEST_S) + 2)
        times[bisect_left(REQUEST_S, took_s)] += 1
        times[-1] += took_s

    def families(self) -> Iterator[Metric]:
        answers = CounterMetricFamily(
            "rushes_http_requests", "Requests to this process that were answered", labels=["method", "route", "status"]
        )
        for (method, route, status), n in self._answers.items():
            answers.add_metric([method, route, str(status)], n)
        yield answers
        times = HistogramMetricFamily(
            "rushes_http_request_seconds", "Until the answer began", labels=["method", "route"]
        )
        for (method, route), counts in self._times.items():
            times.add_metric([method, route], _cumulated(counts[:-1]), counts[-1])
        yield times
        under_way = GaugeMetricFamily("rushes_http_requests_under_way", "Requests and streams that are being answered")
        under_way.add_metric([], self._under_way)
        yield under_way


def _cumulated(counts: list[float]) -> list[tuple[str, float]]:
    """Counts for each class as Prometheus has them: how many were at most so long. Pure."""
    total, found = 0.0, list[tuple[str, float]]()
    for bound, n in zip((*map(str, map(float, REQUEST_S)), "+Inf"), counts, strict=True):
        total += n
        found.append((bound, total))
    return found
