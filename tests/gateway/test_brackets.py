"""Flat names and JSON become one tree, and what no tree can be made of is refused by name."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.gateway.brackets import FieldLimits, digest_of, read_json, root_of, shown, unflatten
from rushes.gateway.problems import Problem

LIMITS = FieldLimits(field_bytes=1000, reference_bytes=5000, depth=8)

keys = st.text(st.sampled_from("abcxyz_-. ü漢"), min_size=1, max_size=6)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
trees = st.recursive(
    texts,
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(keys, inner, min_size=1, max_size=3),
    max_leaves=12,
)
objects = st.dictionaries(keys, trees, max_size=4)


def flatten(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """As clients do that number the elements of a list."""
    match value:
        case dict():
            for key, child in value.items():  # pyright: ignore[reportUnknownVariableType] - any JSON
                yield from flatten(child, f"{name}[{key}]" if name else str(key))  # pyright: ignore[reportUnknownArgumentType] - any JSON
        case list():
            for place, child in enumerate(value):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - any JSON
                yield from flatten(child, f"{name}[{place}]")
        case _:
            yield name, value


def flatten_unnumbered(records: list[dict[str, str]], name: str) -> Iterator[tuple[str, str]]:
    """As the OpenAI packages do."""
    return ((f"{name}[][{key}]", text) for record in records for key, text in record.items())


@given(tree=objects)
def test_what_is_flattened_comes_back_as_it_was(tree: dict[str, Any]) -> None:
    assert unflatten(flatten(tree)) == tree


@given(
    names=st.lists(keys, unique=True, min_size=1, max_size=3),
    rows=st.lists(st.lists(texts), min_size=1),
    data=st.data(),
)
def test_a_list_of_objects_without_numbers_comes_back_as_it_was(
    names: list[str], rows: list[list[str]], data: st.DataObject
) -> None:
    records = [{name: data.draw(texts) for name in names} for _ in rows]

    assert unflatten(flatten_unnumbered(records, "characters")) == {"characters": records}


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([("prompt", "a")], {"prompt": "a"}),
        ([("image", "a"), ("image", "b")], {"image": ["a", "b"]}),
        ([("image[]", "a")], {"image": ["a"]}),
        ([("image[]", "a"), ("image[]", "b")], {"image": ["a", "b"]}),
        ([("input_reference[image_url]", "u")], {"input_reference": {"image_url": "u"}}),
        ([("characters[][id]", "1"), ("characters[][id]", "2")], {"characters": [{"id": "1"}, {"id": "2"}]}),
        ([("characters[1][id]", "2"), ("characters[0][id]", "1")], {"characters": [{"id": "1"}, {"id": "2"}]}),
        ([("characters[][id]", "1"), ("characters[][name]", "x")], {"characters": [{"id": "1", "name": "x"}]}),
        ([("a[99999]", "far")], {"a": ["far"]}),
        ([("a[007]", "bond")], {"a": {"007": "bond"}}),
        ([("a[b][c][]", "1"), ("a[b][c][]", "2")], {"a": {"b": {"c": ["1", "2"]}}}),
        ([("a[][b][]", "1"), ("a[][b][]", "2")], {"a": [{"b": ["1", "2"]}]}),
    ],
)
def test_bracket_names_become_a_tree(pairs: list[tuple[str, str]], expected: object) -> None:
    assert unflatten(pairs) == expected


@pytest.mark.parametrize(
    "names",
    [
        ["a["], ["a]"], ["[a]"], ["a[b"], ["a[b]c"], ["a[[b]]"], [""], ["[]"], ["a\0"],
        ["a" + "[" * 5000], ["a" + "[]" * 100], ["a" + "[b]" * 8], ["a" * 301],
        ["a", "a[b]"], ["a[b]", "a"], ["a[b]", "a[]"], ["a[0]", "a[b]"], ["a[b]", "a[b]"], ["a[0]", "a[0]"],
        ["a[b]", "a[b][c]"], ["a[b][c]", "a[b]"],
    ],
)  # fmt: skip
def test_names_that_make_no_tree_are_refused_by_name(names: list[str]) -> None:
    with pytest.raises(Problem) as caught:
        unflatten([(name, "x") for name in names])

    assert (caught.value.status, caught.value.param) == (400, shown(names[-1]))


@given(names=st.lists(st.text(st.sampled_from("ab0[]"), max_size=12), max_size=8))
def test_no_names_end_in_anything_but_a_tree_or_a_refusal(names: list[str]) -> None:
    try:
        unflatten([(name, "x") for name in names])
    except Problem as problem:
        assert problem.status == 400


def test_a_file_is_named_after_the_field_without_brackets() -> None:
    assert [root_of(name) for name in ("video", "image[]", "input_reference[0]")] == [
        "video",
        "image",
        "input_reference",
    ]


def test_a_strangers_name_is_shown_short_and_printable() -> None:
    assert shown("prompt\r\n\x1b[31m") == "prompt\ufffd\ufffd\ufffd[31m"
    assert len(shown("x" * 10_000)) == 80


@pytest.mark.parametrize(
    ("text", "status", "param"),
    [
        (b"{", 400, None),
        (b'{"a": NaN}', 400, "a"),
        (b'{"a": -Infinity}', 400, "a"),
        (b'{"a": {"b": [1, 1e999]}}', 400, "a.b.1"),
        (b'{"seconds": ' + b"9" * 5000 + b"}", 400, "seconds"),
        (b'{"seconds": 0.' + b"9" * 5000 + b"}", 400, "seconds"),
        (b'{"prompt": "a", "prompt": "b"}', 400, "prompt"),
        (b"[" * 100_000, 400, None),
        (b'{"a":' * 100_000, 400, None),
        (b'{"a": [[[[[[[[[1]]]]]]]]]}', 400, "a.0.0.0.0.0.0.0.0"),
        (b'{"prompt": "a\\u0000b"}', 400, "prompt"),
        (b'{"prompt": "\\ud800"}', 400, "prompt"),
        (b'{"a\\u0000b": 1}', 400, "a\ufffdb"),
        (b'{"prompt": "\xff"}', 400, None),
        ('{"prompt": "a"}'.encode("utf-16"), 400, None),
        (b"[" + b"1," * 20_000 + b"1]", 400, "9999"),
        (json.dumps({"prompt": "x" * 1001}).encode(), 413, "prompt"),
        (json.dumps({"input_reference": {"image_url": "x" * 5001}}).encode(), 413, "input_reference.image_url"),
        (json.dumps({"x" * 301: 1}).encode(), 413, "x" * 79 + "…"),
    ],
)
def test_json_that_cannot_be_taken_is_refused_by_the_field_at_fault(
    text: bytes, status: int, param: str | None
) -> None:
    with pytest.raises(Problem) as caught:
        read_json(text, LIMITS)

    assert (caught.value.status, caught.value.param) == (status, param)


def test_json_keeps_its_types_and_long_references() -> None:
    wanted = {"seconds": 8, "guidance": 7.5, "audio": True, "none": None, "video": "x" * 5000, "big": 10**20}

    assert read_json(b"\xef\xbb\xbf" + json.dumps(wanted).encode(), LIMITS) == wanted


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"seconds": 8}, {"seconds": "8"}, True),
        ({"seconds": 8.0}, {"seconds": "8"}, True),
        ({"audio": True, "b": "1"}, {"b": 1, "audio": "true"}, True),
        ({"a": None, "b": [], "c": {}, "d": "1"}, {"d": "1"}, True),
        ({"seconds": "8"}, {"seconds": "4"}, False),
        ({"a": ["1", "2"]}, {"a": ["2", "1"]}, False),
        ({"a": {"b": "1"}}, {"a": "b1"}, False),
        ({"a": "1", "b": "2"}, {"a": "2", "b": "1"}, False),
    ],
)
def test_equal_requests_have_one_digest_and_others_another(one: Any, other: Any, same: bool) -> None:
    assert (digest_of(one, []) == digest_of(other, [])) is same


def test_files_count_by_field_content_and_order() -> None:
    files = [("input_reference", "aa"), ("input_reference", "bb")]
    digests = {digest_of({}, each) for each in (files, files[::-1], files[:1], [("video", "aa"), files[1]], [])}

    assert len(digests) == 5
