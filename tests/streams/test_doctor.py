"""The doctor finds what is missing, names the mend, and never trips over what it examines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from typer.testing import CliRunner

from streams import doctor
from streams.cli import doctor as doctor_command
from streams.doctor import Finding, Verdict

RELEASES = st.lists(st.integers(0, 30), min_size=1, max_size=3).map(lambda parts: ".".join(map(str, parts)))
BOUNDS = st.lists(st.tuples(st.sampled_from([">=", "<=", "==", "!=", "<", ">"]), RELEASES), max_size=3)


@given(RELEASES, BOUNDS)
def test_bounds_mean_what_pip_takes_them_for(version: str, bounds: list[tuple[str, str]]) -> None:
    text = ",".join(sign + release for sign, release in bounds)
    assert doctor.within(version, text) == SpecifierSet(text).contains(Version(version))


def test_local_versions_count_as_their_release() -> None:
    assert doctor.within("2.13.0+cpu", "<2.14,>=2.6")


def test_what_is_required_is_read_from_the_package_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.importlib, "import_module", lambda name: None)  # torch alone takes seconds
    names = {finding.check for finding in doctor.check_dependencies()}
    assert {"confluent-kafka", "faust-streaming", "torch", "rocksdict"} <= names
    assert "pytest" not in names


@pytest.mark.parametrize(
    ("requirement", "verdict", "mend"),
    [
        ("msgspec>=0.1", Verdict.OK, ""),
        ("msgspec<0.1", Verdict.MISSING, "pip install 'msgspec<0.1'"),
        ("no-such-package>=1", Verdict.MISSING, "pip install 'no-such-package>=1'"),
    ],
)
def test_requirements(requirement: str, verdict: Verdict, mend: str) -> None:
    finding = doctor.check_requirement(requirement)
    assert (finding.verdict, finding.mend) == (verdict, mend)


def test_a_machine_without_java_and_maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert doctor.check_java() == Finding(
        "java", Verdict.MISSING, "no Java found", "apt install openjdk-17-jre-headless"
    )
    assert doctor.check_maven().verdict is Verdict.MISSING
    assert doctor.check_jars().verdict is Verdict.NOTE


def test_a_full_disk_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.check_disk(tmp_path / "not" / "there" / "yet").found.endswith(str(tmp_path))
    monkeypatch.setattr(doctor, "NEEDED_DISK_BYTES", 1 << 80)
    assert doctor.check_disk(tmp_path).verdict is Verdict.MISSING


def test_the_store_opens_here() -> None:
    assert doctor.check_rocksdict().verdict is Verdict.OK


def test_an_unreachable_broker_is_a_finding() -> None:
    finding = doctor.check_broker("127.0.0.1:1")
    assert finding.verdict is Verdict.MISSING
    assert "127.0.0.1:1" in finding.found


def test_a_check_that_raises_is_a_finding() -> None:
    def check_broken() -> Finding:
        raise OSError("libfoo.so: cannot open")

    finding = doctor._guarded(check_broken)
    assert (finding.check, finding.verdict) == ("broken", Verdict.MISSING)
    assert "libfoo.so" in finding.found


@pytest.mark.parametrize(("verdicts", "code"), [((Verdict.OK, Verdict.NOTE), 0), ((Verdict.OK, Verdict.MISSING), 1)])
def test_exit_code_and_output(monkeypatch: pytest.MonkeyPatch, verdicts: tuple[Verdict, ...], code: int) -> None:
    findings = [Finding(f"check {number}", verdict, "[found]", "mend") for number, verdict in enumerate(verdicts)]
    monkeypatch.setattr(doctor, "examine", lambda bootstrap_servers: findings)
    app = typer.Typer()
    doctor_command.register(app)
    table = CliRunner().invoke(app, [])
    assert table.exit_code == code
    assert "[found]" in table.output
    printed = CliRunner().invoke(app, ["--json"])
    assert printed.exit_code == code
    assert [row["verdict"] for row in json.loads(printed.stdout)["results"]] == list(verdicts)


def test_a_mend_can_be_copied_from_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    mend = "apt install openjdk-17-jre-headless"
    findings = [Finding("java", Verdict.MISSING, "no Java found", mend), Finding("maven", Verdict.OK, "x" * 90, "")]
    monkeypatch.setattr(doctor, "examine", lambda bootstrap_servers: findings)
    monkeypatch.setenv("COLUMNS", "60")
    app = typer.Typer()
    doctor_command.register(app)
    assert f"\njava: {mend}\n" in CliRunner().invoke(app, []).output
