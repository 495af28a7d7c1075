"""The container files, as far as they can be judged without an engine: what they run exists, what they say holds."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from rushes.config import VARIABLES
from rushes.jobs.worker import DRAIN_S
from tests.test_operations_pages import check

ROOT = Path(__file__).resolve().parent.parent


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, each with the rest of its line."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [(line.partition(" ")[0], line.partition(" ")[2].strip()) for line in lines if line.strip()]


def last_stage() -> list[tuple[str, str]]:
    every = instructions()
    begins = max(n for n, each in enumerate(every) if each[0] == "FROM")
    return every[begins:]


def value_of(name: str) -> str:
    return [rest for each, rest in last_stage() if each == name][-1]


@pytest.fixture(scope="module")
def compose() -> Any:
    return yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))


def seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+)s", text)
    assert found, text
    return float(found[1])


# -- the image ---------------------------------------------------------------------------------------------------------


def test_the_image_runs_a_worker_as_an_ordinary_user_who_drains_on_sigterm() -> None:
    entry, default = json.loads(value_of("ENTRYPOINT")), json.loads(value_of("CMD"))

    check(shlex.join([*entry, *default]))
    assert (entry, default) == (["rushes"], ["worker"])
    assert int(value_of("USER").partition(":")[0]) > 0
    assert value_of("STOPSIGNAL") == "SIGTERM"


def test_the_image_keeps_its_home_in_a_volume_and_names_only_variables_that_there_are() -> None:
    env = {pair.partition("=")[0]: pair.partition("=")[2] for pair in value_of("ENV").split()}

    assert env["RUSHES_HOME"] == value_of("VOLUME") == value_of("WORKDIR")
    assert {name for name in env if name.startswith("RUSHES_")} <= VARIABLES.keys()


def test_the_image_asks_by_a_command_that_there_is_whether_a_worker_could_work() -> None:
    probe = json.loads(value_of("HEALTHCHECK").partition("CMD ")[2])

    check(shlex.join(probe))
    assert "--check" in probe


def test_what_is_needed_to_install_stays_behind() -> None:
    last = " ".join(f"{name} {rest}" for name, rest in last_stage())

    assert not re.search(r"\bpip\b|\buv\b|apt|gcc|\bADD\b", last)
    assert [rest for name, rest in last_stage() if name == "COPY"] == ["--from=build /opt/rushes /opt/rushes"]


def test_the_image_is_installed_with_the_pinned_versions() -> None:
    [install] = [rest for name, rest in instructions() if name == "RUN" and "uv pip install" in rest]

    assert "--constraint constraints.txt" in install
    assert "'.[azure,otel]'" in install


def test_the_build_sees_what_it_copies_and_nothing_else() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    copied = {
        word.removeprefix("./")
        for name, rest in instructions()
        if name == "COPY" and "--from" not in rest
        for word in rest.split()[:-1]
    }

    assert "*" in ignored
    assert copied == let_in
    assert all((ROOT / name).exists() for name in copied)


def test_images_come_by_plain_names(compose: Any) -> None:
    bases = [rest.split()[0] for name, rest in instructions() if name == "FROM"]
    images = [service["image"] for service in compose["services"].values()]

    assert not [name for name in (*bases, *images) if "." in name.partition("/")[0] and "/" in name]


# -- the composition ---------------------------------------------------------------------------------------------------


def test_two_workers_wait_for_a_healthy_database_and_are_given_the_time_to_drain(compose: Any) -> None:
    worker, db = compose["services"]["worker"], compose["services"]["db"]

    assert worker["deploy"]["replicas"] >= 2
    assert worker["depends_on"]["db"]["condition"] == "service_healthy"
    assert "pg_isready" in db["healthcheck"]["test"]
    assert seconds(worker["stop_grace_period"]) >= DRAIN_S + 15
    assert worker["env_file"] == ".env"


def test_no_secret_is_written_into_the_composition(compose: Any) -> None:
    for service in compose["services"].values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|KEY|SECRET|DATABASE_URL", name):
                assert "${POSTGRES_PASSWORD:?" in value, name


def test_what_lasts_is_in_named_volumes_and_the_bucket_is_a_choice(compose: Any) -> None:
    services = compose["services"]
    used = {volume.partition(":")[0] for service in services.values() for volume in service["volumes"]}

    assert used == compose["volumes"].keys()
    assert [name for name, service in services.items() if "profiles" in service] == ["bucket"]
    assert set(services["worker"]["environment"]) <= VARIABLES.keys()


def test_the_gateway_is_reached_from_this_machine_alone_until_somebody_says_otherwise(compose: Any) -> None:
    gateway = compose["services"]["gateway"]

    check(shlex.join(["rushes", *gateway["command"]]))
    assert gateway["command"][0] == "serve"
    assert gateway["ports"] == ["${GATEWAY_ADDRESS:-127.0.0.1:8000}:8000"]
    assert "/ready" in gateway["healthcheck"]["test"][-1]
    compile(gateway["healthcheck"]["test"][-1], "healthcheck", "exec")
    assert "8000" in value_of("EXPOSE")
