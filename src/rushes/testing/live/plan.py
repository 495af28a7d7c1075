"""What a live test buys: of a provider's models the clip that costs least. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from rushes.errors import Unsupported
from rushes.providers.catalog import Feature, Model, Order
from rushes.providers.prepare import Misfit, Prepared, limited, limited_at, prepare
from rushes.video import MediaRef, Reference, Size, VideoRequest

PROMPT = "A paper boat floats on a still pond, ripples around it, soft morning light"
SMALLEST_ANY = Size(320, 180)
"""Of models that make any size: enough to see something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A model with the clip that it is to make."""

    model: Model
    size: Size
    seconds: int
    usd: Decimal | None  # None: unknown


def cheapest(models: Iterable[Model], today: date) -> Choice:
    """The least that can be bought: a known price before an unknown one, and text alone before what needs pictures.

    Raises Unsupported where there is nothing to buy.
    """
    choices = [
        choice for model in models if model.retired is None or model.retired > today for choice in _choices(model)
    ]
    if not choices:
        raise Unsupported("There is no model to try. Name one: --model ID.")
    return min(choices, key=_dearness)


def _choices(model: Model) -> Iterator[Choice]:
    has = frozenset(model.requires)
    narrowed = limited(model, has)
    for size in narrowed.sizes or (SMALLEST_ANY,):
        for seconds in limited_at(narrowed, has, size).seconds:
            order = Order(
                size=size, seconds=seconds, has=has, audio=model.has_sound(None), pictures=len(model.requires)
            )
            yield Choice(model=model, size=size, seconds=seconds, usd=model.price(order))


def _dearness(choice: Choice) -> tuple[bool, bool, Decimal, int, int]:
    usd = choice.usd
    return (
        usd is None,
        bool(choice.model.requires),
        usd or Decimal(0),
        choice.seconds,
        choice.size.width * choice.size.height,
    )


def wanted(choice: Choice, picture: MediaRef | None, today: date, prompt: str = PROMPT) -> Prepared:
    """The request for it. `picture` is given wherever the model can do nothing without one."""
    needs = choice.model.requires
    request = VideoRequest(
        prompt=prompt,
        model=choice.model.id,
        size=choice.size,
        seconds=choice.seconds,
        first_frame=picture if Feature.FIRST_FRAME in needs else None,
        last_frame=picture if Feature.LAST_FRAME in needs else None,
        references=(Reference(media=picture),) if picture and Feature.REFERENCES in needs else (),
    )
    return prepare(request, choice.model, misfit=Misfit.NEAREST, today=today)
