"""How Z.ai is set up: which host and which key, what ping says, what the table offers and at what price."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rushes.errors import ConfigError, MissingKey
from rushes.providers.base import Provider
from rushes.providers.catalog import Feature, parse_table
from rushes.providers.registry import Registry
from rushes.providers.zai.provider import region_of
from rushes.testing.bench import prepared
from rushes.testing.fake_zai import API_KEY, FakeZai
from rushes.testing.faults import Fault
from rushes.testing.server import Answer
from rushes.video import ModelId, Progress, Size, Status, VideoRequest
from tests.providers.zai_bench import MODELS, Scripted, asked, at, section, zai

pytestmark = pytest.mark.anyio

INTERNATIONAL, MAINLAND = "https://api.z.ai/api/paas/v4", "https://open.bigmodel.cn/api/paas/v4"


@pytest.fixture
def fake() -> Iterator[FakeZai]:
    with FakeZai(job_s=0.0) as fake:
        yield fake


# -- hosts and keys --------------------------------------------------------------------------------------------------

INTL_KEY, MAIN_KEY = {"ZAI_API_KEY": "i.1"}, {"ZHIPUAI_API_KEY": "m.2"}
BOTH_KEYS = {**INTL_KEY, **MAIN_KEY}


@pytest.mark.parametrize(
    ("variables", "written", "base_url", "key"),
    [
        ({}, {}, INTERNATIONAL, None),
        (INTL_KEY, {}, INTERNATIONAL, "i.1"),
        (MAIN_KEY, {}, MAINLAND, "m.2"),
        (BOTH_KEYS, {}, INTERNATIONAL, "i.1"),
        (BOTH_KEYS, {"region": "mainland"}, MAINLAND, "m.2"),
        (BOTH_KEYS, {"region": "international"}, INTERNATIONAL, "i.1"),
        (MAIN_KEY, {"region": "international"}, INTERNATIONAL, None),
        (INTL_KEY, {"region": "mainland"}, MAINLAND, "i.1"),
        (BOTH_KEYS, {"base_url": MAINLAND}, MAINLAND, "m.2"),
        (BOTH_KEYS, {"base_url": MAINLAND, "region": "international"}, MAINLAND, "i.1"),
        (MAIN_KEY, {"base_url": INTERNATIONAL}, INTERNATIONAL, None),
        (MAIN_KEY, {"base_url": "https://relay.example/v4"}, "https://relay.example/v4", "m.2"),
        ({**MAIN_KEY, "ZAI_BASE_URL": "https://relay.example"}, {}, "https://relay.example", "m.2"),
        ({**MAIN_KEY, "ZAI_BASE_URL": INTERNATIONAL}, {}, INTERNATIONAL, None),
        ({**BOTH_KEYS, "ZAI_BASE_URL": INTERNATIONAL}, {"region": "mainland"}, MAINLAND, "m.2"),
        ({**BOTH_KEYS, "ZAI_BASE_URL": INTERNATIONAL}, {"base_url": MAINLAND}, MAINLAND, "m.2"),
        (MAIN_KEY, {"api_key": "s.3"}, INTERNATIONAL, "s.3"),
        (BOTH_KEYS, {"api_key_env": "ZHIPUAI_API_KEY"}, MAINLAND, "m.2"),
        ({**MAIN_KEY, "MINE": "s.4"}, {"api_key_env": "MINE"}, INTERNATIONAL, "s.4"),
        ({"ZHIPUAI_API_KEY": " "}, {}, INTERNATIONAL, None),
    ],
)
async def test_the_host_and_its_key_go_together(
    variables: dict[str, str], written: dict[str, str], base_url: str, key: str | None, tmp_path: Path
) -> None:
    async with zai(tmp_path, variables=variables, section=section(**written)) as provider:
        assert (provider.base_url, provider.key) == (base_url, key)
        assert provider.availability().usable == bool(key)


@pytest.mark.parametrize(
    ("variables", "written", "words"),
    [
        ({}, {}, "Set ZAI_API_KEY, or ZHIPUAI_API_KEY for the mainland host"),
        (MAIN_KEY, {"region": "international"}, "Set ZAI_API_KEY"),
        ({}, {"region": "mainland"}, "Set ZHIPUAI_API_KEY"),
        ({}, {"api_key_env": "MINE"}, "Set MINE"),
    ],
)
async def test_a_missing_key_is_named(
    variables: dict[str, str], written: dict[str, str], words: str, tmp_path: Path
) -> None:
    async with zai(tmp_path, variables=variables, section=section(**written)) as provider:
        with pytest.raises(MissingKey, match=words):
            provider.check_ready()


@pytest.mark.parametrize("key", ["0123 4567", "0123\n4567", "schlüssel"])
async def test_a_key_with_a_character_that_no_key_has_is_named_before_sending(key: str, tmp_path: Path) -> None:
    async with zai(tmp_path, variables={"ZAI_API_KEY": key}) as provider:
        with pytest.raises(ConfigError, match="Copy it again") as refused:
            await provider.submit(asked(), "key-1")

    assert key not in str(refused.value)


async def test_a_relay_under_another_name_is_not_sent_the_vendors_key(tmp_path: Path) -> None:
    relay = section(kind="zai", base_url="https://relay.example")
    async with zai(tmp_path, variables=BOTH_KEYS, name="relay", section=relay) as provider:
        assert provider.key is None
        with pytest.raises(MissingKey, match=r"Set api_key_env in \[providers.relay\]"):
            provider.check_ready()


async def test_a_section_for_the_other_region_has_an_account_of_its_own(tmp_path: Path) -> None:
    other = section(kind="zai", region="mainland")
    async with (
        zai(tmp_path, variables=BOTH_KEYS) as first,
        zai(tmp_path, variables=BOTH_KEYS, name="zhipu", section=other) as second,
    ):
        assert (first.key, second.key) == ("i.1", "m.2")
        assert first.account.startswith("zai@api.z.ai#")
        assert second.account.startswith("zhipu@open.bigmodel.cn#")


@pytest.mark.parametrize(
    ("written", "words"),
    [({"regoin": "mainland"}, "Did you mean region"), ({"region": "china"}, "'international' or 'mainland'")],
)
async def test_a_wrong_setting_names_the_right_one(written: dict[str, str], words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        async with zai(tmp_path, section=section(**written)):
            pass


@pytest.mark.parametrize(
    ("address", "region"),
    [
        (INTERNATIONAL, "international"),
        (MAINLAND, "mainland"),
        ("https://z.ai", "international"),
        ("https://notz.ai/v4", None),
        ("https://z.ai.example/v4", None),
        ("https://example/bigmodel.cn", None),
        ("https://bigmodel.cn@example/v4", None),
        ("http://[half", None),
        ("", None),
    ],
)
def test_only_the_vendors_own_hosts_tell_a_region(address: str, region: str | None) -> None:
    assert region_of(address) == region


async def test_what_is_no_address_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not an address"):
        async with zai(tmp_path, section=section(base_url="api.z.ai")):
            pass


@pytest.mark.parametrize(("mainland", "language"), [(False, "en-US,en"), (True, None)])
async def test_the_international_host_is_asked_to_speak_english(
    mainland: bool, language: str | None, tmp_path: Path
) -> None:
    with FakeZai(mainland=mainland, job_s=0.0) as fake:
        variables = {"ZHIPUAI_API_KEY" if mainland else "ZAI_API_KEY": API_KEY, "ZAI_BASE_URL": fake.base_url}
        async with zai(tmp_path, variables=variables) as provider:
            await provider.poll(await provider.submit(asked(), "key-1"))

    assert [request.headers.get("accept-language") for request in fake.requests] == [language] * 2


async def test_headers_of_ones_own_win(fake: FakeZai, tmp_path: Path) -> None:
    async with at(fake, tmp_path, section=section(headers={"Accept-Language": "de", "X-Team": "film"})) as provider:
        await provider.submit(asked(), "key-1")

    assert (fake.requests[0].headers["accept-language"], fake.requests[0].headers["x-team"]) == ("de", "film")


@pytest.mark.parametrize(
    ("key", "fault", "word"),
    [
        (API_KEY, None, "answers, key accepted"),
        ("wrong.key", None, "key refused"),
        (API_KEY, "1113", "out of credit"),
        (API_KEY, "1302", "answers, key accepted"),
        (API_KEY, "1220", "key accepted, but"),
        (API_KEY, "500", "no good answer"),
        (API_KEY, "html", "no good answer"),
        (API_KEY, "reset", "no good answer"),
    ],
)
async def test_ping_says_how_things_stand_and_buys_nothing(
    key: str, fault: str | None, word: str, fake: FakeZai, tmp_path: Path
) -> None:
    fake.faults.poll = [Fault.parse(fault)] if fault else []
    async with zai(tmp_path, variables={"ZAI_API_KEY": key, "ZAI_BASE_URL": fake.base_url}) as provider:
        said = await provider.ping()

    assert word in said
    assert key not in said
    assert fake.book.creates == 0


async def test_ping_is_not_taken_in_by_a_foreign_server(tmp_path: Path) -> None:
    with Scripted(Answer.json({"detail": "Not Found"}, 404)) as server:
        async with at(server, tmp_path) as provider:
            assert "not in the words of this API" in await provider.ping()


# -- the table -------------------------------------------------------------------------------------------------------


def registry_of(provider: Provider) -> Registry:
    context = provider.context
    return Registry(
        context.settings,
        context.http,
        context.folder,
        context.read_input,
        context.input_path,
        context.children,
        context.start_soon,
    )


@pytest.mark.parametrize(
    ("variables", "written", "usd"),
    [
        (INTL_KEY, {}, Decimal("0.20")),
        (MAIN_KEY, {}, None),
        (INTL_KEY, {"region": "mainland"}, None),
        (MAIN_KEY, {"usd_per_second": "0.03"}, Decimal("0.15")),
    ],
)
async def test_a_price_in_yuan_is_unknown_unless_the_user_names_one(
    variables: dict[str, str], written: dict[str, str], usd: Decimal | None, tmp_path: Path
) -> None:
    async with zai(tmp_path, variables=variables, section=section(**written)) as provider:
        model = registry_of(provider).model(ModelId("zai", "cogvideox-3"))
        ready = prepared(VideoRequest(prompt="A cat", model=model.id), model)

        assert ready.estimate_usd == usd
        assert provider.cost(model, ready, Progress(status=Status.COMPLETED)) == usd


async def test_when_no_model_is_named_zai_makes_cogvideox_3(tmp_path: Path) -> None:
    async with zai(tmp_path) as provider:
        choice = registry_of(provider).choose(None)

    assert choice.model.id == ModelId("zai", "cogvideox-3")
    ready = prepared(VideoRequest(prompt="A cat", model=choice.model.id), choice.model)
    assert (ready.request.size, ready.request.seconds, ready.estimate_usd) == (Size(1920, 1080), 5, Decimal("0.20"))


@pytest.mark.parametrize(
    ("name", "needs", "takes", "usd"),
    [
        ("cogvideox-3", "", "first_frame last_frame audio_switch", "0.20"),
        ("cogvideox-2", "", "first_frame audio_switch", None),
        ("cogvideox-flash", "", "first_frame audio_switch", None),
        ("viduq1-text", "", "", "0.40"),
        ("viduq1-image", "first_frame", "first_frame", "0.40"),
        ("viduq1-start-end", "first_frame last_frame", "first_frame last_frame audio_switch", "0.40"),
        ("vidu2-image", "first_frame", "first_frame audio_switch", "0.20"),
        ("vidu2-start-end", "first_frame last_frame", "first_frame last_frame audio_switch", "0.20"),
        ("vidu2-reference", "references", "references audio_switch", "0.40"),
    ],
)
def test_what_each_model_needs_takes_and_costs(name: str, needs: str, takes: str, usd: str | None) -> None:
    model = MODELS[name]

    assert " ".join(model.requires) == needs
    assert model.features == {Feature(word) for word in takes.split()}
    assert model.prompt_max == 512
    assert model.sound == ("optional" if Feature.AUDIO_SWITCH in model.features else "never")
    for size in model.sizes:
        assert model.price_of(size, model.seconds[-1]) == (Decimal(usd) if usd else None)


@pytest.mark.parametrize("feature", ["seed", "audio_switch", "first_fame"])
def test_a_table_can_only_require_pictures(feature: str) -> None:
    row: dict[str, Any] = {
        "name": "boat-1",
        "title": "Boat 1",
        "seconds": [5],
        "default_size": "1280x720",
        "default_seconds": 5,
        "requires": [feature],
    }

    with pytest.raises(ConfigError, match="requires"):
        parse_table("acme", {"models": [row]}, "acme.toml")
