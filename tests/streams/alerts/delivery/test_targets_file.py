"""The targets file: what is wrong is named by file and key, and no secret stands in it or is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.alerts.delivery.metrics import DeliveryMetrics
from streams.alerts.delivery.senders import new_sender
from streams.alerts.delivery.targets_file import TargetsError, TargetsFile, read_targets
from streams.alerts.records import Severity

SECRET = "tell nobody"


def read(tmp_path: Path, text: str) -> TargetsFile:
    file = tmp_path / "targets.toml"
    file.write_text(text)
    return read_targets(file)


def test_every_kind_of_target_is_read_with_its_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "password").write_text(f"{SECRET}\n")
    monkeypatch.setenv("SLACK_URL", f"https://hooks.example.org/{SECRET.replace(' ', '-')}")
    found = read(
        tmp_path,
        f"""
        [links]
        default = "https://example.org/{{cascade}}"

        [targets.oncall]
        type = "alertmanager"
        urls = ["http://am-1:9093", "https://am-2/alertmanager/"]
        username = "cascadecast"
        password_file = "{tmp_path / "password"}"
        severities = ["critical"]

        [targets.archive]
        type = "webhook"
        url = "https://example.org/alerts"
        rules = ["GoesViral"]

        [targets.newsroom]
        type = "slack"
        url_env = "SLACK_URL"
        """,
    )
    assert [(one.name, one.target.type, sorted(one.secrets)) for one in found.targets] == [
        ("oncall", "alertmanager", ["password"]),
        ("archive", "webhook", []),
        ("newsroom", "slack", ["url"]),
    ]
    assert found.targets[0].secrets["password"] == SECRET
    assert SECRET not in repr(found)
    assert found.links.link("a b", None) == "https://example.org/a%20b"
    oncall, archive, _ = (one.target for one in found.targets)
    assert oncall.wants("any", Severity.CRITICAL)
    assert not oncall.wants("any", Severity.WARNING)
    assert not archive.wants("Another", Severity.CRITICAL)


WEBHOOK = '[targets.a]\ntype = "webhook"\nurl = "http://h/"\n'
ALERTMANAGER = '[targets.a]\ntype = "alertmanager"\nurls = ["http://h/"]\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", r"there is no \[targets.NAME\] table"),
        ("targets = 3", "targets: "),
        ("[targets", "not valid TOML"),
        ("[target.a]\n" + WEBHOOK, "target: there is no such key: did you mean targets"),
        ('[targets."a b"]\ntype = "slack"', r"targets\.a b"),
        ("[targets.a]\n", "targets.a: type is missing"),
        ('[targets.a]\ntype = "pigeon"', "targets.a: there is no such type: alertmanager, webhook, slack"),
        ('[targets.a]\ntype = "webhook"', "targets.a.url: Field required"),
        (WEBHOOK + "retry_second = 3", "targets.a.retry_second: there is no such key: did you mean retry_seconds"),
        (WEBHOOK + "timeout_seconds = 0", "targets.a.timeout_seconds: Input should be greater than 0"),
        (WEBHOOK + 'severities = ["loud"]', "targets.a.severities.0"),
        (WEBHOOK + f'secret = "{SECRET}"', "targets.a.secret: a secret never stands in this file; give secret_file"),
        (WEBHOOK + 'secret_file = "k"\nsecret_env = "K"', "targets.a: give secret_file or secret_env, not both"),
        (WEBHOOK + 'secret_file = "/nowhere"', "targets.a.secret_file: cannot read /nowhere: No such file"),
        (WEBHOOK + 'secret_env = "NOT_SET"', "the environment variable NOT_SET is empty; it must hold the secret"),
        (WEBHOOK.replace("http://h/", f"http://me:{SECRET}@h/"), "targets.a.url: holds a name or password"),
        (WEBHOOK.replace("http://h/", "http://h:99999/"), "targets.a.url: Port out of range"),
        (WEBHOOK + 'secret_file = "a\\u0000b"', "targets.a.secret_file: cannot read"),
        (WEBHOOK + 'bearer_env = "TWO_LINES"', "targets.a: TWO_LINES holds more than one line"),
        (WEBHOOK.replace("http", "ftp"), "targets.a.url: not an http:// or https:// URL"),
        (ALERTMANAGER + "expire_seconds = 60", "targets.a: expire_seconds must be at least 3 times resend_seconds"),
        (ALERTMANAGER + 'states = ["opened"]', "targets.a: states must hold opened and resolved"),
        (ALERTMANAGER + 'username = "me"', "targets.a: username needs password_file"),
        (
            ALERTMANAGER + 'username = "me"\npassword_env = "P"\nbearer_env = "B"',
            "username or a bearer token, not both",
        ),
        ('[targets.a]\ntype = "slack"', "targets.a: url_file or url_env is missing"),
        ('[links]\nx = "https://h/"\n' + WEBHOOK, "links.x: {cascade} is missing"),
        ('[links]\nx = "https://h/{post}"\n' + WEBHOOK, "links.x: not an http"),
        ('[links]\nx = "{cascade}"\n' + WEBHOOK, "links.x: not an http"),
        ('[links]\nx = "https://h/{cascade.__class__}"\n' + WEBHOOK, "links.x: not an http"),
        ('[links]\nx = "https://h/{cascade!r:>9}"\n' + WEBHOOK, "links.x: not an http"),
    ],
)
def test_what_is_wrong_is_one_line_with_file_and_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    monkeypatch.delenv("NOT_SET", raising=False)
    monkeypatch.setenv("TWO_LINES", f"{SECRET}\n{SECRET}")
    with pytest.raises(TargetsError, match=says) as error:
        read(tmp_path, text)
    told = str(error.value)
    assert told.startswith(f"{tmp_path / 'targets.toml'}: ")
    assert "\n" not in told
    assert SECRET not in told


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TargetsError, match=r"nowhere.toml: cannot read the targets file: No such file"):
        read_targets(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("more", "content", "says"),
    [
        ("ca_file", "no certificate", "targets.a.ca_file: cannot use"),
        ("secret_file", "whsec_no base64", "targets.a.secret_file or secret_env: what follows whsec_ is not base64"),
    ],
)
def test_what_a_file_holds_is_looked_at_before_anything_starts(
    tmp_path: Path, more: str, content: str, says: str
) -> None:
    held = tmp_path / "held"
    held.write_text(content)
    found = read(tmp_path, WEBHOOK + f'{more} = "{held}"')
    with pytest.raises(TargetsError, match=says):
        new_sender(found.targets[0], found.links, DeliveryMetrics().of("a"), tmp_path / "targets.toml")


def test_the_url_of_slack_is_looked_at_too(tmp_path: Path) -> None:
    held = tmp_path / "held"
    held.write_text(SECRET)
    found = read(tmp_path, f'[targets.a]\ntype = "slack"\nurl_file = "{held}"')
    with pytest.raises(TargetsError, match=r"targets\.a\.url_file or url_env: it does not hold an http") as error:
        new_sender(found.targets[0], found.links, DeliveryMetrics().of("a"), tmp_path / "targets.toml")
    assert SECRET not in str(error.value)
