"""Settings: where they come from, who wins, and how a slip is answered."""

from pathlib import Path
from typing import Any

import pytest

from rushes.config import VARIABLES, ProviderSettings, Settings, load, nearest
from rushes.errors import ConfigError


def loaded(folder: Path, environment: dict[str, str] | None = None, **more: Any) -> Settings:
    return load(environment={"RUSHES_HOME": str(folder / "home"), **(environment or {})}, folder=folder, **more)


def write(folder: Path, text: str, name: str = "rushes.toml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


# -- where it comes from -------------------------------------------------------------------------------------------


def test_without_anything_written_everything_lies_in_the_home(tmp_path: Path) -> None:
    settings = loaded(tmp_path)

    assert settings.home == tmp_path / "home"
    assert settings.database_url == f"sqlite:///{tmp_path / 'home' / 'rushes.db'}"
    assert settings.media_url == str(tmp_path / "home" / "media")
    assert settings.log_level == "warning"
    assert settings.defaults.order == ("openai", "azure", "zai")
    assert settings.config_path is None


def test_the_working_folders_file_comes_before_the_homes(tmp_path: Path) -> None:
    write(tmp_path / "home", 'log_level = "error"')
    assert loaded(tmp_path).log_level == "error"

    write(tmp_path, 'log_level = "info"')
    assert loaded(tmp_path).log_level == "info"


def test_a_file_can_be_named(tmp_path: Path) -> None:
    path = write(tmp_path, 'log_level = "debug"', "other.toml")

    assert loaded(tmp_path, config=path).log_level == "debug"
    assert loaded(tmp_path, {"RUSHES_CONFIG": str(path)}).config_path == path
    with pytest.raises(ConfigError, match=r"missing\.toml: no such file"):
        loaded(tmp_path, config=tmp_path / "missing.toml")


def test_nearer_sources_win(tmp_path: Path) -> None:
    write(tmp_path, 'media_url = "from-file"')
    assert loaded(tmp_path).media_url == "from-file"

    write(tmp_path, "RUSHES_MEDIA_URL=from-dotenv", ".env")
    assert loaded(tmp_path).media_url == "from-dotenv"
    assert loaded(tmp_path, {"RUSHES_MEDIA_URL": "from-environment"}).media_url == "from-environment"
    assert loaded(tmp_path, {"RUSHES_MEDIA_URL": "from-environment"}, media_url="said").media_url == "said"


def test_the_real_environment_wins_over_the_env_file(tmp_path: Path) -> None:
    write(tmp_path, "OPENAI_API_KEY=from-dotenv\nZAI_API_KEY=only-there", ".env")

    settings = loaded(tmp_path, {"OPENAI_API_KEY": "from-environment"})

    assert settings.variable("OPENAI_API_KEY") == "from-environment"
    assert settings.variable("ZAI_API_KEY") == "only-there"


def test_an_env_file_can_be_named_and_must_then_exist(tmp_path: Path) -> None:
    path = write(tmp_path, "OPENAI_API_KEY=sk", "prod.env")

    assert loaded(tmp_path, env_file=path).variable("OPENAI_API_KEY") == "sk"
    with pytest.raises(ConfigError, match=r"missing\.env: no such file"):
        loaded(tmp_path, env_file=tmp_path / "missing.env")


def test_a_blank_variable_counts_as_not_set(tmp_path: Path) -> None:
    settings = loaded(tmp_path, {"OPENAI_API_KEY": "  ", "OTHER_KEY": "sk"})

    assert settings.variable("OPENAI_API_KEY") is None
    assert settings.variable("OPENAI_API_KEY", "OTHER_KEY") == "sk"


@pytest.mark.parametrize(
    ("environment", "level"),
    [
        ({"LOG_LEVEL": "DEBUG"}, "debug"),
        ({"LOG_LEVEL": "debug", "RUSHES_LOG_LEVEL": "error"}, "error"),
    ],
)
def test_the_level_of_the_log(environment: dict[str, str], level: str, tmp_path: Path) -> None:
    assert loaded(tmp_path, environment).log_level == level


def test_an_unknown_level_is_answered_with_the_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'loud' is not a log level\. Use one of: debug, info"):
        loaded(tmp_path, {"LOG_LEVEL": "loud"})


def test_the_model_and_the_certificates_can_come_from_variables(tmp_path: Path) -> None:
    write(tmp_path, '[defaults]\nmodel = "draft"\n[network]\nallow_hosts = ["bucket.local"]')

    settings = loaded(tmp_path, {"RUSHES_MODEL": "zai:video:cogvideox-3", "RUSHES_CA_FILE": "/ca.pem"})

    assert settings.defaults.model == "zai:video:cogvideox-3"
    assert (settings.network.ca_file, settings.network.allow_hosts) == ("/ca.pem", ("bucket.local",))


# -- slips ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wrong", "meant"),
    [
        ("hoem = '/x'", "hoem", "home"),
        ("[default]\nmodel = 'draft'", "default", "defaults"),
        ("[defaults]\nmodle = 'draft'", "defaults.modle", "model"),
        ("[network]\nallow_host = ['x']", "network.allow_host", "allow_hosts"),
        ("[limits]\nvideo_gb = 1", "limits.video_gb", "video_mb"),
    ],
)
def test_an_unknown_name_is_answered_with_the_file_the_place_and_the_nearest(
    text: str, wrong: str, meant: str, tmp_path: Path
) -> None:
    path = write(tmp_path, text)

    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path)

    assert str(refused.value) == f"{path}: {wrong} is not a setting. Did you mean {meant}?"


def test_a_name_far_from_all_is_answered_with_all(tmp_path: Path) -> None:
    write(tmp_path, "[limits]\nqqqq = 1")

    with pytest.raises(ConfigError, match="Known here: input_mb, input_megapixels, video_mb"):
        loaded(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[limits]\nvideo_mb = -1", "limits.video_mb"),
        ("[providers.x]\npoll_interval_ms = 'soon'", "providers.x.poll_interval_ms"),
        ("[providers.x]\non_unknown = 'panic'", "providers.x.on_unknown"),
        ("[defaults]\ncache = 'maybe'", "defaults.cache"),
        ("home = ", "not valid TOML"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(text: str, words: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)

    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path)

    assert words in str(refused.value)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("RUSHES_HOEM", "RUSHES_HOME"),
        ("RUSHES_MEDIA", "RUSHES_MEDIA_URL"),
        ("RUSHES_DATABSE_URL", "RUSHES_DATABASE_URL"),
    ],
)
def test_an_unknown_variable_of_ours_is_answered_with_the_nearest(name: str, meant: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"{name} is not a setting of rushes. Did you mean {meant}"):
        loaded(tmp_path, {name: "x"})


def test_an_unknown_variable_in_the_env_file_is_a_slip_too(tmp_path: Path) -> None:
    write(tmp_path, "RUSHES_HOEM=/x", ".env")

    with pytest.raises(ConfigError, match="Did you mean RUSHES_HOME"):
        loaded(tmp_path)


def test_variables_of_others_are_their_business(tmp_path: Path) -> None:
    loaded(tmp_path, {"PATH": "/bin", "OPENAI_WHATEVER": "x"})


def test_every_variable_says_what_it_does() -> None:
    assert all(name.startswith("RUSHES_") and words for name, words in VARIABLES.items())


@pytest.mark.parametrize(("name", "found"), [("hom", "home"), ("homes", "home"), ("zzz", None)])
def test_the_nearest_name(name: str, found: str | None) -> None:
    assert nearest(name, ["home", "media_url"]) == found


# -- keys ----------------------------------------------------------------------------------------------------------


def test_a_key_in_the_file_is_not_shown_by_accident(tmp_path: Path) -> None:
    write(tmp_path, '[providers.mybox]\nkind = "openai"\napi_key = "sk-secret"')

    settings = loaded(tmp_path, {"OPENAI_API_KEY": "sk-other"})

    key = settings.provider("mybox").api_key
    assert key is not None
    assert key.get_secret_value() == "sk-secret"
    assert "sk-secret" not in repr(settings) + str(settings)
    assert "sk-other" not in repr(settings) + str(settings)


def test_a_provider_keeps_names_of_its_own_for_itself_to_check(tmp_path: Path) -> None:
    write(tmp_path, '[providers.openai]\norganization = "org-1"\nbase_url = "http://box"')

    section = loaded(tmp_path).provider("openai")

    assert dict(section.own) == {"organization": "org-1"}
    assert section.base_url == "http://box"


def test_a_provider_without_a_section_has_the_usual_one(tmp_path: Path) -> None:
    assert loaded(tmp_path).provider("openai") == ProviderSettings()
