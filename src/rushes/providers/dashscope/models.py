"""Which models there are where: regions with their hosts and dollars, the vendor's models of a family, and what all of
them refuse. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from math import ceil
from typing import Literal

from rushes.addresses import origin_of
from rushes.errors import Unsupported
from rushes.providers.catalog import Feature, Model, Price
from rushes.providers.dashscope.wire import TIERS, Row
from rushes.providers.shapes import tier_by_area
from rushes.video import ModelId, VideoRequest

Region = Literal["singapore", "beijing", "virginia", "hongkong"]

HOSTS: Mapping[Region, str] = {
    "singapore": "https://dashscope-intl.aliyuncs.com/api/v1",
    "beijing": "https://dashscope.aliyuncs.com/api/v1",
}
WORKSPACE_CODES: Mapping[Region, str] = {
    "singapore": "ap-southeast-1",
    "beijing": "cn-beijing",
    "virginia": "us-east-1",
    "hongkong": "cn-hongkong",
}
"""Regions in the hosts of workspaces; the last two have no other hosts."""
MOST_SEED = 2**31 - 1


def region_of(address: str) -> Region | None:
    """Where a host of the vendor's stands; None for any other."""
    _, host, _ = origin_of(address)
    for region, code in WORKSPACE_CODES.items():
        if f".{code}.maas." in host or (region in HOSTS and origin_of(HOSTS[region])[1] == host):
            return region
    return None


def prices_in(prices: Sequence[Price], there: Mapping[str, Decimal]) -> tuple[Price, ...]:
    """A price list with another region's dollars, as far as they are known."""
    known: list[Price] = []
    for price in prices:
        usd = there.get(tier_by_area(price.sizes[0], TIERS)) if price.sizes else None
        if usd is not None:
            clip_usd = usd if price.usd_per_clip_second else Decimal(0)
            known.append(replace(price, usd_per_second=usd, usd_per_clip_second=clip_usd))
    return tuple(known)


def mode_named(family: Model, name: str) -> str | None:
    """Which mode of a family a vendor's name stands for, also one with a date: `wan2.7-t2v-2026-06-12`."""
    modes = Row.model_validate(dict(family.wire)).modes
    told = modes.model_dump() if modes else {}
    return next((mode for mode, known in told.items() if name == known or name.startswith(f"{known}-20")), None)


def narrowed(family: Model, model_id: ModelId) -> Model:
    """A family as one of its modes has it."""
    mode = mode_named(family, model_id.model)
    frames = {Feature.FIRST_FRAME, Feature.LAST_FRAME}
    lacks = {"i2v": {Feature.REFERENCES}, "r2v": frames}.get(mode or "", frames | {Feature.REFERENCES})
    requires = {"i2v": (Feature.FIRST_FRAME,), "r2v": (Feature.REFERENCES,)}.get(mode or "", ())
    return replace(
        family,
        id=model_id,
        title=f"{family.title}, {model_id.model}",
        features=family.features - lacks,
        requires=requires,
        wire={**family.wire, "modes": dict.fromkeys(("t2v", "i2v", "r2v"), model_id.model)},
    )


def check_row(request: VideoRequest, row: Row) -> None:
    """Refuse what the vendor would refuse, in words that say what to do. Raises Unsupported."""
    if name := next((name for name in request.extra if name not in row.extra), None):
        raise Unsupported(f"{request.model} has no extra field {name!r}. It takes: {', '.join(row.extra)}.")
    if request.seed is not None and not 0 <= request.seed <= MOST_SEED:
        raise Unsupported(f"{request.model} takes seeds from 0 to {MOST_SEED}, not {request.seed}.", field="seed")
    clips = [ceil(each.media.seconds) for each in request.references if each.media.seconds is not None]
    pictures = len(request.references) - len(clips)
    if row.most_pictures is not None and pictures > row.most_pictures:
        raise Unsupported(f"{request.model} takes at most {row.most_pictures} reference pictures, not {pictures}.")
    given_s = sum(clips) + (request.source.seconds if request.source else 0)
    made_s = request.seconds or 0
    if row.most_s is not None and given_s and given_s + made_s > row.most_s:
        raise Unsupported(
            f"{request.model} allows {row.most_s} seconds for given clips and the new video together; "
            f"this has {given_s} + {made_s}. Give shorter clips, or ask for a shorter video.",
            field="seconds",
        )
