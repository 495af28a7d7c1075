"""The provider contract: what every provider promises, ours and third-party, as tests to inherit.

    class TestAcme(ProviderContract):
        kind, model, key_variable = Acme, "acme-1", "ACME_API_KEY"

        def make_fake(self):
            return FakeAcme(job_s=0.2)

        def environment(self, fake):
            return {"ACME_API_KEY": fake.api_key, "ACME_BASE_URL": fake.base_url}

The fake is a server that keeps an account book; see `fake_openai.py` for one. Money is what these tests are about:
whenever an error says that nothing was bought, the book must agree.
"""

import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from rushes.errors import (
    AccessDenied,
    BadReply,
    MissingKey,
    Moderated,
    ProviderError,
    RateLimited,
    Rejected,
    RushesError,
    Unavailable,
    Unreachable,
    Unsupported,
    Vanished,
)
from rushes.providers.base import Provider
from rushes.providers.catalog import Feature, Model
from rushes.providers.prepare import Prepared, limited, limited_at
from rushes.providers.refusals import MODERATION_CODES
from rushes.providers.terms import RemoteJob, Variant
from rushes.testing.bench import fetched, prepared
from rushes.testing.contract_bench import ProtocolFake
from rushes.testing.contract_sources import SourceChecks
from rushes.testing.faults import Fault, Trouble
from rushes.testing.selection import (
    checks_extra,
    ends_jobs_for_content,
    finds_by_content,
    finds_by_key,
    finds_by_prompt,
    has_jobs,
    honours_key,
    leave_out,
    lists_jobs,
    needs_key,
    only_if,
)
from rushes.video import Failure, Progress, Status, VideoRequest

WRONG_KEY = "sk-wrong-key-that-must-not-be-told"


@dataclass(frozen=True, slots=True)
class Row:
    """A fault of a create, and how it must be told."""

    fault: str
    refused: bool
    error: type[ProviderError]
    retry_after_s: float | None = None


CREATE_FAULTS = (
    Row("400", True, Rejected),
    Row("401", True, AccessDenied),
    Row("403", True, AccessDenied),
    Row("422", True, Rejected),
    Row("429", True, RateLimited),
    Row("429-retry:7", True, RateLimited, 7.0),
    Row("moderated", True, Moderated),
    Row("408", False, Unavailable),
    Row("408-accepted", False, Unavailable),
    Row("500", False, Unavailable),
    Row("500-accepted", False, Unavailable),
    Row("502-accepted", False, Unavailable),
    Row("503", False, Unavailable),
    Row("503-accepted", False, Unavailable),
    Row("hang", False, Unavailable),
    Row("hang-accepted", False, Unavailable),
    Row("reset", False, Unavailable),
    Row("reset-accepted", False, Unavailable),
    Row("cut", False, Unavailable),
    Row("no_id", False, BadReply),
    Row("html", False, BadReply),
    Row("half_json", False, BadReply),
)

POLL_FAULTS = (
    ("429", RateLimited),
    ("429-retry:2", RateLimited),
    ("500", Unavailable),
    ("502", Unavailable),
    ("503", Unavailable),
    ("404", Vanished),
    ("reset", Unavailable),
    ("cut", Unavailable),
    ("html", BadReply),
    ("half_json", BadReply),
)


class ProviderContract(SourceChecks):
    """Inherit it in a test module, under a name that begins with `Test`."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if hasattr(cls, "kind"):
            leave_out(cls)

    pytestmark = pytest.mark.anyio

    # -- the good case -----------------------------------------------------------------------------------------------

    async def test_a_submit_returns_an_id_and_is_charged_once(self, fake: ProtocolFake, tmp_path: Path) -> None:
        async with self.opened(fake, tmp_path) as provider:
            remote = await provider.submit(self.prepared(), "key-1")

            assert remote.id
            assert fake.book.creates == 1
            assert [entry.remote_id for entry in fake.book.entries] == [remote.id]

    async def test_a_job_is_watched_to_its_end_and_never_loses_ground(self, fake: ProtocolFake, tmp_path: Path) -> None:
        async with self.opened(fake, tmp_path) as provider:
            remote = await provider.submit(self.prepared(), "key-1")

            seen = await _watched(provider, remote)

            assert seen[-1].status is Status.COMPLETED
            percents = [look.percent for look in seen if look.percent is not None]
            assert percents == sorted(percents)
            assert all(0 <= percent <= 100 for percent in percents)
            assert fake.book.charged == 1

    async def test_the_video_is_just_what_was_served(self, fake: ProtocolFake, tmp_path: Path) -> None:
        async with self.opened(fake, tmp_path) as provider:
            remote = await provider.submit(self.prepared(), "key-1")
            fake.finish()
            await provider.poll(remote)
            first, *others = await provider.assets(remote)

            data = await fetched(provider, first)

            assert first.variant is Variant.VIDEO
            assert data == fake.content_of(remote.id)
            for asset in others:
                assert await fetched(provider, asset)

    async def test_a_download_goes_on_where_it_broke_off(self, fake: ProtocolFake, tmp_path: Path) -> None:
        async with self.opened(fake, tmp_path) as provider:
            remote = await provider.submit(self.prepared(), "key-1")
            fake.finish()
            await provider.poll(remote)
            asset = (await provider.assets(remote))[0]
            whole = fake.content_of(remote.id)
            fake.faults.download = [Fault.of(Trouble.TRUNCATED, 1000)]
            with pytest.raises(ProviderError) as broken:
                await fetched(provider, asset)

            async with provider.open(asset) as body:
                etag = body.etag
            rest = await fetched(provider, asset, offset=1000, etag=etag)

            assert broken.value.retryable
            assert rest == whole[1000:]

    async def test_an_equal_request_with_another_key_is_another_job(self, fake: ProtocolFake, tmp_path: Path) -> None:
        async with self.opened(fake, tmp_path) as provider:
            one = await provider.submit(self.prepared(), "key-1")
            two = await provider.submit(self.prepared(), "key-2")

            assert one.id != two.id
            assert fake.book.charged == 2

    # -- creates that fail -------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("row", CREATE_FAULTS, ids=lambda row: row.fault)
    async def test_a_failed_create_is_told_truthfully(self, row: Row, fake: ProtocolFake, tmp_path: Path) -> None:
        fake.faults.create = [Fault.parse(row.fault)]
        # Short only where the time has to run out: a busy machine must bring no other trouble than the fault's.
        timeout_s = 0.5 if row.fault.startswith("hang") else 20.0
        async with self.opened(fake, tmp_path, create_timeout_s=timeout_s) as provider:
            with pytest.raises(ProviderError) as caught:
                await provider.submit(self.prepared(), "key-1")

            error = caught.value
            assert isinstance(error, row.error)
            assert error.proves_refusal == (row.refused or error.http_status in provider.promises.unbilled_statuses)
            assert fake.book.creates == 1, "a create is sent once, whatever happens to it"
            assert not (error.proves_refusal and fake.book.charged), "told as refused, but charged"
            if row.retry_after_s is not None:
                assert error.retry_after_s == row.retry_after_s

    async def test_a_closed_port_proves_that_nothing_was_bought(self, fake: ProtocolFake, tmp_path: Path) -> None:
        async with self.opened(fake, tmp_path) as provider:
            fake.refuse()

            with pytest.raises(Unreachable) as caught:
                await provider.submit(self.prepared(), "key-1")

            assert caught.value.proves_refusal
            assert fake.book.creates == 0

    async def test_a_moderated_create_is_never_worth_repeating(self, fake: ProtocolFake, tmp_path: Path) -> None:
        fake.faults.create = [Fault.parse("moderated")]
        async with self.opened(fake, tmp_path) as provider:
            with pytest.raises(Moderated) as caught:
                await provider.submit(self.prepared(), "key-1")

            assert not caught.value.retryable

    # -- looks that fail ---------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(("fault", "error"), POLL_FAULTS)
    @only_if(has_jobs)
    async def test_a_failed_look_is_repeated_and_ends_nothing(
        self, fault: str, error: type[ProviderError], fake: ProtocolFake, tmp_path: Path
    ) -> None:
        async with self.opened(fake, tmp_path) as provider:
            remote = await provider.submit(self.prepared(), "key-1")
            fake.faults.poll = [Fault.parse(fault)]

            with pytest.raises(error) as caught:
                await provider.poll(remote)

            assert caught.value.retryable
            assert (await provider.poll(remote)).status is not Status.FAILED
            assert fake.book.creates == 1

    @pytest.mark.parametrize("word", ["NOT_A_WORD", "Warming Up", "processing", "queued-for-gpu"])
    @only_if(has_jobs)
    async def test_an_unknown_word_means_still_running(self, word: str, fake: ProtocolFake, tmp_path: Path) -> None:
        async with self.opened(fake, tmp_path) as provider:
            remote = await provider.submit(self.prepared(), "key-1")
            fake.faults.poll = [Fault.of(Trouble.WORD, word)]

            progress = await provider.poll(remote)

            assert not progress.status.final

    @only_if(ends_jobs_for_content)
    async def test_a_job_blocked_by_moderation_fails_with_that_code(self, fake: ProtocolFake, tmp_path: Path) -> None:
        async with self.opened(fake, tmp_path) as provider:
            remote = await provider.submit(self.prepared(), "key-1")
            fake.faults.poll = [Fault.parse("moderated")]

            progress = await provider.poll(remote)

            assert progress.status is Status.FAILED
            assert isinstance(progress.failure, Failure)
            assert progress.failure.code in MODERATION_CODES

    # -- keys --------------------------------------------------------------------------------------------------------

    @only_if(needs_key)
    async def test_without_a_key_nothing_is_sent(self, fake: ProtocolFake, tmp_path: Path) -> None:
        assert self.key_variable is not None
        async with self.opened(fake, tmp_path, changes={self.key_variable: ""}) as provider:
            assert not provider.availability().usable
            with pytest.raises(MissingKey, match=self.key_variable):
                provider.check_ready()
            with pytest.raises(MissingKey):
                await provider.submit(self.prepared(), "key-1")

            assert fake.requests == []

    @only_if(needs_key)
    async def test_a_key_is_never_told(
        self, fake: ProtocolFake, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert self.key_variable is not None
        caplog.set_level(logging.DEBUG)
        async with self.opened(fake, tmp_path, changes={self.key_variable: WRONG_KEY}) as provider:
            said = [repr(provider), repr(provider.context), repr(provider.options), provider.account]
            said += [str(provider.availability()), await provider.ping()]
            with pytest.raises(AccessDenied) as refused:
                await provider.submit(self.prepared(), "key-1")
            with pytest.raises(RushesError) as unseen:
                await provider.poll(RemoteJob(id="video_1"))
            said += [str(refused.value), repr(refused.value), str(unseen.value), repr(unseen.value)]

        assert WRONG_KEY not in "\n".join(said)
        assert WRONG_KEY not in "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)

    # -- settling doubt ----------------------------------------------------------------------------------------------

    @only_if(finds_by_prompt)
    async def test_a_lost_create_is_found(self, fake: ProtocolFake, tmp_path: Path) -> None:
        async with self.searchable(fake, tmp_path) as provider:
            await provider.submit(self.prepared("another prompt"), "key-0")
            search = self.search(self.prepared())
            await _lost(provider, fake, search.prepared)

            findings = await provider.find(search)

            assert [remote.id for remote in findings.matches] == [fake.book.entries[-1].remote_id]

    @only_if(finds_by_prompt)
    async def test_a_create_that_never_arrived_is_proven_absent(self, fake: ProtocolFake, tmp_path: Path) -> None:
        async with self.searchable(fake, tmp_path) as provider:
            await provider.submit(self.prepared("another prompt"), "key-0")

            findings = await provider.find(self.search(self.prepared()))

            assert (findings.matches, findings.candidates) == ((), ())
            assert findings.complete

    @only_if(lists_jobs)
    async def test_jobs_that_are_already_ours_are_no_matches(self, fake: ProtocolFake, tmp_path: Path) -> None:
        async with self.searchable(fake, tmp_path) as provider:
            ours = await provider.submit(self.prepared(), "key-1")  # the key that is searched for, if any is

            findings = await provider.find(self.search(self.prepared(), frozenset({ours.id})))

            assert (findings.matches, findings.candidates) == ((), ())

    @only_if(finds_by_key)
    async def test_of_equal_creates_only_the_one_with_our_key_is_found(
        self, fake: ProtocolFake, tmp_path: Path
    ) -> None:
        async with self.searchable(fake, tmp_path) as provider:
            await provider.submit(self.prepared(), "key-0")
            search = self.search(self.prepared())
            await _lost(provider, fake, search.prepared)
            await provider.submit(self.prepared(), "key-2")

            findings = await provider.find(search)

            assert [remote.id for remote in findings.matches] == [fake.book.entries[1].remote_id]
            assert findings.candidates == ()

    @only_if(finds_by_key)
    async def test_after_a_restore_an_empty_answer_proves_nothing(self, fake: ProtocolFake, tmp_path: Path) -> None:
        """A later attempt may have gone out since the backup, with a key of its own."""
        async with self.searchable(fake, tmp_path) as provider:
            search = self.search(self.prepared())

            assert (await provider.find(search)).complete
            assert not (await provider.find(replace(search, until=datetime.now(UTC)))).complete

    @only_if(finds_by_content)
    async def test_where_prompts_are_hidden_there_are_only_candidates(self, fake: ProtocolFake, tmp_path: Path) -> None:
        async with self.searchable(fake, tmp_path) as provider:
            search = self.search(self.prepared())
            await _lost(provider, fake, search.prepared)
            fake.faults.list = [Fault.of(Trouble.NO_PROMPTS).always()]

            findings = await provider.find(search)

            assert findings.matches == ()
            assert [remote.id for remote in findings.candidates] == [fake.book.entries[-1].remote_id]

    @pytest.mark.parametrize("status", [404, 405, 501])
    @only_if(lists_jobs)
    async def test_without_a_list_nothing_is_proven(self, status: int, fake: ProtocolFake, tmp_path: Path) -> None:
        async with self.searchable(fake, tmp_path) as provider:
            fake.faults.list = [Fault.status(status).always()]

            findings = await provider.find(self.search(self.prepared()))

            assert not findings.complete

    @only_if(honours_key)
    async def test_the_same_key_twice_is_one_charge(self, fake: ProtocolFake, tmp_path: Path) -> None:
        async with self.opened(fake, tmp_path) as provider:
            one = await provider.submit(self.prepared(), "key-1")
            two = await provider.submit(self.prepared(), "key-1")

            assert one.id == two.id
            assert fake.book.charged == 1

    # -- the other promises ------------------------------------------------------------------------------------------

    async def test_delete_does_what_is_promised(self, fake: ProtocolFake, tmp_path: Path) -> None:
        async with self.opened(fake, tmp_path) as provider:
            remote = await provider.submit(self.prepared(), "key-1")
            fake.finish()
            await provider.poll(remote)

            assert await provider.delete(remote) is provider.promises.deletes
            if provider.promises.deletes:
                assert await provider.delete(remote) is True, "what is gone already is deleted"

    async def test_cancel_does_what_is_promised(self, fake: ProtocolFake, tmp_path: Path) -> None:
        async with self.opened(fake, tmp_path) as provider:
            remote = await provider.submit(self.prepared(), "key-1")

            stopped = await provider.cancel(remote)

            assert stopped is (provider.promises.cancels and self.stops)
            if stopped:
                fake.finish()
                with suppress(Vanished):  # some stop a job by removing it
                    assert (await provider.poll(remote)).status is not Status.COMPLETED

    @only_if(checks_extra)
    async def test_a_misspelt_extra_field_is_refused_with_the_right_one(
        self, fake: ProtocolFake, tmp_path: Path
    ) -> None:
        assert self.misspelt_extra is not None
        slip, meant = self.misspelt_extra
        async with self.opened(fake, tmp_path) as provider:
            with pytest.raises(Unsupported, match=meant):
                provider.check(self.prepared(extra={slip: 1}))
            with pytest.raises(Unsupported, match=meant):
                await provider.submit(self.prepared(extra={slip: 1}), "key-1")

            assert fake.book.creates == 0

    async def test_what_is_charged_is_what_the_table_says(self, fake: ProtocolFake, tmp_path: Path) -> None:
        async with self.opened(fake, tmp_path) as provider:
            for model in self.models():
                for n, request in enumerate(self._priced(model)):
                    asked = prepared(request, model)
                    remote = await provider.submit(asked, f"{model.id} {n}")  # some take a key only once
                    fake.finish()
                    cost = provider.cost(model, asked, await provider.poll(remote))

                    charged = fake.book.entries[-1].usd
                    assert (asked.estimate_usd, cost) == (charged, charged), asked.request

    def _priced(self, model: Model) -> list[VideoRequest]:
        """The shortest of each size; the longest, the silent and the loud of the default size; as far as priced."""
        each = [self.smallest(model, size=size) for size in model.sizes or (model.default_size,)]
        usual = self.smallest(model, size=model.default_size)
        has = frozenset(model.requires)
        each.append(replace(usual, seconds=limited_at(limited(model, has), has, model.default_size).seconds[-1]))
        if Feature.AUDIO_SWITCH in model.features and model.sound == "optional":
            each += [replace(usual, audio=False), replace(usual, audio=True)]
        return [request for request in each if prepared(request, model).estimate_usd is not None]


async def _watched(provider: Provider, remote: RemoteJob) -> list[Progress]:
    seen: list[Progress] = []
    with anyio.fail_after(20):
        while not (seen and seen[-1].status.final):
            seen.append(await provider.poll(remote))
            await anyio.sleep(0.02)
    return seen


async def _lost(provider: Provider, fake: ProtocolFake, wanted: Prepared) -> None:
    """A create that was accepted, and of which we heard nothing."""
    fake.faults.create = [Fault.reset(accepted=True)]
    with pytest.raises(ProviderError) as caught:
        await provider.submit(wanted, "key-1")
    assert not caught.value.proves_refusal
