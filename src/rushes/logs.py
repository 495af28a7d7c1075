"""Logs: what a record looks like, which job it is about, and what must never be in it.

A step of a job runs inside `about(job_id)`; every record that is made there, also by libraries, carries that id. Keys,
tokens, queries of links and prompts are taken out of whatever is printed: by value where the value is known (the keys
in the settings, the prompt of the job at hand), by their shape where it is not (a link that a third party quotes).

Nothing here configures logging, since a library must not: `cli/run.py` does, with the handler made here.
"""

import json
import logging
import re
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TextIO
from urllib.parse import quote, unquote, urlsplit

if TYPE_CHECKING:
    from rushes.config import Settings  # only its type: an error is to be printed without loading the settings

HIDDEN = "[hidden]"
SHORTEST_SECRET = 8  # shorter ones are words, and hiding words makes a log unreadable
SHORTEST_PROMPT = 6
PROMPT_HEAD = 24  # a far side quotes the beginning of a prompt, cut wherever it likes

_SECRET_VARIABLE = re.compile(
    r"(?:^|_)(?:KEY|TOKEN|SECRET)(?:_|$)|PASSWORD|PASSPHRASE|CONNECTION_STRING", re.IGNORECASE
)
_NAMES_A_FILE = ("_FILE", "_PATH", "_DIR")
_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]{0,30}://[^\s\"'<>`{}|\\^]+", re.IGNORECASE)
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\?[\w.~%\[\]-]+=[^\s\"'<>]*"), f"?{HIDDEN}"),  # the query of a link whose host is named elsewhere
    (re.compile(r"\bbearer\s+[\w.~+/=-]{6,}", re.IGNORECASE), f"Bearer {HIDDEN}"),
    (
        re.compile(
            r"((?:authorization|api[-_]?key|security-token|cookie)[\"']?\s*[:=]\s*[\"']?"
            r"(?:(?:basic|token)\s+)?)(?=[^\s\"',;&}]*\d)[^\s\"',;&}]{8,}",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"\bwhsec_[\w+/=-]{8,}|\brk_[\w-]{20,}"), HIDDEN),  # our own
    (re.compile(r"\b(?:sk|pk|rk)-[\w-]{8,}|\bAIza[\w-]{20,}|\bAKIA[A-Z0-9]{12,}"), HIDDEN),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), HIDDEN),
    # What SQLAlchemy and pydantic quote of the data in hand: rows hold prompts, answers hold links.
    (re.compile(r"\[parameters: .*"), f"[parameters: {HIDDEN}]"),
    (re.compile(r"input_value=.*?, input_type="), f"input_value={HIDDEN}, input_type="),
)


@dataclass(frozen=True, slots=True)
class _Subject:
    """The job that the current step is about, and what of it is private."""

    job_id: str
    private: list[str] = field(default_factory=list[str])


_subject: ContextVar["_Subject | None"] = ContextVar("rushes_log_subject", default=None)


@contextmanager
def about(job_id: str) -> Generator[None]:
    """Every record made inside is about this job. Holds across awaits, and in the threads that are started inside."""
    token = _subject.set(_Subject(job_id))
    try:
        yield
    finally:
        _subject.reset(token)


def current_job() -> str | None:
    """The job that the code at hand is about, or None outside of any step."""
    subject = _subject.get()
    return subject.job_id if subject else None


def keep_private(text: str) -> None:
    """Inside `about`: take this text, a prompt, out of all that is logged until the step ends. Elsewhere nothing."""
    subject = _subject.get()
    if subject is not None and len(text) >= SHORTEST_PROMPT and text not in subject.private:
        subject.private.append(text)


class _Secrets:
    """The values that this process must never print, as one pattern."""

    def __init__(self) -> None:
        self._values: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None

    def add(self, values: Iterable[str]) -> None:
        long = {value for value in values if len(value) >= SHORTEST_SECRET}
        if long <= self._values:
            return
        self._values |= long
        forms = {form for value in self._values for form in (value, quote(value, safe=""), _escaped(value))}
        longest_first = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def hide(self, text: str) -> str:
        return self._pattern.sub(HIDDEN, text) if self._pattern else text


_secrets = _Secrets()


def hide(*values: str) -> None:
    """Never print these values from now on. Those of fewer than 8 characters are left alone."""
    _secrets.add(values)


def secrets_of(settings: "Settings") -> set[str]:
    """What is secret in the settings: keys, headers, passwords in addresses, variables named like keys. Pure."""
    found: set[str] = set()
    for section in settings.providers.values():
        if section.api_key is not None:
            found.add(section.api_key.get_secret_value())
        if section.api_key_env:
            found.add(settings.environment.get(section.api_key_env, ""))
        for value in section.headers.values():
            found |= {value, value.rpartition(" ")[2]}
    for name, value in settings.environment.items():
        if _SECRET_VARIABLE.search(name) and not name.upper().endswith(_NAMES_A_FILE):
            found.add(value)
        elif name.upper().endswith("_HEADERS"):  # `name=value,name=value`, as OpenTelemetry has them
            found |= {part.partition("=")[2].rpartition(" ")[2] for part in unquote(value).split(",")}
        elif "://" in value:
            found |= _passwords(value)
    found |= _passwords(settings.database_url) | _passwords(settings.media_url)
    return {value.strip() for value in found if value.strip()}


def without_secrets(text: str) -> str:
    """The text as a person may read it: no known secret, no key or token by its shape, no query of a link."""
    text = _ADDRESS.sub(lambda match: _bare(match[0]), _secrets.hide(text))
    for shape, instead in _SHAPES:
        text = shape.sub(instead, text)
    return text


def redacted(text: str) -> str:
    """The text as it may be logged: without secrets, and inside `about` without the prompt, whole or cut short."""
    if (subject := _subject.get()) is not None:
        for prompt in subject.private:
            text = _without(text, prompt)
    return without_secrets(text)


class AboutJob(logging.Filter):
    """Gives a record the job at hand, unless it names one itself."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not hasattr(record, "job") and (job_id := current_job()):
            record.job = job_id
        return True


class Lines(logging.Formatter):
    """`HH:MM:SS level event name=value …`, for people."""

    def format(self, record: logging.LogRecord) -> str:
        facts = " ".join(f"{name}={value}" for name, value in _fields(record).items())
        text = f"{self.formatTime(record, '%H:%M:%S')} {record.levelname.lower():7} {record.getMessage()} {facts}"
        if record.exc_info:
            text = f"{text.rstrip()}\n{self.formatException(record.exc_info)}"
        return redacted(text.rstrip())


class JsonLines(logging.Formatter):
    """One JSON object a line: `ts`, `level`, `event`, `logger`, `job`, `fields`, `exception`.

    `ts` is UTC in ISO 8601 with milliseconds; `job` and `exception` are left out where there is none.
    """

    def format(self, record: logging.LogRecord) -> str:
        fields = _fields(record)
        job = fields.pop("job", None)
        line: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": redacted(record.getMessage()),
            "logger": record.name,
        }
        if job is not None:
            line["job"] = str(job)
        line["fields"] = {name: _value(value) for name, value in fields.items()}
        if record.exc_info:
            line["exception"] = redacted(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def handler(stream: TextIO, format: Literal["lines", "json"] | str) -> logging.Handler:  # noqa: A002 - the setting's name
    """A handler that writes records, redacted, to a stream. For whoever configures logging."""
    made = logging.StreamHandler(stream)
    made.setFormatter(JsonLines() if format == "json" else Lines())
    made.addFilter(AboutJob())
    return made


_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def _fields(record: logging.LogRecord) -> dict[str, object]:
    """What the record was given as `extra`, by name."""
    return {name: value for name, value in sorted(vars(record).items()) if name not in _STANDARD}


def _value(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    return redacted(str(value))


def _bare(address: str) -> str:
    """An address without user, password and query. Pure."""
    scheme, _, rest = address.partition("://")
    at = min((rest.find(mark) for mark in "?#" if mark in rest), default=len(rest))
    host, slash, path = rest[:at].partition("/")
    query = f"{rest[at]}{HIDDEN}" if at < len(rest) else ""
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}{query}"


def _passwords(address: str) -> set[str]:
    """The password in an address, as it is written and as it is meant. Pure."""
    try:
        password = urlsplit(address).password
    except ValueError:
        return set()  # not an address; whoever uses it says so
    return {password, unquote(password)} if password else set()


def _without(text: str, prompt: str) -> str:
    """The text without a prompt: whole, cut after its first characters, or escaped as JSON has it. Pure."""
    for form in dict.fromkeys((prompt, _escaped(prompt), repr(prompt)[1:-1])):
        head = form[:PROMPT_HEAD]
        start = text.find(head)
        while start >= 0:
            end = start + len(head)
            while end < len(text) and end - start < len(form) and text[end] == form[end - start]:
                end += 1
            text = f"{text[:start]}{HIDDEN}{text[end:]}"
            start = text.find(head, start + len(HIDDEN))
    return text


def _escaped(text: str) -> str:
    return json.dumps(text)[1:-1]
