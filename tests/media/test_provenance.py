"""What a claim says, and what is made of a validator's answer."""

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rushes.media.provenance import Change, Claim, Ingredient, Role, definition, parts
from rushes.media.reports import CHANGED, MAX_TEXT, Signer, State, report_of
from rushes.version import VERSION
from rushes.video import SourceKind

CLAIM = Claim(
    video_id="video_" + "1" * 32,
    title="video.mp4",
    provider="openai",
    model="sora-2",
    made_at=datetime(2026, 11, 21, 8, 0, tzinfo=UTC),
    trained=True,
)
FRAME = Ingredient(role=Role.FIRST_FRAME, mime="image/png", sha256="ab" * 32, path=Path("/in/frame"))
SOURCE = Ingredient(role=Role.SOURCE, mime="video/mp4", name="video_0", path=Path("/v.mp4"), manifest=Path("/v.c2pa"))
DELIVERED = Ingredient(role=Role.DELIVERED, mime="video/mp4", path=Path("/spool/x.part"))


def actions(claim: Claim) -> list[dict[str, Any]]:
    [found] = [each["data"]["actions"] for each in definition(claim)["assertions"] if "actions" in each["label"]]
    return found


def facts(claim: Claim) -> dict[str, Any]:
    return definition(claim)["assertions"][1]["data"]


def test_a_video_made_from_words_was_created_by_a_trained_model() -> None:
    [created] = actions(CLAIM)

    assert created["action"] == "c2pa.created"
    assert created["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    assert created["when"] == "2026-11-21T08:00:00Z"
    assert created["softwareAgent"] == {"name": "openai sora-2"}
    assert definition(CLAIM)["claim_generator_info"] == [{"name": "rushes", "version": VERSION}]


def test_an_animatic_is_not_called_the_work_of_a_trained_model() -> None:
    [created] = actions(replace(CLAIM, trained=False))

    assert created["digitalSourceType"].endswith("/algorithmicMedia")


def test_pictures_went_into_what_was_created() -> None:
    claim = replace(CLAIM, ingredients=(FRAME,))

    [created] = actions(claim)
    [part] = parts(claim)
    assert created["parameters"] == {"ingredientIds": [part["about"]["label"]]}
    assert part["about"]["relationship"] == "inputTo"
    assert facts(claim)["inputs"] == [{"role": "first_frame", "mime": "image/png", "sha256": "ab" * 32}]


@pytest.mark.parametrize("kind", SourceKind)
def test_what_starts_from_an_earlier_video_opened_it_and_edited_it(kind: SourceKind) -> None:
    claim = replace(CLAIM, kind=kind, ingredients=(SOURCE,))

    opened, edited = actions(claim)
    [part] = parts(claim)
    assert (opened["action"], edited["action"], edited["description"]) == ("c2pa.opened", "c2pa.edited", kind)
    assert opened["parameters"]["ingredientIds"] == [part["about"]["label"]]
    assert (part["about"]["relationship"], part["manifest"]) == ("parentOf", "/v.c2pa")
    assert edited["digitalSourceType"].endswith("/trainedAlgorithmicMedia")


def test_the_file_that_a_provider_signed_is_the_parent_and_the_earlier_video_an_input() -> None:
    claim = replace(CLAIM, kind=SourceKind.REMIX, ingredients=(DELIVERED, SOURCE, FRAME))

    opened, generated = actions(claim)
    relationships = [part["about"]["relationship"] for part in parts(claim)]
    assert relationships == ["parentOf", "inputTo", "inputTo"], "a manifest has one parent at most"
    assert opened["parameters"]["ingredientIds"] == ["ingredient_0"]
    assert opened["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    assert generated["action"] == "org.rushes.generated"
    assert generated["parameters"]["ingredientIds"] == ["ingredient_1", "ingredient_2"]


def test_our_own_changes_come_after_what_the_model_did() -> None:
    claim = replace(CLAIM, changes=(Change(action="c2pa.cropped", words="to 100x100"),))

    assert [each["action"] for each in actions(claim)] == ["c2pa.created", "c2pa.cropped"]


def test_an_ingredient_whose_file_is_out_of_reach_is_named_all_the_same() -> None:
    claim = replace(CLAIM, ingredients=(replace(FRAME, path=None),))

    [named] = definition(claim)["ingredients"]
    assert parts(claim) == []
    assert named["title"] == "the first frame"
    assert actions(claim)[0]["parameters"]["ingredientIds"] == [named["label"]]


def test_a_prompt_is_said_only_if_it_was_given_for_that() -> None:
    assert "prompt" not in facts(CLAIM)
    assert facts(replace(CLAIM, prompt="a cat"))["prompt"] == "a cat"


# -- a validator's answer --------------------------------------------------------------------------

LABEL = "urn:c2pa:1"
TRUSTED = {"code": "signingCredential.trusted", "url": f"self#jumbf=/c2pa/{LABEL}/c2pa.signature"}


def answer(**changes: Any) -> dict[str, Any]:
    manifest = {
        "claim_generator_info": [{"name": "Somebody", "version": "1"}],
        "signature_info": {"issuer": "Org", "common_name": "Name", "cert_serial_number": "7"},
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [{"action": "c2pa.created"}, {"action": "c2pa.cropped"}]}}
        ],
        **changes.pop("manifest", {}),
    }
    results = {"success": changes.pop("success", []), "failure": changes.pop("failure", [])}
    return {
        "active_manifest": LABEL,
        "manifests": {LABEL: manifest},
        "validation_results": {"activeManifest": results},
        "validation_state": "Valid",
        **changes,
    }


def test_a_signer_is_ours_only_by_the_validators_word_and_our_serial() -> None:
    signers = {
        "both": report_of(answer(success=[TRUSTED]), beside=False, serials=frozenset({"7"})),
        "trusted, another serial": report_of(answer(success=[TRUSTED]), beside=False, serials=frozenset({"8"})),
        "our serial, not trusted": report_of(answer(), beside=False, serials=frozenset({"7"})),
    }

    assert [each.active.signer for each in signers.values() if each.active] == [
        Signer.OURS,
        Signer.TRUSTED,
        Signer.UNKNOWN,
    ]
    assert [each.ours for each in signers.values()] == [True, False, False]


def test_that_we_do_not_know_a_signer_is_no_flaw() -> None:
    untrusted = {"code": "signingCredential.untrusted", "url": TRUSTED["url"]}

    report = report_of(answer(failure=[untrusted]), beside=False, serials=frozenset())

    assert (report.state, report.problems) == (State.VALID, ())


def test_changed_content_is_told_in_words() -> None:
    mismatch = {"code": "assertion.bmffHash.mismatch", "url": f"self#jumbf=/c2pa/{LABEL}/x"}

    report = report_of(
        answer(failure=[mismatch], validation_state="Invalid", success=[TRUSTED]), beside=True, serials=frozenset({"7"})
    )

    assert (report.state, report.problems, report.ours) == (State.INVALID, (CHANGED,), False)
    assert report.active is not None
    assert report.active.problems == (CHANGED,)


def test_a_failure_that_the_state_forgets_still_counts() -> None:
    odd = {"code": "assertion.something.new", "explanation": "what it is"}

    report = report_of(answer(failure=[odd]), beside=False, serials=frozenset())

    assert (report.state, report.problems) == (State.INVALID, ("assertion.something.new: what it is",))


def test_a_strangers_words_are_cut_and_cannot_steer_a_terminal() -> None:
    bad = "\x1b[2J" + "x" * 10_000
    facts = dict.fromkeys(("video", "provider", "model", "made_at", "prompt"), bad)
    manifest = {
        "claim_generator_info": [{"name": bad}],
        "signature_info": {"issuer": bad, "common_name": bad, "time": bad},
        "ingredients": [{"title": bad, "relationship": bad, "active_manifest": bad}],
        "assertions": [
            {"label": "org.rushes.generation", "data": facts},
            {"label": "c2pa.actions", "data": {"actions": [{"action": bad, "digitalSourceType": bad}]}},
        ],
    }
    failure = [{"code": bad, "explanation": bad, "url": bad}]

    report = report_of(answer(manifest=manifest, failure=failure), beside=False, serials=frozenset())

    said = json.dumps(asdict(report))
    assert bad[4:20] in said
    assert "\\u001b" not in said
    assert max(map(len, said.split('"'))) <= MAX_TEXT + 100


def test_a_ring_of_ingredients_ends() -> None:
    ring = [{"title": "itself", "active_manifest": LABEL}]

    report = report_of(answer(manifest={"ingredients": ring}), beside=False, serials=frozenset())

    assert len(report.manifests) == 1


@pytest.mark.parametrize("nonsense", [{"manifests": "x"}, {"manifests": {"a": 1}}, {"validation_results": 3}])
def test_an_answer_in_an_unknown_form_is_a_damaged_manifest(nonsense: dict[str, Any]) -> None:
    report = report_of(answer(**nonsense), beside=False, serials=frozenset())

    assert report.state is State.INVALID


def test_assertions_in_a_form_that_we_do_not_know_are_passed_over() -> None:
    odd: list[Any] = [
        {"label": "c2pa.actions", "data": []},
        {"label": "org.rushes.generation", "data": "x"},
        {"label": "other"},
    ]

    report = report_of(answer(manifest={"assertions": odd}), beside=False, serials=frozenset())

    assert report.active is not None
    assert (report.state, report.active.actions, report.active.model) == (State.VALID, (), None)
