"""Ways in which a far side fails, in one small vocabulary for every fake.

    fake.faults.create = [Fault.status(500, accepted=True), None, Fault.hang()]

The list is used up call by call; `None` is a call that goes well. `.times(3)` repeats a fault, `.always()` keeps it.
As text (for the command line and the control address): `500-accepted`, `429-retry:2`, `hang`, `word:NOT_START`,
`truncated:1000`, `html*3` (three times), `moderated*` (always).
"""

import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar


class Trouble(StrEnum):
    # anywhere
    STATUS = "status"  # an error answer; value: the status
    HANG = "hang"  # no answer, the connection stays open
    RESET = "reset"  # the connection is cut before the answer
    CUT = "cut"  # the connection is cut inside the answer
    SLOW = "slow"  # a good answer, after so many seconds
    HTML = "html"  # a web page with status 200
    HALF_JSON = "half_json"  # the answer stops in the middle, in good form
    # create
    NO_ID = "no_id"
    SAME_ID = "same_id"  # accepted and charged, answered with the id of the job before
    MODERATED = "moderated"  # on create: refused with 400; on poll: the job fails with that code
    # poll
    WORD = "word"  # an unknown status word; value: the word
    BACKWARDS = "backwards"  # status, progress and time as if it had only just begun
    FAILED_AS = "failed_as"  # the job fails, and is served with an error status; value: the status
    EMPTY = "empty"  # the job is done, and there is no video, now or later
    # download
    TRUNCATED = "truncated"  # the connection ends after so many bytes, short of the announced length
    RESET_AFTER = "reset_after"  # the same, with a reset
    SHORT = "short"  # a whole answer of so many bytes: the announced length is wrong as well
    REDIRECT = "redirect"  # value: where to
    NOT_A_VIDEO = "not_a_video"
    JSON_AS_VIDEO = "json_as_video"
    # list
    NO_PROMPTS = "no_prompts"
    LAG = "lag"  # jobs younger than so many seconds are missing


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to fail. `accepted` is about creates: the job is made and charged all the same."""

    trouble: Trouble
    value: str = ""
    accepted: bool = False
    retry_after: str | None = None
    count: int | None = 1  # None: always

    @classmethod
    def status(cls, status: int, *, accepted: bool = False, retry_after: str | None = None) -> "Fault":
        return cls(Trouble.STATUS, str(status), accepted, retry_after)

    @classmethod
    def hang(cls, *, accepted: bool = False) -> "Fault":
        return cls(Trouble.HANG, accepted=accepted)

    @classmethod
    def reset(cls, *, accepted: bool = False) -> "Fault":
        return cls(Trouble.RESET, accepted=accepted)

    @classmethod
    def cut(cls) -> "Fault":
        """On a create the job was accepted: there is an answer to be cut."""
        return cls(Trouble.CUT, accepted=True)

    @classmethod
    def of(cls, trouble: Trouble, value: object = "", *, accepted: bool | None = None) -> "Fault":
        """Any other. A create that is answered in good form but badly was accepted, unless it was moderated."""
        return cls(trouble, str(value), trouble is not Trouble.MODERATED if accepted is None else accepted)

    def times(self, count: int) -> "Fault":
        return replace(self, count=count)

    def always(self) -> "Fault":
        return replace(self, count=None)

    @property
    def number(self) -> int:
        return int(self.value)

    @classmethod
    def parse(cls, text: str) -> "Fault":
        """Read the text form. Raises ValueError with the names there are."""
        match = re.fullmatch(r"(?P<head>.+?)(?P<accepted>-accepted)?(-retry:(?P<retry>[^*]+))?(?P<star>\*\d*)?", text)
        if match is None:
            raise ValueError(f"{text!r} is no fault")
        name, _, value = match["head"].partition(":")
        if name.isdigit():
            name, value = Trouble.STATUS.value, name
        if name not in {trouble.value for trouble in Trouble}:
            raise ValueError(f"{name!r} is no fault. There are: {', '.join(Trouble)}, or an HTTP status.")
        trouble = Trouble(name)
        if trouble in (Trouble.STATUS, Trouble.HANG, Trouble.RESET):
            accepted = bool(match["accepted"])
        else:
            accepted = trouble is not Trouble.MODERATED
        star = match["star"]
        count = 1 if star is None else int(star[1:]) if len(star) > 1 else None
        return cls(trouble, value, accepted, match["retry"], count)


Plan = list[Fault | None]


class Faults:
    """The faults that lie ahead, by operation. Assign a list to an operation; it is used up from the front."""

    OPERATIONS: ClassVar[tuple[str, ...]] = ("create", "poll", "download", "list", "delete", "cancel")

    create: Plan
    poll: Plan
    download: Plan
    list: Plan
    delete: Plan
    cancel: Plan

    def __init__(self) -> None:
        self._lock = threading.Lock()
        for operation in self.OPERATIONS:
            setattr(self, operation, [])

    def set(self, operation: str, faults: Iterable[str | None]) -> None:
        """Replace the faults of an operation, given as text. Raises ValueError."""
        if operation not in self.OPERATIONS:
            raise ValueError(f"{operation!r} is no operation. There are: {', '.join(self.OPERATIONS)}.")
        setattr(self, operation, [Fault.parse(text) if text else None for text in faults])

    def take(self, operation: str) -> Fault | None:
        """The fault for this call, used up by it."""
        with self._lock:
            ahead: Plan = getattr(self, operation)
            if not ahead:
                return None
            fault = ahead[0]
            if fault is None or fault.count == 1:
                ahead.pop(0)
            elif fault.count is not None:
                ahead[0] = fault.times(fault.count - 1)
            return fault
