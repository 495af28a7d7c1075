"""The prompt policy: which prompts are refused before anything is bought, and a record of each decision.

A block list of words and phrases, and a moderation endpoint of the OpenAI shape; both optional, and without either
nothing is asked and nothing written. Words are compared as people read them: whole, in any case, with or without
accents, however they are encoded, whatever invisible characters stand between their letters. That stops what is meant
by nobody, not somebody who writes around it: for that is the endpoint, which reads the meaning.

A refusal names its kind and not the entry that matched: who looks for the holes of a list shall not be told where they
are. The operator finds the entry in the audit log.
"""

import logging
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from rushes import logs
from rushes.config import Settings
from rushes.errors import ConfigError, MissingKey, PromptBlocked, ProviderError, Unavailable
from rushes.http import Http
from rushes.jobs.audit import Audit, Verdict
from rushes.jobs.callers import Caller

log = logging.getLogger(__name__)

MODERATION_TIMEOUT_S = 15.0
MODERATION_TRIES = 2  # it costs nothing, and a connection may have died while it was idle

# -- the block list --------------------------------------------------------------------------------

_ASCII_WORDS = re.compile(r"[a-z0-9]+")
_INVISIBLE = frozenset("\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180e\u180f\u3164\uffa0")
"""What is seen by nobody, beside the format characters."""
_ACCENTS = (
    (0x0300, 0x036F),
    (0x1AB0, 0x1AFF),
    (0x1DC0, 0x1DFF),
    (0x20D0, 0x20FF),
    (0xFE00, 0xFE2F),
    (0xE0100, 0xE01EF),
)
"""Marks on letters, and variation selectors; not those of scripts in which they make another word."""
_UNBROKEN = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0x2FDF), (0x3005, 0x3007))
_UNBROKEN_TOO = ((0x3040, 0x31FF), (0x3400, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
"""Scripts that put no space between words: there each character stands for itself."""
_STROKES = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "\u0131": "i", "ħ": "h"}
)
"""Letters that Unicode does not take apart, and readers do."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """An entry of the block list: its words as they are compared, and where it stands."""

    words: tuple[str, ...]
    where: str


class BlockList:
    """Finds out whether a text holds one of many phrases, in one pass over its words. Pure."""

    def __init__(self, phrases: Iterable[Phrase]) -> None:
        self._by_first: dict[str, list[Phrase]] = {}
        for phrase in phrases:
            self._by_first.setdefault(phrase.words[0], []).append(phrase)

    def __bool__(self) -> bool:
        return bool(self._by_first)

    def match(self, text: str) -> Phrase | None:
        """The first phrase that the text holds."""
        if not self._by_first:
            return None
        return next((found for words in readings(text) if (found := self._in(words)) is not None), None)

    def _in(self, words: Sequence[str]) -> Phrase | None:
        for at, word in enumerate(words):
            for phrase in self._by_first.get(word, ()):
                if tuple(words[at : at + len(phrase.words)]) == phrase.words:
                    return phrase
        return None


def readings(text: str) -> list[tuple[str, ...]]:
    """The words of a text. Where it holds invisible characters there are two: they may hide a word, or part two."""
    if text.isascii():
        return [tuple(_ASCII_WORDS.findall(text.lower()))]
    plain = unicodedata.normalize("NFKC", text)
    joined = "".join(char for char in plain if not _is_invisible(char))
    if joined == plain:
        return [_words(joined)]
    parted = "".join(" " if _is_invisible(char) else char for char in plain)
    return [_words(joined), _words(parted)]


def _is_invisible(char: str) -> bool:
    return char in _INVISIBLE or unicodedata.category(char) == "Cf"


def _words(text: str) -> tuple[str, ...]:
    """Runs of letters, digits and the marks that belong to them, in one case and without accents."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold()).translate(_STROKES)
    words: list[str] = []
    open_word = False  # whether the next letter goes on with the last word
    for char in folded:
        if _within(char, _ACCENTS):
            continue
        kind = unicodedata.category(char)[0]
        if kind not in "LNM":
            open_word = False
        elif _within(char, _UNBROKEN) or _within(char, _UNBROKEN_TOO):
            words.append(char)
            open_word = False
        elif open_word:
            words[-1] += char
        else:
            words.append(char)
            open_word = True
    return tuple(words)


def _within(char: str, ranges: Iterable[tuple[int, int]]) -> bool:
    return any(first <= ord(char) <= last for first, last in ranges)


def phrase_of(text: str, where: str) -> Phrase:
    """An entry as it is compared. Raises ConfigError for one without a letter, which nothing would ever match."""
    words = readings(text)[0]
    if not words:
        raise ConfigError(f"[policy] {where}: {text!r} holds no letter or digit, so nothing could match it.")
    return Phrase(words, where)


# -- the moderation endpoint -----------------------------------------------------------------------


class _Result(BaseModel):
    model_config = ConfigDict(extra="ignore")
    flagged: bool
    categories: Mapping[str, bool | None] = {}


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")
    results: list[_Result]


def flags_of(body: bytes) -> tuple[str, ...] | None:
    """The categories that an answer flags; None: nothing is flagged. Raises ValueError for what is no answer."""
    answer = _Answer.model_validate_json(body)
    if not answer.results:
        raise ValueError("it holds no result")
    if not any(result.flagged for result in answer.results):
        return None
    return tuple(sorted({name for each in answer.results for name, is_so in each.categories.items() if is_so}))


# -- the policy ------------------------------------------------------------------------------------


class Policy:
    """Decides about prompts, and writes each decision down."""

    def __init__(self, settings: Settings, http: Http, audit: Audit) -> None:
        self._settings = settings.policy
        self._variable = settings.variable
        self._http = http
        self._audit = audit

    @property
    def is_set(self) -> bool:
        """Whether anything is checked at all."""
        return bool(self._settings.block or self._settings.block_file or self._settings.moderation_url)

    async def check(self, prompt: str, *, caller: Caller) -> None:
        """Return if the prompt may be sent to a model.

        Raises PromptBlocked if not; Unavailable if that cannot be found out and the settings refuse then; ConfigError
        for settings that cannot be used, so that a slip in them lets nothing through.
        """
        if not self.is_set:
            return
        if (phrase := self._block_list.match(prompt)) is not None:
            await self._audit.append(prompt, Verdict.BLOCKED, f"block list: {phrase.where}", caller=caller)
            raise _refusal("it is on the block list")
        if self._settings.moderation_url is not None:
            await self._ask(self._settings.moderation_url, prompt, caller)
        else:
            await self._audit.append(prompt, Verdict.ALLOWED, "block list", caller=caller)

    @cached_property
    def _block_list(self) -> BlockList:
        """Read when it is first needed: commands that send no prompt need no list."""
        listed = [phrase_of(text, f"block, entry {n}") for n, text in enumerate(self._settings.block, 1)]
        if self._settings.block_file is not None:
            listed += _read(Path(self._settings.block_file).expanduser())
        return BlockList(listed)

    async def _ask(self, url: str, prompt: str, caller: Caller) -> None:
        try:
            flags = await self._flags(url, prompt)
        except ProviderError as error:
            log.warning("policy.trouble", extra={"cause": str(error), "on_trouble": self._settings.on_trouble})
            outcome = "allowed all the same" if self._settings.on_trouble == "allow" else "refused"
            reason = f"moderation: cannot be asked, {outcome}: {logs.redacted(str(error))}"
            await self._audit.append(prompt, Verdict.ERROR, reason, caller=caller)
            if self._settings.on_trouble == "allow":
                return
            raise Unavailable("The prompt could not be checked just now, so nothing was sent. Try again.") from error
        if flags is None:
            await self._audit.append(prompt, Verdict.ALLOWED, "moderation", caller=caller)
            return
        kinds = ", ".join(flags) or "no category named"
        await self._audit.append(prompt, Verdict.BLOCKED, f"moderation: {kinds}", caller=caller)
        raise _refusal(f"moderation flags it ({kinds})")

    async def _flags(self, url: str, prompt: str) -> tuple[str, ...] | None:
        """What the endpoint flags; None: nothing. Raises ProviderError."""
        for _ in range(MODERATION_TRIES - 1):
            with suppress(ProviderError):
                return await self._flags_at_once(url, prompt)
        return await self._flags_at_once(url, prompt)

    async def _flags_at_once(self, url: str, prompt: str) -> tuple[str, ...] | None:
        model = self._settings.moderation_model
        body = {"input": prompt} if model is None else {"input": prompt, "model": model}
        api = self._http.api(url, {}, self._auth)
        reply = await api.send("POST", "", step="moderation", json=body, timeout_s=MODERATION_TIMEOUT_S)
        if not reply.ok:
            raise Unavailable("The moderation endpoint does not judge", step="moderation", http_status=reply.status)
        try:
            return flags_of(reply.body)
        except ValueError as error:
            raise Unavailable("The moderation endpoint's answer cannot be read", step="moderation") from error

    async def _auth(self) -> Mapping[str, str]:
        if (name := self._settings.moderation_key_env) is None:
            return {}
        if (key := self._variable(name)) is None:
            raise MissingKey(
                f"[policy] moderation_key_env names {name}, which is not set. Set it, or take the line away."
            )
        logs.hide(key)
        return {"authorization": f"Bearer {key}"}


def _read(path: Path) -> list[Phrase]:
    """One entry a line; blank lines, and those that begin with #, say nothing. Raises ConfigError."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"[policy] block_file {path} cannot be read: {error}. No prompt is sent until it can."
        ) from error
    wanted = [(n, line.strip()) for n, line in enumerate(lines, 1)]
    return [phrase_of(line, f"block_file, line {n}") for n, line in wanted if line and not line.startswith("#")]


def _refusal(why: str) -> PromptBlocked:
    return PromptBlocked(
        f"This prompt is refused by the policy of this installation: {why}. Nothing was sent. Change it."
    )
