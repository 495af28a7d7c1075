"""Which plans, providers, databases and deaths are combined. Only data: no row is run here."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from rushes.providers.terms import Doubt
from rushes.testing.crash import COMMITS, POINTS
from rushes.testing.matrix import plans
from rushes.testing.matrix.killing import AtCall, AtPoint, AtRandom, Ended, Killing, Spared, Stopped
from rushes.testing.matrix.kinds import AZURE, KEYED, OPENAI, VENDORS, ZAI, Kind
from rushes.testing.matrix.plans import Plan
from rushes.testing.server import Moment

THREE = (OPENAI, KEYED, ZAI)
"""One of each kind of doubt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the matrix, to be run over a database of its own."""

    plan: Plan
    kind: Kind
    workers: int = 1
    killing: Callable[[], Killing] = Spared
    group: str = ""  # rows of one group are one line of the table
    job_s: float = 0.5
    signed: bool = False  # whether manifests are made: they cost CPU, and matter where a process dies
    person_repays: bool = False  # pays again although the far side has the job
    timeout_s: float = 600.0  # far beyond what it takes: a busy machine is no bug

    @property
    def name(self) -> str:
        return self.group or self.plan.name

    @property
    def create_timeout_s(self) -> float:
        """Short, for a search that finds nothing lasts until it is over. But where only a person can settle a doubt, a
        busy machine must bring no create in doubt that was to go well."""
        if self.kind.doubt is not Doubt.NONE or isinstance(self.killing(), Stopped):
            return 2.0
        return 4.0 if self.plan.hangs else 30.0

    @property
    def label(self) -> str:
        return f"{self.plan.name} | {self.kind.name} | {self.workers} | {self.killing().name}"


CALLS = (("create", 1), ("poll", 1), ("poll", 2), ("download", 1))
COMMIT_COUNT = range(1, 15)
"""An untroubled job commits this often, by our hand and by the workflow library's."""
WORKER_POINTS = tuple(point for point in POINTS if point != "job.admitted")
ONE = Plan(name="none", jobs=1)
TWO = Plan(name="none", jobs=2)
DOUBT_IN_THE_MIDST = Plan(name="create: every answer is lost", create=("reset-accepted*2",), jobs=2, doubts=2)
STORM = Plan(
    name="all at once",
    create=("500-accepted", None, None, "reset", None, None, "cut", None, "429", None, None, "hang-accepted", "503")
    * 2,
    poll=("429", None, "500", "html", None, "404", "reset", None, "half_json", "word:WARMING_UP", None) * 6,
    download=("404", None, "reset", "truncated:5000", None, "not_a_video", "500", None, "403", "short:9000") * 3,
    list=("500", None, None, "reset", None) * 4,
    doubts=40,
)


def fault_rows(kinds: tuple[Kind, ...] = THREE, *, workers: int = 1) -> list[Row]:
    """Every plan with every kind that it fits; nobody is killed."""
    return [
        Row(plan=plan, kind=kind, workers=workers, timeout_s=600.0 + 2 * plan.takes_s)
        for plan in plans.ALL
        for kind in kinds
        if plan.fits(kind.name)
    ]


def azure_rows(*, workers: int = 1) -> list[Row]:
    """What only an API that makes several videos at once can do."""
    return [Row(plan=plan, kind=AZURE, workers=workers) for plan in plans.ALL if plan.kinds == frozenset({"azure"})]


def person_rows(*, workers: int = 1) -> list[Row]:
    """A person pays again, although the far side has it: charged twice, and by decision."""
    doubtful = [plan for plan in plans.CREATE if plan.doubts and "after" in plan.name]
    return [
        Row(plan=plan, kind=ZAI, workers=workers, person_repays=True, group="resolve --repay, although accepted")
        for plan in doubtful
    ]


def sweep_rows(kind: Kind, *, workers: int = 1) -> list[Row]:
    """One death at every place: each named point, each commit, each call."""
    rows: list[Row] = []

    def add(plan: Plan, group: str, killing: Callable[[], Killing]) -> None:
        row = Row(plan=plan, kind=kind, workers=workers, killing=killing, group=group, signed=True, job_s=1.5)
        rows.append(row)

    for point in WORKER_POINTS:
        add(TWO, "kill -9 at each named point", lambda point=point: AtPoint(point))
        add(DOUBT_IN_THE_MIDST, "the same, in doubt about a create", lambda point=point: AtPoint(point))
    for point in COMMITS:
        side = "before" if point == "commit.begun" else "after"
        for n in COMMIT_COUNT:
            add(ONE, f"kill -9 {side} each commit", lambda point=point, n=n: AtPoint(f"{point}:{n}"))
    for moment in Moment:
        group = f"kill -9 when each call is {moment.value.replace('_', ' ')}"
        for operation, n in CALLS:
            add(ONE, group, lambda o=operation, m=moment, n=n: AtCall(o, m, n))
        if kind.doubt is not Doubt.NONE:
            repeated = "list" if kind.doubt is Doubt.LIST else "create"
            nth = 1 if kind.doubt is Doubt.LIST else 3
            add(DOUBT_IN_THE_MIDST, group, lambda o=repeated, m=moment, n=nth: AtCall(o, m, n))
    return rows


def random_rows(kind: Kind, *, workers: int = 1, kills: int = 60) -> list[Row]:
    """Twenty jobs in flight, and some worker dies again and again; then with every fault there is, too."""
    only_first = workers > 1
    who = "one of them killed again and again" if only_first else "killed again and again"

    def dies() -> Killing:
        return AtRandom(kills, only_first=only_first)

    def row(plan: Plan, group: str) -> Row:
        return Row(
            plan=plan, kind=kind, workers=workers, killing=dies, group=group, job_s=2.0, timeout_s=600 + 20 * kills
        )

    return [row(plans.UNTROUBLED, f"20 jobs in flight, {who}"), row(STORM, f"the same, with every fault, {who}")]


def signal_rows(kind: Kind, *, workers: int = 1, ends: int = 4) -> list[Row]:
    """SIGTERM drains; SIGSTOP outlasts every timeout."""
    slow = Plan(name="create: slow, but good", create=("slow:0.8*60",))
    ended = Row(plan=slow, kind=kind, workers=workers, killing=lambda: Ended(ends), group="SIGTERM drains", job_s=1.0)
    stopped = Row(
        plan=plans.UNTROUBLED, kind=kind, workers=workers, killing=lambda: Stopped(9.0), group="SIGSTOP for 9 s"
    )
    return [ended, stopped]


def severed_rows(kind: Kind, *, workers: int = 3) -> list[Row]:
    """A worker that was taken for dead comes back to life. Only where a database sees its connections."""
    return [
        Row(
            plan=plans.UNTROUBLED,
            kind=kind,
            workers=workers,
            killing=lambda: Stopped(12.0, severed=True),
            group="SIGSTOP, taken for dead, SIGCONT",
        )
    ]


def long_rows(*, workers: int, kills: int, many: bool) -> list[Row]:
    """The long run for one number of workers. `many` adds what needs several workers over one server."""
    rows = fault_rows(workers=workers) + azure_rows(workers=workers) + person_rows(workers=workers)
    rows += fault_rows(VENDORS) if workers == 1 else []
    for kind in THREE:
        rows += signal_rows(kind, workers=workers) + random_rows(kind, workers=workers, kills=kills)
        rows += severed_rows(kind, workers=workers) if many else []
    return rows + [row for kind in (*THREE, AZURE) for row in sweep_rows(kind, workers=workers)]


SHORT_ON_A_FILE = (
    (OPENAI, "create: timeout after acceptance"),
    (KEYED, "create: every answer is lost"),
    (KEYED, "create: two answered with one id"),
    (ZAI, "create: reset after acceptance"),
    (OPENAI, "poll: the job vanishes for a while"),
    (OPENAI, "download: truncated at 10 points"),
    (AZURE, "poll: fewer videos than asked"),
)
SHORT_ON_A_SERVER = (
    (OPENAI, "create: cut inside the answer"),
    (ZAI, "create: reset before acceptance"),
    (ZAI, "download: not a video"),
)


def short_rows(random: Random, *, server: bool) -> list[Row]:
    """About a minute for both databases on two cores: plans that once were bugs, and deaths that the seed chooses.

    On a file one worker, and three of which two wait; on a server one, and three that share the work.
    """
    chosen = SHORT_ON_A_SERVER if server else SHORT_ON_A_FILE
    rows = [Row(plan=_plan(name, kind), kind=kind) for kind, name in chosen]
    rows += [] if server else [Row(plan=_plan("create: every answer is lost", kind), kind=kind) for kind in VENDORS]
    deaths = random.sample(sweep_rows(OPENAI), 2)
    rows.append(deaths[1] if server else deaths[0])
    ended, stopped = signal_rows(OPENAI, workers=3 if server else 1, ends=2)
    calm, with_faults = random_rows(OPENAI if server else KEYED, workers=3, kills=4)
    return rows + ([stopped, with_faults, *severed_rows(OPENAI)] if server else [ended, calm])


def _plan(name: str, kind: Kind) -> Plan:
    return next(plan for plan in plans.ALL if plan.name == name and plan.fits(kind.name))
