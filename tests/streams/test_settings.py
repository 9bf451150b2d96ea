"""Settings and where they come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.engine.partition import Partition
from streams.settings import CONFIG_VARIABLE, Settings, SettingsError, load_settings


@pytest.fixture(autouse=True)
def no_config(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, "")


def test_options_win_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "worker.toml"
    file.write_text('app_id = "file"\nmax_backlog = 7\nhttp_port = 1234\nmodels = ["seismic"]\n')
    monkeypatch.setenv("CASCADECAST_APP_ID", "environment")
    monkeypatch.setenv("CASCADECAST_MAX_BACKLOG", "8")
    settings = load_settings(file, app_id="option", bootstrap_servers=None)
    assert (settings.app_id, settings.max_backlog, settings.http_port) == ("option", 8, 1234)
    assert settings.models == ("seismic",)


def test_models_are_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASCADECAST_MODELS", "concat@champion, hawkes,")
    assert load_settings().models == ("concat@champion", "hawkes")


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("forecast_delay_seconds", -1, "forecast_delay_seconds"),
        ("models", "", "models"),
        ("horizon_seconds", "tomorrow", "CASCADECAST_HORIZON_SECONDS"),
        ("app_id", "no spaces please", "app_id"),
        ("horizon_seconds", 30, "below horizon_seconds"),
    ],
)
def test_a_value_that_cannot_be_meant_is_named(option: str, value: object, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as error:
        load_settings(**{option: value})  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_a_misspelt_key_of_the_file_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "worker.toml"
    file.write_text("horizont_seconds = 3600\n")
    with pytest.raises(SettingsError, match="horizont_seconds: did you mean horizon_seconds"):
        load_settings(file)


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    file = tmp_path / "worker.toml"
    file.write_text("horizon_seconds: 3600\n")
    with pytest.raises(SettingsError, match=r"worker.toml: not valid TOML"):
        load_settings(file)
    with pytest.raises(SettingsError, match="cannot read"):
        load_settings(tmp_path / "missing.toml")


def test_every_setting_says_what_it_means() -> None:
    self_explaining = {
        "bootstrap_servers", "app_id", "topic_prefix", "batch_max_events", "inference_batch", "inference_threads",
        "http_host", "http_port", "log_level", "log_format",
    }  # fmt: skip
    for name, field in Settings.model_fields.items():
        assert field.description or name in self_explaining, name


def test_partitions_of_a_topic_share_the_bound_on_bytes() -> None:
    settings = Settings(memory_limit_bytes=1_000_000_000)
    few, many = (Partition(0, settings.of_partitions(count)).store.max_bytes for count in (2, 8))
    assert (few, many) == (500_000_000, 125_000_000)
