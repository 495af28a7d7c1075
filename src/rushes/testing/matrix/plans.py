"""What goes wrong on the far side in a row of the matrix, and what must have come of it. Only data.

The faults are written as `rushes.testing.faults` reads them. A plan says how many creates it leaves in doubt, so that
the audit can tell a job that rightly waits for a person from one that does so without need.
"""

from collections.abc import Mapping
from dataclasses import dataclass

WHOLE_BYTES = 1_000_000
CUTS = (0, 1, 7, 1_000, 65_536, 100_000, 250_000, 500_000, 750_000, WHOLE_BYTES - 1)
"""Where a download of a whole file breaks off: ten places, the ends among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One way to fail. Faults are used up call by call, whichever job the call is about."""

    name: str
    create: tuple[str | None, ...] = ()
    poll: tuple[str | None, ...] = ()
    download: tuple[str | None, ...] = ()
    list: tuple[str | None, ...] = ()
    jobs: int = 4
    closed_s: float = 0.0  # for so long no connection can be made
    clock_offset_s: float = 0.0  # how far the far side's clock is ahead of ours
    video_bytes: int = 0
    result_life_s: float = 3600.0  # how long the far side says that a result can be fetched
    doubts: int = 0  # creates that nobody but the provider can tell the fate of
    parks: int = 0  # of them: those that only a person can settle, whatever the provider promises
    refused: int = 0  # jobs that fail unpaid
    failed: int = 0  # jobs that fail although they were paid for
    unpriced: int = 0  # of them: those whose bill nobody can know
    kinds: frozenset[str] | None = None  # None: any provider
    takes_s: float = 0.0  # on the quickest machine, where that is long: it waits for what only time can tell

    def faults(self) -> Mapping[str, tuple[str | None, ...]]:
        return {"create": self.create, "poll": self.poll, "download": self.download, "list": self.list}

    def fits(self, kind: str) -> bool:
        return self.kinds is None or kind in self.kinds

    @property
    def hangs(self) -> bool:
        """Whether a create is never answered, so that its time must run out."""
        return any(fault is not None and fault.startswith("hang") for fault in self.create)


UNTROUBLED = Plan(name="none")
OF_OPENAI = frozenset({"openai"})
OF_ZAI = frozenset({"zai"})
TELL_THE_END = frozenset({"openai", "keyed"})
"""They say when a result expires. A paid result that cannot be had is asked for until then, or for ten minutes: so a
short life shows what comes of it in seconds, and without one it takes the ten minutes."""
SHORT_LIFE_S = 8.0
PATIENCE_S = 600.0

SERVER_ERRORS = (500, 502, 503)

CREATE = (
    Plan(name="create: no connection", closed_s=3.0, jobs=2),
    Plan(name="create: timeout before acceptance", create=("hang",), doubts=1),
    Plan(name="create: timeout after acceptance", create=("hang-accepted",), doubts=1),
    *(Plan(name=f"create: {s} before acceptance", create=(f"{s}*2",), doubts=2) for s in SERVER_ERRORS),
    *(Plan(name=f"create: {s} after acceptance", create=(f"{s}-accepted*2",), doubts=2) for s in SERVER_ERRORS),
    Plan(name="create: 429", create=("429*3",)),
    Plan(name="create: 429 with Retry-After", create=("429-retry:1*3",)),
    Plan(name="create: reset before acceptance", create=("reset",), doubts=1),
    Plan(name="create: reset after acceptance", create=("reset-accepted",), doubts=1),
    Plan(name="create: cut inside the answer", create=("cut*2",), doubts=2),
    Plan(name="create: answer without an id", create=("no_id",), doubts=1),
    Plan(name="create: a web page for an answer", create=("html",), doubts=1),
    Plan(name="create: half a JSON", create=("half_json",), doubts=1),
    Plan(name="create: two answered with one id", create=(None, "same_id"), jobs=2, doubts=1, parks=1),
    Plan(name="create: refused for its content", create=("moderated",), refused=1),
    Plan(name="create: slow, but good", create=("slow:0.8*4",)),
    Plan(name="create: every answer is lost", create=("reset-accepted*4",), doubts=4),
)

POLL = (
    Plan(name="poll: 429", poll=("429*6",)),
    Plan(name="poll: 429 with Retry-After", poll=("429-retry:2*6",)),
    Plan(name="poll: 500", poll=("500*6",)),
    Plan(name="poll: reset", poll=("reset*6",)),
    Plan(name="poll: a web page", poll=("html*6",)),
    Plan(name="poll: half a JSON", poll=("half_json*6",)),
    Plan(name="poll: unknown status word", poll=("word:WARMING_UP*8",)),
    Plan(name="poll: the job vanishes for a while", poll=("404*8",)),
    Plan(name="poll: time goes backwards", poll=(None, "backwards*8")),
    Plan(name="poll: hang", poll=("hang*2",), takes_s=60.0),
    Plan(name="poll: the job vanishes for good", poll=("404*",), jobs=2, failed=2, unpriced=2, takes_s=130.0),
    Plan(
        name="poll: success without a result",
        poll=("empty*2",),
        jobs=2,
        failed=2,
        result_life_s=SHORT_LIFE_S,
        kinds=OF_OPENAI,
    ),
    Plan(name="poll: success without a result", poll=("empty*2",), jobs=2, failed=2, kinds=OF_ZAI),
    Plan(name="poll: fewer videos than asked", jobs=2, kinds=frozenset({"azure"})),
)


def _in_vain(name: str, fault: str) -> tuple[Plan, Plan]:
    """Every download fails: until the result is said to expire, or until patience ends."""
    return (
        Plan(name=name, download=(fault,), jobs=2, failed=2, result_life_s=SHORT_LIFE_S, kinds=TELL_THE_END),
        Plan(name=name, download=(fault,), jobs=2, failed=2, takes_s=PATIENCE_S, kinds=OF_ZAI),
    )


DOWNLOAD = (
    Plan(name="download: 404", download=("404*4",)),
    Plan(name="download: 403, the link expired", download=("403*4",)),
    Plan(name="download: 500", download=("500*4",)),
    Plan(name="download: reset", download=("reset*2", "reset_after:100000*4"), video_bytes=WHOLE_BYTES),
    Plan(
        name="download: truncated at 10 points",
        download=tuple(f"truncated:{at}" for at in CUTS),
        jobs=10,
        video_bytes=WHOLE_BYTES,
    ),
    Plan(name="download: wrong length", download=("short:60000*3",), video_bytes=WHOLE_BYTES),
    Plan(name="download: redirect", download=("redirect:?again=1*4",)),
    Plan(name="download: redirect to where none may go", download=("redirect:http://169.254.169.254/x*2",)),
    Plan(name="download: not a video", download=("not_a_video*2",)),
    Plan(name="download: an error in a video's clothes", download=("json_as_video*2",)),
    Plan(name="download: hang", download=("hang*2",), takes_s=60.0),
    *_in_vain("download: never a video", "not_a_video*"),
    *_in_vain("download: the link stays expired", "403*"),
)

SEARCH = (
    Plan(name="search: the list fails, too", create=("hang-accepted",), list=("500*6",), doubts=1, kinds=OF_OPENAI),
    Plan(name="search: the list lags", create=("500-accepted*2",), list=("lag:4*6",), doubts=2, kinds=OF_OPENAI),
    Plan(
        name="search: the list has no prompts",
        create=("500-accepted",),
        list=("no_prompts*",),
        doubts=1,
        parks=1,
        kinds=OF_OPENAI,
    ),
    Plan(
        name="search: their clock is an hour ahead",
        create=("500-accepted", "500"),
        clock_offset_s=3600.0,
        doubts=2,
        kinds=OF_OPENAI,
    ),
    Plan(
        name="search: their clock is an hour behind",
        create=("500-accepted", "500"),
        clock_offset_s=-3600.0,
        doubts=2,
        kinds=OF_OPENAI,
    ),
)

ALL = (UNTROUBLED, *CREATE, *POLL, *DOWNLOAD, *SEARCH)
