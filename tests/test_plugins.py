"""Finding plugins: ours by file name, others by entry point, none imported before it is asked for."""

import subprocess
import sys
from pathlib import Path

import pytest

from rushes import plugins
from rushes.errors import ConfigError
from rushes.plugins import Plugin

METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed distribution `acme-rushes` with one good plugin, one broken, and one that takes our name."""
    (tmp_path / "acme_rushes.py").write_text("class Acme: ...\nPROVIDER = Acme\n", encoding="utf-8")
    (tmp_path / "acme_broken.py").write_text("raise RuntimeError('no luck')\n", encoding="utf-8")
    info = tmp_path / "acme_rushes-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(METADATA.format(name="acme-rushes"), encoding="utf-8")
    (info / "entry_points.txt").write_text(
        "[rushes.providers]\nacme = acme_rushes:PROVIDER\n"
        "broken = acme_broken:PROVIDER\nopenai = acme_rushes:PROVIDER\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)  # pyright: ignore[reportUnknownMemberType]
    return tmp_path


def found() -> dict[str, Plugin]:
    return plugins.find("rushes.providers", "rushes.providers", "PROVIDER")


def test_ours_are_the_modules_with_a_table_beside_them() -> None:
    ours = {name for name, plugin in found().items() if plugin.distribution is None}

    assert "openai" in ours
    assert not ours & {"base", "catalog", "prepare", "registry"}


def test_every_one_of_ours_can_be_loaded() -> None:
    for plugin in found().values():
        if plugin.distribution is None:
            assert isinstance(plugin.load(), type)


def test_others_come_by_entry_point(package: Path) -> None:
    acme = found()["acme"]

    assert acme.distribution == "acme-rushes"
    assert isinstance(acme.load(), type)


def test_nobody_can_take_the_name_of_one_of_ours(package: Path) -> None:
    assert found()["openai"] == Plugin("openai", "rushes.providers.openai:PROVIDER")


def test_a_broken_plugin_breaks_only_itself_and_names_its_owner(package: Path) -> None:
    broken = found()["broken"]

    with pytest.raises(ConfigError, match="broken of acme-rushes cannot be loaded: RuntimeError: no luck"):
        broken.load()


def test_a_slip_in_a_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no kind of provider 'opanai'\. Did you mean openai\?"):
        plugins.pick("opanai", found(), "kind of provider")


def test_a_name_far_from_all_is_answered_with_all() -> None:
    with pytest.raises(ConfigError, match=r"There are: .*openai"):
        plugins.pick("zzzzzzzz", found(), "provider")


def test_finding_imports_no_provider() -> None:
    code = (
        "import sys; from rushes import plugins; plugins.find('rushes.providers', 'rushes.providers', 'PROVIDER');"
        "print([name for name in sys.modules if name.startswith('rushes.providers.')])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
