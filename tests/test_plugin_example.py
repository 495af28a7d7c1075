"""The example of a provider from outside: installed as a package, used from the command line, held to the contract."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from examples.plugin.fake_papercut import FakePapercut

from tests.command_line import CommandLine
from tests.pages import FENCE, SHELLS, read_page

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "providers.md"
EXAMPLE = ROOT / "examples" / "plugin"
PROOF = ("fake_papercut.py", "test_papercut.py", "pyproject.toml")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the package was built and installed into, as `pip install` would."""
    target = tmp_path_factory.mktemp("installed")
    # Without the cache: uv takes a folder for unchanged as long as its pyproject.toml is.
    how = ["--quiet", "--no-cache", "--offline", "--no-deps", "--no-build-isolation"]
    where = ["--python", sys.executable, "--target", str(target)]
    done = subprocess.run(
        [sys.executable, "-m", "uv", "pip", "install", *how, *where, str(EXAMPLE)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def fake() -> Iterator[FakePapercut]:
    with FakePapercut() as fake:
        yield fake


@pytest.fixture
def rushes(installed: Path, fake: FakePapercut, tmp_path: Path) -> CommandLine:
    keys = {"PAPERCUT_API_KEY": fake.api_key, "PAPERCUT_BASE_URL": fake.base_url}
    return CommandLine(tmp_path, {**keys, "PYTHONPATH": str(installed)})


def test_only_the_provider_and_its_table_are_installed(installed: Path) -> None:
    names = {path.name for path in installed.glob("rushes_papercut/*") if path.is_file()}

    assert names == {"papercut.py", "papercut.toml"}


def test_its_models_are_listed_beside_ours(rushes: CommandLine) -> None:
    listed = rushes.run("models", "papercut", "--json")

    assert [row["id"] for row in json.loads(listed.stdout)] == [
        "papercut:video:cutout-1",
        "papercut:video:cutout-1-large",
    ]


def test_it_is_among_the_providers(rushes: CommandLine) -> None:
    listed = rushes.run("providers", "--no-check", "--json")

    rows = {row["provider"]: row for row in json.loads(listed.stdout)}
    assert rows["papercut"] == {"provider": "papercut", "usable": True, "key": True, "says": ""}
    assert "openai" in rows


def test_a_film_whose_first_answer_is_lost_is_paid_once_at_the_price_that_was_shown(
    rushes: CommandLine, fake: FakePapercut
) -> None:
    options = ("-m", "papercut:video:cutout-1", "--size", "640x360", "--seconds", "2", "--extra", "paper=tissue")
    fake.faults.set("create", ["reset-accepted"])

    made = rushes.run("generate", "A fox in a paper forest", *options)

    assert made.returncode == 0, made.stderr
    assert "2 s, 640x360, $0.08" in made.stderr
    assert fake.book.creates == 2
    assert [entry.usd for entry in fake.book.entries] == [Decimal("0.08")]
    [remote_id] = fake.jobs
    assert Path(made.stdout.strip()).read_bytes() == fake.content_of(remote_id)
    assert json.loads(fake.requests[0].body)["paper"] == "tissue"


def test_it_keeps_the_contract(installed: Path, tmp_path: Path) -> None:
    for name in PROOF:
        shutil.copy(EXAMPLE / name, tmp_path)

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout


def test_the_page_about_it_shows_its_code_as_it_is() -> None:
    files = [path.read_text(encoding="utf-8") for path in EXAMPLE.rglob("*") if path.suffix in (".py", ".toml")]

    shown = [body for language, body in FENCE.findall(PAGE.read_text(encoding="utf-8")) if language not in SHELLS]

    assert len(shown) >= 5
    assert [body for body in shown if not any(body in file for file in files)] == []


def test_the_commands_of_the_page_about_it_work(rushes: CommandLine) -> None:
    page = read_page(PAGE.read_text(encoding="utf-8"))

    said = [rushes.run(*words) for words in page.commands]

    assert page.unknown == ()
    assert [each.stderr for each in said if each.returncode != 0] == []
    assert "$0.08" in said[-1].stderr


def test_broken_packages_take_nothing_from_the_others(rushes: CommandLine, tmp_path: Path) -> None:
    broken = {
        "missing": ("acme_rushes.acme:PROVIDER", "No module named 'acme_rushes'"),
        "nameless": ("json.decoder:PROVIDER", "cannot be loaded"),
        "other": ("json.decoder:JSONDecoder", "names json.decoder:JSONDecoder: no Provider"),
    }
    info = tmp_path / "acme_rushes-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-rushes\nVersion: 1.0\n", encoding="utf-8")
    points = "\n".join(f"{name} = {target}" for name, (target, _) in broken.items())
    (info / "entry_points.txt").write_text(f"[rushes.providers]\n{points}\n", encoding="utf-8")
    rushes.env["PYTHONPATH"] += os.pathsep + str(tmp_path)

    listed = rushes.run("providers", "--no-check", "--json")
    models = rushes.run("models")

    says = {row["provider"]: row["says"] for row in json.loads(listed.stdout)}
    assert [name for name, (_, words) in broken.items() if words not in says[name]] == []
    assert models.returncode == 0
    assert "papercut:video:cutout-1" in models.stdout
    assert models.stderr.count("plugin.table_unreadable") == len(broken)
