"""Finding jobs and videos again: by tags, by words of the prompt, by model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workshop import Workshop

from rushes.errors import NotFound, Unsupported
from rushes.jobs.store import Filter
from rushes.jobs.tags import Tags, checked_tags

pytestmark = pytest.mark.anyio


async def found(shop: Workshop, wanted: Filter) -> list[str]:
    return [each.id for each in await shop.jobs.matching(wanted)]


async def test_a_job_is_found_by_all_of_its_tags_and_by_no_other(shop: Workshop) -> None:
    tags = Tags(shop.services)
    one, two = (await shop.submit("one")).job_id, (await shop.submit("two")).job_id
    await tags.add(one, ["sea", "night"])
    await tags.add(two, ["sea"])

    assert await found(shop, Filter(tags=("sea",))) == [two, one]
    assert await found(shop, Filter(tags=("night", "sea"))) == [one]
    assert await found(shop, Filter(tags=("se",))) == []
    assert await tags.of([one, two]) == {one: ["night", "sea"], two: ["sea"]}


async def test_tagging_twice_is_tagging_once(shop: Workshop) -> None:
    job_id = (await shop.submit()).job_id

    await Tags(shop.services).add(job_id, ["sea", "sea"])

    assert await Tags(shop.services).add(job_id, ["sea"]) == ["sea"]


async def test_a_tag_that_is_not_there_cannot_be_removed_and_then_none_is(shop: Workshop) -> None:
    job_id = (await shop.submit()).job_id
    tags = Tags(shop.services)
    await tags.add(job_id, ["sea", "night"])

    with pytest.raises(NotFound, match=r"no tag 'see'\. Its tags: night, sea"):
        await tags.remove(job_id, ["sea", "see"])

    assert await tags.remove(job_id, ["sea"]) == ["night"]


async def test_a_deleted_job_takes_no_tags(shop: Workshop) -> None:
    job_id = await shop.made()
    await shop.jobs.delete(job_id)

    with pytest.raises(NotFound, match="deleted"):
        await Tags(shop.services).add(job_id, ["sea"])


async def test_a_job_is_found_by_a_part_of_its_model_in_any_case(shop: Workshop) -> None:
    job_id = (await shop.submit()).job_id

    assert await found(shop, Filter(model="SORA")) == [job_id]
    assert await found(shop, Filter(model="openai:video:sora-2")) == [job_id]
    assert await found(shop, Filter(model="sora-3")) == []
    assert await found(shop, Filter(model="%")) == []


async def test_all_conditions_must_fit(shop: Workshop) -> None:
    job_id = (await shop.submit("A cat at sea")).job_id
    await Tags(shop.services).add(job_id, ["sea"])

    assert await found(shop, Filter(search="CAT", tags=("sea",), model="sora")) == [job_id]
    assert await found(shop, Filter(search="dog", tags=("sea",), model="sora")) == []


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ("", "1 to 80"),
        ("x" * 81, "not 81"),
        ("a,b", "commas"),
        ("a\nb", "line breaks"),
        ("a\x1bb", "control"),
        (" sea", "blank"),
    ],
)
def test_what_is_no_tag_is_refused_with_the_reason(tag: str, words: str) -> None:
    with pytest.raises(Unsupported, match=words):
        checked_tags(["good", tag])


@given(tags=st.lists(st.from_regex(r"[\w:/.-]([\w :/.-]{0,20}[\w:/.-])?", fullmatch=True).filter(str.isprintable)))
def test_words_are_tags_each_once_in_their_order(tags: list[str]) -> None:
    assert checked_tags(tags) == tuple(dict.fromkeys(tags))
