"""The ways in which the workers of a row die, or seem to. Each is a small driver that the row's loop asks to act.

A death by a far side's hand (`AtCall`) is the exact one: the fake ends the process that speaks to it, before it does
what it was asked, after it has done it, or after it has answered. A death at a commit or a named point happens inside
the process (`rushes.testing.crash`), which needs to be told before it starts.
"""

import time
from abc import ABC
from dataclasses import dataclass
from random import Random
from typing import Any

from rushes.testing.matrix.crew import WORKER_HEADER, Crew, Hand
from rushes.testing.matrix.stores import Store
from rushes.testing.server import BookedServer, Moment, Received


@dataclass(slots=True, kw_only=True)
class Scene:
    """What a driver may act on."""

    crew: Crew
    fake: BookedServer[Any]
    store: Store
    address: str | None
    random: Random


class Killing(ABC):
    """One row's way of killing. Used once."""

    name: str
    kept_in_flight: int = 0  # new jobs are admitted as long as it is not over, so that there is something to kill
    over: bool = True  # nothing more will be killed
    expected: int = 0  # with fewer deaths than this the row has shown nothing
    leaves_doubt: bool = True  # whether a create may be cut off by it

    def begin(self, scene: Scene) -> None:
        scene.crew.start_all()

    def act(self, scene: Scene) -> None:  # noqa: B027 - some act only at the beginning
        """Called again and again while the row runs."""


class Spared(Killing):
    name = "-"
    leaves_doubt = False


class AtPoint(Killing):
    """Every worker of the first shift dies at this point of its own; whoever takes its place is spared."""

    def __init__(self, point: str) -> None:
        self.point = point
        self.expected = 1
        self.name = f"kill -9 at {point}"

    def begin(self, scene: Scene) -> None:
        scene.crew.start_all(dying_at=self.point)


class AtCall(Killing):
    """The worker that makes the nth call of an operation dies at that moment of it."""

    def __init__(self, operation: str, moment: Moment, nth: int = 1) -> None:
        self.operation, self.moment, self.nth = operation, moment, nth
        self.name = f"kill -9 when {operation} {nth} is {moment.value.replace('_', ' ')}"
        self.expected = 1
        self._seen = 0

    def begin(self, scene: Scene) -> None:
        def look(moment: Moment, operation: str | None, received: Received) -> None:
            hand = speaker(scene.crew, received)
            if moment is not self.moment or operation != self.operation or hand is None:
                return
            self._seen += 1
            if self._seen == self.nth:
                scene.crew.kill(hand)

        scene.fake.looking_on = look
        scene.crew.start_all()


class AtRandom(Killing):
    """Some worker dies at some moment, again and again. With several, the others go on."""

    over = False

    def __init__(self, kills: int, *, in_flight: int = 20, only_first: bool = False) -> None:
        self.kills, self.kept_in_flight, self.only_first = kills, in_flight, only_first
        self.expected = kills
        self.name = f"kill -9 at random, {kills} times"
        self._next = 0.0

    def begin(self, scene: Scene) -> None:
        super().begin(scene)
        self._next = time.monotonic() + scene.random.uniform(1.0, 5.0)

    def act(self, scene: Scene) -> None:
        self.over = scene.crew.kills >= self.kills
        if self.over or time.monotonic() < self._next:
            return
        hands = scene.crew.hands[:1] if self.only_first else scene.crew.hands
        scene.crew.kill(scene.random.choice(hands))
        # A worker needs some two seconds to be up: short lives are deaths at the start, which are wanted as well.
        self._next = time.monotonic() + scene.random.choice([0.3, 1.0, 2.0, 3.0, 4.0]) * scene.random.uniform(0.5, 1.5)


class Ended(Killing):
    """SIGTERM at random moments: it must end well, with every create in the air brought to its end."""

    over = False
    leaves_doubt = False

    def __init__(self, times: int) -> None:
        self.times = times
        self.name = f"SIGTERM, {times} times"
        self.kept_in_flight = 8
        self._next = 0.0
        self._spoke: dict[int, float] = {}

    def begin(self, scene: Scene) -> None:
        def look(moment: Moment, operation: str | None, received: Received) -> None:
            if (hand := speaker(scene.crew, received)) is not None:
                self._spoke[hand.number] = time.monotonic()

        scene.fake.looking_on = look
        super().begin(scene)

    def act(self, scene: Scene) -> None:
        self.over = self.times <= 0
        if self.over or time.monotonic() < self._next:
            return
        # One that is still starting has nothing in the air, and does not listen to signals yet.
        hands = [hand for hand in scene.crew.hands if self._spoke.get(hand.number, 0.0) > hand.started_at]
        if not hands:
            return
        hand = scene.random.choice(hands)
        code = scene.crew.end_in_order(hand)
        if code != 0:
            scene.crew.unasked_ends.append(f"worker {hand.number} ended with {code} on SIGTERM")
        self.times -= 1
        self._next = time.monotonic() + scene.random.uniform(2.0, 5.0)


class Stopped(Killing):
    """SIGSTOP in the middle of a create that was charged, for longer than any timeout, then SIGCONT.

    `severed`: its connections to the database are cut meanwhile, so that others take it for dead; what it then finds
    out about its create it must not write down any more.
    """

    over = False

    def __init__(self, for_s: float, *, severed: bool = False) -> None:
        self.for_s, self.severed = for_s, severed
        self.name = f"SIGSTOP for {for_s:g} s" + (", taken for dead" if severed else "")
        self._hand: Hand | None = None
        self._until = 0.0

    def begin(self, scene: Scene) -> None:
        def look(moment: Moment, operation: str | None, received: Received) -> None:
            hand = speaker(scene.crew, received)
            if moment is Moment.CARRIED_OUT and operation == "create" and self._hand is None and hand is not None:
                self._hand = hand
                scene.crew.stop(hand)
                self._until = time.monotonic() + self.for_s

        scene.fake.looking_on = look
        super().begin(scene)

    def act(self, scene: Scene) -> None:
        hand = self._hand
        if hand is None or not hand.stopped:
            return
        if self.severed:
            scene.store.sever(scene.address, scene.crew.application(hand))
            self.severed = False
        if time.monotonic() >= self._until:
            scene.crew.go_on(hand)
            self.over = True


def speaker(crew: Crew, received: Received) -> Hand | None:
    """Who made this call; None for one of the short processes."""
    number = received.headers.get(WORKER_HEADER)
    return None if number is None else crew.hands[int(number)]
