"""Characters: made once from a short clip at a provider, named in requests to it ever after.

No provider lists them, so an id that nobody wrote down is lost: the ledger keeps them. Making one is not a job: as
far as is known it costs nothing, and it is answered at once.
"""

import uuid

from rushes.errors import NotFound, Unsupported
from rushes.jobs import shelf
from rushes.jobs.ledger import LOCAL_OWNER
from rushes.jobs.services import Services
from rushes.jobs.shelf import Character
from rushes.providers.base import Provider
from rushes.providers.catalog import Feature, Model
from rushes.video import MediaRef, ModelId

PREFIX = "char_"
NAME_MAX = 80


class Characters:
    """Make and look up characters."""

    def __init__(self, services: Services) -> None:
        self._s = services

    def check(self, name: str, model: Model) -> None:
        """Refuse what no provider can make, before a clip is read. Raises Unsupported and ConfigError."""
        if not name.strip() or len(name) > NAME_MAX:
            raise Unsupported(f"A character's name has 1 to {NAME_MAX} characters, not {len(name.strip())}.")
        if Feature.CHARACTERS not in model.features:
            raise Unsupported(f"{model.id} takes no characters. {self._who_does()}")
        self._s.registry.provider(model.id.provider).check_ready()

    async def create(self, name: str, clip: MediaRef, model: ModelId, *, owner: str = LOCAL_OWNER) -> Character:
        """Make a character at the provider of `model`. Raises Unsupported for what cannot be one, and ProviderError."""
        self.check(name, self._s.registry.model(model))
        if clip.seconds is None:
            raise Unsupported("A character is made from a clip, and this is a picture. Give an MP4 of 2 to 4 seconds.")
        provider = self._s.registry.provider(model.provider)
        remote_id = await provider.create_character(name, clip)
        made = Character(
            id=f"{PREFIX}{uuid.uuid4().hex}",
            owner=owner,
            provider=model.provider,
            account=provider.account,
            remote_id=remote_id,
            name=name,
            clip_sha256=clip.sha256,
            created_at=self._s.now(),
        )
        await self._s.db.write(lambda connection: shelf.insert_character(connection, made))
        return made

    async def all(self, *, owner: str = LOCAL_OWNER) -> list[Character]:
        """Newest first."""
        return await self._s.db.read(lambda connection: shelf.characters_of(connection, owner))

    async def get(self, text: str, *, owner: str = LOCAL_OWNER) -> Character:
        """By its id, an unambiguous beginning of it, the provider's id, or its name if only one has it."""
        found = _named(await self.all(owner=owner), text)
        if not found:
            raise NotFound(f"There is no character {text!r}. See: rushes characters list")
        return _only(found, text)

    async def remote_id(
        self, text: str, provider: Provider, *, owner: str = LOCAL_OWNER, ours_alone: bool = False
    ) -> str:
        """The provider's id of a character. One that we do not know is taken for the provider's own id, unless
        `ours_alone` are allowed: on one account of a provider lie the characters of many owners.

        Of several with one name, that of the provider's account is meant. Raises NotFound if that is not one alone, and
        Unsupported for one of another account: its provider would not know it.
        """
        if not text.strip():
            raise Unsupported("A character's id is empty. See: rushes characters list")
        found = _named(await self.all(owner=owner), text)
        if not found:
            if ours_alone or (text.startswith(PREFIX) and len(text) == len(PREFIX) + 32):
                raise NotFound(f"There is no character {text!r}. See: rushes characters list")
            return text
        if ours := [each for each in found if each.account == provider.account]:
            return _only(ours, text).remote_id
        other = found[0]
        raise Unsupported(f"The character {other.name!r} belongs to {other.account}, not to {provider.label}.")

    def _who_does(self) -> str:
        models = self._s.registry.catalog.models.values()
        able = [str(model.id) for model in models if Feature.CHARACTERS in model.features]
        return f"These do: {', '.join(able)}." if able else "No model here does."


def _named(known: list[Character], text: str) -> list[Character]:
    """Those that a text may mean."""
    exact = [each for each in known if text in (each.id, each.remote_id)]
    return exact or [each for each in known if each.name == text or _begins(each.id, text)]


def _only(found: list[Character], text: str) -> Character:
    if len(found) > 1:
        raise NotFound(f"{text!r} may be any of {', '.join(each.id for each in found)}. Name one by its id.")
    return found[0]


def _begins(character_id: str, text: str) -> bool:
    return len(text) >= len(PREFIX) + 4 and character_id.startswith(text)
