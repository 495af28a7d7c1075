"""What a user writes about Azure: addresses in every form, deployments, ways to sign in."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rushes.config import ProviderSettings, Settings
from rushes.errors import ConfigError, MissingKey
from rushes.http import Http
from rushes.media.children import Children
from rushes.providers.azure.provider import Azure
from rushes.providers.azure.setup import (
    Deployment,
    DeploymentRow,
    VideoApi,
    authority_root,
    deployment_of,
    resource_root,
    told_by_name,
)
from rushes.providers.catalog import Catalog, read_table
from rushes.providers.registry import Registry
from rushes.testing.bench import Inputs, opened
from rushes.video import ModelId, Size

CATALOG = Catalog().merged(read_table("azure"))
KEY = {"AZURE_OPENAI_API_KEY": "0123456789abcdef0123456789abcdef"}
HERE = {"AZURE_OPENAI_ENDPOINT": "https://film.openai.azure.com"}
SECRET = {"AZURE_TENANT_ID": "contoso.example", "AZURE_CLIENT_ID": "app-1", "AZURE_CLIENT_SECRET": "s3cret"}


# -- addresses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "root"),
    [
        ("https://film.openai.azure.com", "https://film.openai.azure.com/openai/v1"),
        ("https://film.openai.azure.com/", "https://film.openai.azure.com/openai/v1"),
        ("https://film.openai.azure.com//", "https://film.openai.azure.com/openai/v1"),
        ("film.openai.azure.com", "https://film.openai.azure.com/openai/v1"),
        ("film.openai.azure.com/", "https://film.openai.azure.com/openai/v1"),
        (" 'https://film.openai.azure.com' ", "https://film.openai.azure.com/openai/v1"),
        ("https://Film.OpenAI.azure.com/openai", "https://film.openai.azure.com/openai/v1"),
        ("https://film.openai.azure.com/openai/v1", "https://film.openai.azure.com/openai/v1"),
        ("https://film.openai.azure.com/openai/v1/", "https://film.openai.azure.com/openai/v1"),
        ("film.openai.azure.com/openai/v1/", "https://film.openai.azure.com/openai/v1"),
        (
            "https://film.openai.azure.com/openai/v1/video/generations/jobs?api-version=preview",
            "https://film.openai.azure.com/openai/v1",
        ),
        (
            "https://film.openai.azure.com/openai/deployments/sora/video/generations/jobs?api-version=2025-01-01",
            "https://film.openai.azure.com/openai/v1",
        ),
        ("https://film.cognitiveservices.azure.com/", "https://film.cognitiveservices.azure.com/openai/v1"),
        ("https://westus.api.cognitive.microsoft.com", "https://westus.api.cognitive.microsoft.com/openai/v1"),
        ("https://film.services.ai.azure.com/api/projects/one", "https://film.services.ai.azure.com/openai/v1"),
        ("https://film.services.ai.azure.com/models", "https://film.services.ai.azure.com/openai/v1"),
        ("https://gate.example/video/openai/v1", "https://gate.example/video/openai/v1"),
        ("https://gate.example/video", "https://gate.example/video/openai/v1"),
        ("https://gate.example/openai/prod/openai/v1/", "https://gate.example/openai/prod/openai/v1"),
        ("https://gate.example/models/azure", "https://gate.example/models/azure/openai/v1"),
        ("https://gate.example/openai", "https://gate.example/openai/v1"),
        ("https://gate.example/openai/v1/videos", "https://gate.example/openai/v1"),
        ("https://gate.example/azure/openai/deployments/sora", "https://gate.example/azure/openai/v1"),
        ("[::1]:8000", "http://[::1]:8000/openai/v1"),
        ("http://box:8000", "http://box:8000/openai/v1"),
        ("localhost:8000", "http://localhost:8000/openai/v1"),
        ("127.0.0.1:8000/", "http://127.0.0.1:8000/openai/v1"),
        ("", ""),
        ("  ", ""),
    ],
)
def test_any_form_of_an_address_leads_to_the_same_place(given: str, root: str) -> None:
    assert resource_root(given) == root


@pytest.mark.parametrize(
    "given",
    ["https://<name>.openai.azure.com", "ftp://film.openai.azure.com", "https://", "film azure", "https://x:99999999"],
)
def test_what_is_no_address_is_told_with_one_that_is(given: str) -> None:
    with pytest.raises(ConfigError, match=r"https://NAME\.openai\.azure\.com"):
        resource_root(given)


@pytest.mark.parametrize(
    ("given", "root"),
    [
        (None, "https://login.microsoftonline.com"),
        ("login.microsoftonline.us", "https://login.microsoftonline.us"),
        ("https://login.partner.microsoftonline.cn/", "https://login.partner.microsoftonline.cn"),
        ("http://127.0.0.1:9", "http://127.0.0.1:9"),
    ],
)
def test_tokens_are_asked_for_at_the_authority(given: str | None, root: str) -> None:
    assert authority_root(given) == root


def test_a_secret_is_not_sent_in_the_clear() -> None:
    with pytest.raises(ConfigError, match="https"):
        authority_root("http://login.example")


# -- deployments -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("sora", ("sora", VideoApi.JOBS)),
        ("Sora", ("sora", VideoApi.JOBS)),
        ("sora-2", ("sora-2", VideoApi.VIDEOS)),
        ("sora-2-eu", ("sora-2", VideoApi.VIDEOS)),
        ("sora-2-2025-12-08", ("sora-2", VideoApi.VIDEOS)),
        ("sora-2-pro", ("sora-2-pro", VideoApi.VIDEOS)),
        ("sora-2-pro-test", ("sora-2-pro", VideoApi.VIDEOS)),
        ("sora-eu", None),
        ("my-video", None),
    ],
)
def test_some_names_tell_what_they_are(name: str, told: tuple[str, VideoApi] | None) -> None:
    assert told_by_name(name) == told


def test_a_name_that_tells_nothing_is_asked_about_once_with_the_line_to_write() -> None:
    with pytest.raises(ConfigError) as asked:
        deployment_of("my-video", {})

    words = str(asked.value)
    assert "Which model does the Azure deployment 'my-video' run?" in words
    assert '[providers.azure.deployments]: my-video = { model = "sora-2", api = "videos" }' in words


def test_the_line_to_write_can_be_written() -> None:
    import tomllib

    with pytest.raises(ConfigError) as asked:
        deployment_of("my.video", {}, "azure-eu")

    line = str(asked.value).partition("deployments]: ")[2]
    assert tomllib.loads(line) == {"my.video": {"model": "sora-2", "api": "videos"}}
    assert "[providers.azure-eu.deployments]" in str(asked.value)


def test_a_declared_deployment_is_what_was_declared() -> None:
    declared = {
        "film": DeploymentRow(model="sora", wire_model="sora", usd_per_second=Decimal("0.2")),
        "sora-2": DeploymentRow(model="sora", api=VideoApi.JOBS),
    }

    assert deployment_of("film", declared) == Deployment(
        name="film", listed_as="sora", api=VideoApi.JOBS, wire_model="sora", usd_per_second=Decimal("0.2")
    )
    assert deployment_of("FILM", declared).listed_as == "sora", "names of deployments know no case"
    assert deployment_of("sora-2", declared).api is VideoApi.JOBS, "what is declared wins over the name"


def test_a_model_whose_api_nobody_knows_is_asked_about() -> None:
    with pytest.raises(ConfigError, match=r'film: by which API is \'sora-3\' reached\? Add api = "jobs"'):
        deployment_of("film", {"film": DeploymentRow(model="sora-3")})


async def _model(name: str, folder: Path, **section: Any) -> Any:
    written = ProviderSettings.model_validate(section)
    async with opened(Azure, folder=folder, environment={**KEY, **HERE}, section=written) as provider:
        return provider.model_of(ModelId("azure", name), CATALOG)


@pytest.mark.anyio
async def test_a_deployment_has_the_limits_of_its_model_and_a_price_of_its_own(tmp_path: Path) -> None:
    deployments = {"film": {"model": "sora-2", "usd_per_second": "0.08"}, "old": {"model": "sora"}}

    film = await _model("film", tmp_path, deployments=deployments, usd_per_second="0.05")
    old = await _model("old", tmp_path, deployments=deployments, usd_per_second="0.05")
    plain = await _model("sora", tmp_path)

    assert (film.id, film.seconds, film.first_frame_exact) == (ModelId("azure", "film"), (4, 8, 12), True)
    assert film.price_of(Size(1280, 720), 4) == Decimal("0.32")
    assert old.price_of(Size(480, 480), 10) == Decimal("0.50"), "the section's price, where the deployment has none"
    assert plain.price_of(Size(480, 480), 10) == Decimal("1.00")
    assert (plain.default_size, plain.default_seconds, len(plain.sizes)) == (Size(1280, 720), 5, 9)
    assert plain.seconds == tuple(range(1, 21))


@pytest.mark.anyio
async def test_a_deployment_of_a_model_that_no_table_has_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no model 'sora-3'\. There are: sora, sora-2, sora-2-pro"):
        await _model("film", tmp_path, deployments={"film": {"model": "sora-3", "api": "videos"}})


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"deployments": {"film": {"api": "jobs"}}}, "deployments.film.model: Field required"),
        (
            {"deployments": {"film": {"model": "sora", "wiremodel": "x"}}},
            "wiremodel is not a .* Did you mean wire_model",
        ),
        ({"deployments": {"film": {"model": "sora", "api": "job"}}}, "deployments.film.api"),
        ({"deployments": {"film": {"model": "sora", "usd_per_second": "-1"}}}, "deployments.film.usd_per_second"),
        ({"auth": "secret"}, "auth"),
        ({"deployment": {}}, "Did you mean deployments"),
    ],
)
@pytest.mark.anyio
async def test_a_slip_in_the_section_is_told_with_its_place(section: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        await _model("sora", tmp_path, **section)


# -- what is there to sign in with -----------------------------------------------------------------------------------


async def _provider_says(folder: Path, variables: dict[str, str], **section: Any) -> tuple[bool, bool, str, str]:
    """Whether it can be chosen, whether somebody set it up, why not, and what an attempt would be told."""
    written = ProviderSettings.model_validate(section)
    async with opened(Azure, folder=folder, environment=variables, section=written) as provider:
        can = provider.availability()
        try:
            provider.check_ready()
        except ConfigError as error:
            return can.usable, can.configured, can.reason, str(error)
        return can.usable, can.configured, can.reason, ""


@pytest.mark.parametrize(
    "variables",
    [
        {**KEY, **HERE},
        {"AZURE_API_KEY": "k" * 32, "AZURE_OPENAI_API_HOST": "film.openai.azure.com"},
        {**KEY, "AZURE_API_BASE_URL": "https://film.openai.azure.com/openai/v1/"},
        {**KEY, "AZURE_OPENAI_API_BASE_URL": "https://film.openai.azure.com/"},
        {**SECRET, **HERE},
    ],
)
@pytest.mark.anyio
async def test_each_usual_variable_is_read(variables: dict[str, str], tmp_path: Path) -> None:
    async with opened(Azure, folder=tmp_path, environment=variables) as provider:
        assert provider.availability().usable
        assert provider.base_url == "https://film.openai.azure.com/openai/v1"


@pytest.mark.parametrize(
    ("variables", "section", "configured", "words"),
    [
        ({}, {}, False, "AZURE_OPENAI_API_KEY"),
        (HERE, {}, True, "Or sign in by Entra ID: set AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET"),
        (KEY, {}, True, "AZURE_OPENAI_ENDPOINT"),
        (SECRET, {}, False, "AZURE_OPENAI_ENDPOINT"),
        ({**KEY, "AZURE_OPENAI_ENDPOINT": "https://<name>.openai.azure.com"}, {}, True, "is not the address"),
        ({"AZURE_OPENAI_API_KEY": "two words", **HERE}, {}, True, "Copy it again"),
        ({"AZURE_OPENAI_API_KEY": "https://film.openai.azure.com", **HERE}, {}, True, "Copy it again"),
        ({"AZURE_OPENAI_API_KEY": "<key>", **HERE}, {}, True, "Copy it again"),
        ({**HERE, "AZURE_CLIENT_ID": "a"}, {"auth": "client_secret"}, True, "AZURE_TENANT_ID, AZURE_CLIENT_SECRET"),
        ({**HERE, **SECRET, "AZURE_TENANT_ID": "../x"}, {}, True, "AZURE_TENANT_ID"),
        ({**HERE, **SECRET, "AZURE_AUTHORITY_HOST": "http://login.example"}, {}, True, "AZURE_AUTHORITY_HOST"),
    ],
)
@pytest.mark.anyio
async def test_what_is_missing_or_malformed_is_named_before_anything_is_sent(
    variables: dict[str, str], section: Any, configured: bool, words: str, tmp_path: Path
) -> None:
    usable, set_up, reason, told = await _provider_says(tmp_path, variables, **section)

    assert (usable, set_up) == (False, configured)
    assert words in reason
    assert told == reason
    assert "\n" not in reason
    assert "s3cret" not in reason


@pytest.mark.anyio
async def test_a_further_resource_has_nothing_of_the_first_but_what_is_written(tmp_path: Path) -> None:
    section = ProviderSettings.model_validate({"kind": "azure", "api_key_required": False})
    variables = {**KEY, **HERE, **SECRET, "AZURE_OPENAI_API_VERSION": "v1"}
    async with opened(Azure, name="azure-eu", folder=tmp_path, environment=variables, section=section) as provider:
        assert provider.key is None
        assert await provider.auth_headers() == {}
        with pytest.raises(ConfigError, match=r"Write base_url in \[providers\.azure-eu\]"):
            provider.check_ready()

    strict = ProviderSettings.model_validate({"kind": "azure", "base_url": "https://eu.openai.azure.com"})
    async with opened(Azure, name="azure-eu", folder=tmp_path, environment=variables, section=strict) as provider:
        with pytest.raises(MissingKey, match="api_key_env"):
            provider.check_ready()


# -- in the registry -------------------------------------------------------------------------------------------------


@asynccontextmanager
async def registry(folder: Path, variables: dict[str, str], **sections: Any) -> AsyncGenerator[Registry]:
    settings = Settings(
        home=folder,
        database_url=f"sqlite:///{folder / 'rushes.db'}",
        media_url=str(folder / "media"),
        environment=variables,
        providers={name: ProviderSettings.model_validate(section) for name, section in sections.items()},
    )
    inputs, http = Inputs(folder), Http(settings)
    async with Children() as children:
        yield Registry(settings, http, folder, inputs.read, inputs.path, children, lambda *_: None)
    await http.aclose()


SET_UP = {**KEY, **HERE}


@pytest.mark.anyio
async def test_azure_alone_is_sora_and_serves_when_no_model_is_named(tmp_path: Path) -> None:
    async with registry(tmp_path, SET_UP) as models:
        assert str(models.choose("azure:video").model.id) == "azure:video:sora"
        assert str(models.choose(None).model.id) == "azure:video:sora"


@pytest.mark.anyio
async def test_a_deployment_of_any_name_is_a_model_once_it_is_declared(tmp_path: Path) -> None:
    declared = {"deployments": {"my-film": {"model": "sora-2-pro", "api": "videos", "usd_per_second": "0.25"}}}
    async with registry(tmp_path, SET_UP, azure=declared) as models:
        film = models.choose("azure:video:my-film").model

        assert (str(film.id), film.title) == ("azure:video:my-film", "Sora 2 Pro (videos API), my-film")
        assert film.price_of(Size(1280, 720), 8) == Decimal("2.00")
        assert models.choose("azure:video:sora-2-eu").model.seconds == (4, 8, 12)
        with pytest.raises(ConfigError, match="Which model does the Azure deployment 'our-film' run"):
            models.choose("azure:video:our-film")


@pytest.mark.anyio
async def test_a_further_resource_is_named_in_its_section(tmp_path: Path) -> None:
    further = {"kind": "azure", "base_url": "https://eu.openai.azure.com", "api_key": "e" * 32}
    async with registry(tmp_path, {}, eu=further) as models:
        model = models.choose("eu:video:sora-2").model
        provider = models.provider("eu")

        assert str(model.id) == "eu:video:sora-2"
        assert provider.availability().usable
        assert provider.account.startswith("eu@eu.openai.azure.com#")


@pytest.mark.anyio
async def test_without_a_key_nobody_is_told_of_azure(tmp_path: Path) -> None:
    async with registry(tmp_path, {"AZURE_CLIENT_ID": "of-something-else"}) as models:
        choice = models.choose(None)

        assert choice.model.id.provider == "draft"
        assert not any("Azure" in note for note in choice.notes)


def test_the_price_list_is_dated_and_has_its_source() -> None:
    for model in CATALOG.of("azure"):
        assert model.source
        assert model.read
        assert model.note
        assert model.retired is None, "private previews, and servers of this dialect, still answer to these names"
