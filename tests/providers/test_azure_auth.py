"""Signing in to Azure: tokens are renewed in time, shared, and never bought twice with."""

import importlib
import logging
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from rushes.config import ProviderSettings
from rushes.errors import AccessDenied, BadReply, ConfigError, ProviderError, RateLimited, Unavailable, Unreachable
from rushes.http import Reply
from rushes.providers.azure.auth import (
    SCOPES,
    NoSuchScope,
    Token,
    by_default_credential,
    load_identity,
    read_grant,
)
from rushes.providers.azure.provider import Azure
from rushes.providers.base import Provider
from rushes.providers.catalog import read_table
from rushes.providers.prepare import Prepared
from rushes.providers.terms import RemoteJob
from rushes.testing.bench import fetched, opened, prepared
from rushes.testing.fake_azure import Client, FakeAzure
from rushes.testing.faults import Fault
from rushes.testing.server import Answer
from rushes.video import ModelId, Size, Status, VideoRequest

pytestmark = pytest.mark.anyio


# -- what Entra ID answers -------------------------------------------------------------------------------------------


def reply(status: int, body: str) -> Reply:
    return Reply(status, {"retry-after": "3"}, body.encode(), "sign in")


def test_a_grant_is_read_whether_its_life_is_a_number_or_text() -> None:
    one = read_grant(reply(200, '{"access_token":"a.b.c","expires_in":3599}'), "s")
    two = read_grant(reply(200, '{"access_token":"a.b.c","expires_in":"3599","token_type":"Bearer"}'), "s")

    assert one == two == Token("a.b.c", 3599.0)


@pytest.mark.parametrize(
    "body", ["", "<html>", "[]", '{"expires_in":1}', '{"access_token":"two words secret","expires_in":9}']
)
def test_an_answer_without_a_usable_token_is_a_bad_reply(body: str) -> None:
    with pytest.raises(BadReply) as caught:
        read_grant(reply(200, body), "s")

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (
            401,
            '{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret.\\r\\nTrace ID: 1"}',
            AccessDenied,
            r"AADSTS7000215: Invalid client secret\. Check AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET",
        ),
        (400, '{"error":"unauthorized_client"}', AccessDenied, "unauthorized_client"),
        (400, '{"error":"x","error_description":"the secret shh is wrong"}', AccessDenied, r"the secret \[key\] is"),
        (404, "<html>", AccessDenied, "no reason given"),
        (429, '{"error":"too_many"}', RateLimited, "too_many"),
        (503, "busy", Unavailable, "no reason given"),
        (400, '{"error":"invalid_scope"}', NoSuchScope, "invalid_scope"),
        (400, '{"error":"invalid_request","error_codes":[500011]}', NoSuchScope, "invalid_request"),
    ],
)
def test_a_refusal_is_told_in_entras_own_words(status: int, body: str, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        read_grant(reply(status, body), "shh")


# -- azure-identity --------------------------------------------------------------------------------------------------


class AuthenticationError(Exception):
    pass


def identity(get_token: Callable[[str], Any], made: list[dict[str, Any]] | None = None) -> Callable[[str], Any]:
    """A stand-in for the package: what an import of its modules would give."""

    def credential(**options: Any) -> Any:
        if made is not None:
            made.append(options)
        return SimpleNamespace(get_token=get_token)

    modules = {
        "azure.identity": SimpleNamespace(DefaultAzureCredential=credential),
        "azure.core.exceptions": SimpleNamespace(ClientAuthenticationError=AuthenticationError),
    }
    return modules.__getitem__


async def test_the_default_credential_gives_tokens_with_the_life_it_tells() -> None:
    made: list[dict[str, Any]] = []
    load = identity(lambda scope: SimpleNamespace(token=f"for {scope}", expires_on=time.time() + 600), made)
    fetch = by_default_credential("managed-1", load)

    token = await fetch(SCOPES[0])
    await fetch(SCOPES[0])

    assert token.value == f"for {SCOPES[0]}"
    assert 590 < token.lives_s <= 600
    assert made == [{"managed_identity_client_id": "managed-1"}]


@pytest.mark.parametrize(
    ("raised", "kind", "words"),
    [
        (AuthenticationError("tried\n\nall"), AccessDenied, "tried all Run: az login"),
        (OSError("dns"), Unavailable, "dns"),
    ],
)
async def test_no_sign_in_says_what_to_do(raised: Exception, kind: type[Exception], words: str) -> None:
    def get_token(scope: str) -> Any:
        raise raised

    with pytest.raises(kind, match=words):
        await by_default_credential(None, identity(get_token))(SCOPES[0])


def test_the_missing_package_is_named_with_the_command_that_installs_it() -> None:
    def nothing(name: str) -> Any:
        raise ImportError(name)

    with pytest.raises(ConfigError, match=r"pip install 'rushes\[azure\]'"):
        load_identity(nothing)


IDENTITY = """
import time
from types import SimpleNamespace

class DefaultAzureCredential:
    def get_token(self, scope):
        return SimpleNamespace(token="TOKEN", expires_on=time.time() + 3600)
"""


def azure_modules() -> list[str]:
    return [name for name in sys.modules if name.partition(".")[0] == "azure"]


async def test_the_default_credential_signs_calls_once_its_package_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = ProviderSettings.model_validate({"auth": "default"})
    (tmp_path / "azure").mkdir()
    (tmp_path / "azure" / "__init__.py").touch()
    with FakeAzure(api_key="TOKEN", job_s=0.0) as fake:
        variables = {"AZURE_OPENAI_ENDPOINT": fake.url, "AZURE_OPENAI_API_KEY": "not this one"}
        monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
        for name in azure_modules():
            monkeypatch.delitem(sys.modules, name)
        async with opened(Azure, folder=tmp_path, environment=variables, section=section) as provider:
            assert provider.availability().configured
            with pytest.raises(ConfigError, match=r"pip install 'rushes\[azure\]'"):
                provider.check_ready()

            (tmp_path / "azure" / "identity.py").write_text(IDENTITY)
            importlib.invalidate_caches()
            provider.check_ready()
            await provider.submit(asked(), "key-1")
        for name in azure_modules():
            del sys.modules[name]

    assert fake.requests[0].headers["authorization"] == "Bearer TOKEN"
    assert "api-key" not in fake.requests[0].headers
    assert fake.book.charged == 1


# -- in use ----------------------------------------------------------------------------------------------------------


def environment(fake: FakeAzure, **more: str) -> dict[str, str]:
    return {
        "AZURE_OPENAI_ENDPOINT": fake.url,
        "AZURE_AUTHORITY_HOST": fake.url,
        "AZURE_TENANT_ID": fake.client.tenant,
        "AZURE_CLIENT_ID": fake.client.client_id,
        "AZURE_CLIENT_SECRET": fake.client.secret,
        **more,
    }


@asynccontextmanager
async def signed_in(fake: FakeAzure, folder: Path, **more: str) -> AsyncGenerator[Provider]:
    async with opened(Azure, folder=folder, environment=environment(fake, **more)) as provider:
        yield provider


def asked(name: str = "sora", prompt: str = "A cat") -> Prepared:
    model = next(model for model in read_table("azure") if model.id.model == name)
    size = min(model.sizes, key=lambda size: size.width * size.height)
    return prepared(VideoRequest(prompt=prompt, model=ModelId("azure", name), size=Size(*size)), model)


@pytest.mark.parametrize("name", ["sora", "sora-2"])
async def test_one_sign_in_serves_a_whole_job(name: str, tmp_path: Path) -> None:
    with FakeAzure(api_key="unused", job_s=0.0) as fake:
        async with signed_in(fake, tmp_path) as provider:
            assert provider.availability().usable
            remote = await provider.submit(asked(name), "key-1")
            assert (await provider.poll(remote)).status is Status.COMPLETED
            data = await fetched(provider, (await provider.assets(remote))[0])

    assert data == fake.content_of(remote.id)
    assert len(fake.sign_ins) == 1
    assert all("api-key" not in request.headers for request in fake.requests)
    assert fake.book.charged == 1


@pytest.mark.parametrize("name", ["sora", "sora-2"])
async def test_a_token_that_expires_in_mid_wait_is_renewed_in_time(name: str, tmp_path: Path) -> None:
    with FakeAzure(token_life_s=0.4, job_s=1.0) as fake:
        async with signed_in(fake, tmp_path) as provider:
            remote = await provider.submit(asked(name), "key-1")
            looks = 0
            with anyio.fail_after(15):
                while (await provider.poll(remote)).status is not Status.COMPLETED:
                    looks += 1
                    await anyio.sleep(0.1)
            await fetched(provider, (await provider.assets(remote))[0])

    assert looks > 3
    assert len(fake.sign_ins) > 2
    assert fake.book.creates == fake.book.charged == 1


@pytest.mark.parametrize("step", ["create", "poll", "download", "delete"])
async def test_after_a_401_there_is_one_renewal_and_one_repetition(step: str, tmp_path: Path) -> None:
    with FakeAzure(job_s=0.0) as fake:
        async with signed_in(fake, tmp_path) as provider:
            remote = await provider.submit(asked(), "key-1")
            asset = (await provider.assets(remote))[0]
            fake.revoke()
            match step:
                case "create":
                    await provider.submit(asked(), "key-2")
                case "poll":
                    await provider.poll(remote)
                case "download":
                    assert await fetched(provider, asset, offset=100) == fake.content_of(remote.id)[100:]
                case _:
                    assert await provider.delete(remote)

    assert len(fake.sign_ins) == 2
    assert fake.book.charged == (2 if step == "create" else 1)
    assert fake.book.creates == (3 if step == "create" else 1), "the create that got a 401 was not charged"


async def test_a_second_401_is_the_answer(tmp_path: Path) -> None:
    with FakeAzure(audiences=()) as fake:
        async with signed_in(fake, tmp_path) as provider:
            with pytest.raises(AccessDenied, match="Cognitive Services OpenAI User") as caught:
                await provider.submit(asked(), "key-1")

    assert caught.value.proves_refusal
    assert "eyJ" not in str(caught.value), "the token that the server quotes is not repeated"
    assert (fake.book.creates, fake.book.charged) == (2, 0)
    assert len(fake.sign_ins) == 2


async def test_doubt_about_a_create_is_not_sent_again_for_a_token(tmp_path: Path) -> None:
    with FakeAzure() as fake:
        fake.faults.create = [Fault.status(500, accepted=True)]
        async with signed_in(fake, tmp_path) as provider:
            with pytest.raises(Unavailable):
                await provider.submit(asked(), "key-1")

    assert (fake.book.creates, fake.book.charged) == (1, 1)


async def test_a_resource_that_wants_the_other_audience_gets_it(tmp_path: Path) -> None:
    with FakeAzure(audiences=SCOPES[1:], job_s=0.0) as fake:
        async with signed_in(fake, tmp_path) as provider:
            remote = await provider.submit(asked(), "key-1")
            fake.revoke()
            await provider.poll(remote)

    wanted = [dict(part.split("=") for part in request.body.decode().split("&"))["scope"] for request in fake.sign_ins]
    assert ["ai.azure" in scope for scope in wanted] == [False, True, True]
    assert fake.book.charged == 1


async def test_a_directory_that_only_knows_the_other_scope_will_do(tmp_path: Path) -> None:
    with FakeAzure(scopes=SCOPES[1:]) as fake:
        async with signed_in(fake, tmp_path) as provider:
            await provider.submit(asked(), "key-1")

    assert fake.book.charged == 1


async def test_many_calls_that_find_the_token_dead_share_one_renewal(tmp_path: Path) -> None:
    with FakeAzure(job_s=60) as fake:
        async with signed_in(fake, tmp_path) as provider:
            remote = await provider.submit(asked(), "key-1")
            fake.revoke()
            fake.sign_in_s = 0.2
            async with anyio.create_task_group() as tasks:
                for _ in range(8):
                    tasks.start_soon(provider.poll, remote)

    assert len(fake.sign_ins) == 2


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(Answer(503), Unavailable), (Answer(429), RateLimited), (Answer(200, b"<html>"), BadReply)],
)
async def test_a_sign_in_that_fails_buys_nothing(answer: Answer, kind: type[ProviderError], tmp_path: Path) -> None:
    with FakeAzure() as fake:
        fake.sign_in_faults = [answer]
        async with signed_in(fake, tmp_path) as provider:
            with pytest.raises(kind) as caught:
                await provider.submit(asked(), "key-1")
            assert caught.value.proves_refusal
            assert caught.value.step == "sign in"
            assert fake.requests == []
            await provider.submit(asked(), "key-2")

    assert fake.book.charged == 1


async def test_an_authority_that_cannot_be_reached_buys_nothing(tmp_path: Path) -> None:
    with FakeAzure() as fake, FakeAzure() as gone:
        gone.refuse()
        async with signed_in(fake, tmp_path, AZURE_AUTHORITY_HOST=gone.url) as provider:
            with pytest.raises(Unreachable) as caught:
                await provider.submit(asked(), "key-1")

    assert caught.value.proves_refusal
    assert fake.requests == []


async def test_the_account_stays_the_same_when_tokens_and_secrets_change(tmp_path: Path) -> None:
    accounts: list[str] = []
    with FakeAzure(token_life_s=0.1) as fake:
        for more in (
            {},
            {"AZURE_CLIENT_SECRET": "another"},
            {"AZURE_CLIENT_ID": "another-app"},
            {"AZURE_TENANT_ID": "t"},
        ):
            async with signed_in(fake, tmp_path, **more) as provider:
                accounts.append(provider.account)
                if not more:
                    await provider.submit(asked(), "key-1")
                    await anyio.sleep(0.1)
                    await provider.submit(asked(), "key-2")
                    accounts.append(provider.account)

    assert accounts[0] == accounts[1] == accounts[2]
    assert len(set(accounts)) == 3
    assert len(fake.sign_ins) == 2


async def test_a_secret_and_a_token_are_never_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with FakeAzure(client=Client(secret="wrong-one-that-must-not-be-told")) as other, FakeAzure(audiences=()) as fake:
        told: list[str] = []
        for variables in (environment(fake), environment(fake, AZURE_CLIENT_SECRET=other.client.secret)):
            async with opened(Azure, folder=tmp_path, environment=variables) as provider:
                with pytest.raises(AccessDenied) as refused:
                    await provider.submit(asked(), "key-1")
                told += [
                    str(refused.value),
                    repr(refused.value),
                    provider.account,
                    repr(provider),
                    await provider.ping(),
                ]

    said = "\n".join([*told, *(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)])
    assert "eyJ." not in said
    assert fake.client.secret not in said
    assert other.client.secret not in said


async def test_a_process_that_lacks_the_secret_waits_with_what_is_under_way(tmp_path: Path) -> None:
    section = ProviderSettings.model_validate({"auth": "client_secret"})
    with FakeAzure() as fake:
        variables = environment(fake, AZURE_TENANT_ID="")
        async with opened(Azure, folder=tmp_path, environment=variables, section=section) as provider:
            with pytest.raises(AccessDenied, match="AZURE_TENANT_ID") as caught:
                await provider.poll(RemoteJob(id="task_1"))

    assert caught.value.step == "sign in"
    assert fake.sign_ins == fake.requests == []


async def test_a_key_wins_over_a_client_secret_unless_told_otherwise(tmp_path: Path) -> None:
    with FakeAzure(job_s=0.0) as fake:
        variables = environment(fake, AZURE_OPENAI_API_KEY=fake.api_key or "")
        async with opened(Azure, folder=tmp_path, environment=variables) as provider:
            await provider.submit(asked(), "key-1")
        assert fake.sign_ins == []

        section = ProviderSettings.model_validate({"auth": "client_secret"})
        async with opened(Azure, folder=tmp_path, environment=variables, section=section) as provider:
            await provider.submit(asked(), "key-2")

    assert len(fake.sign_ins) == 1
    assert "api-key" not in fake.requests[-1].headers
