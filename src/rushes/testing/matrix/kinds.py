"""The providers of the matrix, by how a create in doubt can be settled with them: by key, by list, or by nobody.

Somebody who writes a provider adds a `Kind` of their own, and runs the same rows over it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rushes.providers.prepare import limited, limited_at
from rushes.providers.terms import Doubt
from rushes.testing import clips
from rushes.testing.fake_azure import FakeAzure
from rushes.testing.fake_zai import FakeZai
from rushes.testing.matrix.keyed import FakeKeyed, MarkedOpenAI
from rushes.testing.matrix.plans import Plan
from rushes.testing.vendor import VendorFake
from rushes.testing.vendor_bench import VendorBench, benches
from rushes.video import JSON

KEYED_PLUGIN = {"keyed": "rushes.testing.matrix.keyed:PROVIDER"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One provider with its fake, which is made anew for each row: `fake(plan, job_s, book)`."""

    name: str  # of the provider, and of its section
    doubt: Doubt
    model: str
    seconds: int
    size: str = "1280x720"
    fake: Callable[[Plan, float, Path], Any]
    variables: Callable[[Any], Mapping[str, str]]  # what leads to the fake
    extra: Mapping[str, JSON] = field(default_factory=dict[str, JSON])
    plugin: Mapping[str, str] = field(default_factory=dict[str, str])  # an entry point, where it is no built-in
    on_unknown: str = "ask"


class MarkedZai(FakeZai):
    """Its videos differ from job to job, so that a file under a wrong job is noticed."""

    def content_of(self, remote_id: str) -> bytes:
        job = self.jobs[remote_id]
        return clips.marked(clips.clip(*job.pixels, float(job.seconds), size_bytes=self.video_bytes), remote_id)

    video_bytes: int = 0


def _openai(plan: Plan, job_s: float, book: Path) -> MarkedOpenAI:
    return MarkedOpenAI(
        job_s=job_s,
        book=book,
        video_bytes=plan.video_bytes,
        clock_offset_s=plan.clock_offset_s,
        result_life_s=plan.result_life_s,
    )


def _keyed(plan: Plan, job_s: float, book: Path) -> FakeKeyed:
    return FakeKeyed(job_s=job_s, book=book, video_bytes=plan.video_bytes, result_life_s=plan.result_life_s)


def _zai(plan: Plan, job_s: float, book: Path) -> MarkedZai:
    fake = MarkedZai(job_s=job_s, book=book)
    fake.video_bytes = plan.video_bytes
    return fake


def _azure(plan: Plan, job_s: float, book: Path) -> FakeAzure:
    return FakeAzure(job_s=job_s, book=book, withhold=1)


OPENAI = Kind(
    name="openai",
    doubt=Doubt.LIST,
    model="openai:video:sora-2",
    seconds=4,
    fake=_openai,
    variables=lambda fake: {"OPENAI_BASE_URL": fake.base_url, "OPENAI_API_KEY": fake.api_key},
)
KEYED = Kind(
    name="keyed",
    doubt=Doubt.KEY,
    model="keyed:video:one",
    seconds=4,
    fake=_keyed,
    variables=lambda fake: {"KEYED_BASE_URL": fake.base_url, "KEYED_API_KEY": fake.api_key},
    plugin=KEYED_PLUGIN,
)
ZAI = Kind(
    name="zai",
    doubt=Doubt.NONE,
    model="zai:video:cogvideox-3",
    seconds=5,
    fake=_zai,
    variables=lambda fake: {"ZAI_BASE_URL": fake.base_url, "ZAI_API_KEY": fake.api_key},
)
AZURE = Kind(
    name="azure",
    doubt=Doubt.LIST,
    model="azure:video:sora",
    seconds=5,
    fake=_azure,
    variables=lambda fake: {"AZURE_OPENAI_ENDPOINT": fake.url, "AZURE_OPENAI_API_KEY": fake.api_key},
    extra={"n_variants": 2},
)


def _of_vendor(bench: type[VendorBench]) -> Kind:
    made = bench()
    model = next(model for model in made.models() if model.id.model == bench.model)

    def fake(plan: Plan, job_s: float, book: Path) -> VendorFake:
        return made.make_fake(job_s=job_s, book=book, video_bytes=plan.video_bytes, result_life_s=plan.result_life_s)

    return Kind(
        name=bench.kind.name,
        doubt=bench.kind.promises.doubt if bench.tells_prompts else Doubt.NONE,
        model=str(model.id),
        size=str(model.default_size),
        seconds=limited_at(limited(model, frozenset()), frozenset(), model.default_size).seconds[0],
        fake=fake,
        variables=made.environment,
    )


VENDORS = tuple(_of_vendor(bench) for bench in benches())
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (OPENAI, KEYED, ZAI, AZURE, *VENDORS)}
