"""``make audit``: known vulnerabilities of the installed packages. Exit code 1 when there are any.

Asks the advisory service of PyPI by pip-audit. Where that cannot be reached it says so and compares with
``.ci/advisories.toml``, which knows only what was known on its day.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import Version

ADVISORIES = Path(__file__).with_name("advisories.toml")
PATIENCE_SECONDS = 300

CANARY = "urllib3==1.24.1"
"""Has had known faults for years: whoever knows none of them knows nothing."""


def pip_audit(*arguments: str) -> list[dict[str, Any]]:
    """What pip-audit says of each package. Raises OSError with its last words where it could not ask."""
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off", "--timeout", "15"]
    try:
        run = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )
        packages: list[dict[str, Any]] = json.loads(run.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        raise OSError(f"no answer within {PATIENCE_SECONDS} s") from None
    except (ValueError, KeyError):
        said = (run.stderr or run.stdout).strip().splitlines()
        raise OSError(said[-1] if said else f"pip-audit ended with {run.returncode}") from None
    return packages


def ask_service() -> list[str]:
    """Faults of the installed packages. Raises OSError where the service cannot be reached or knows nothing."""
    with tempfile.TemporaryDirectory() as scratch:
        requirements = Path(scratch) / "requirements.txt"
        requirements.write_text(CANARY + "\n")
        (canary,) = pip_audit("--disable-pip", "--no-deps", "--requirement", str(requirements))
    if not canary.get("vulns"):  # a mirror of packages without advisories would call everything sound
        raise OSError(canary.get("skip_reason", f"it knows of no fault of {CANARY}, which has some"))
    return [
        f"{package['name']} {package['version']}: {fault['id']}, fixed in {', '.join(fault['fix_versions']) or '?'}"
        for package in pip_audit("--skip-editable")
        for fault in package.get("vulns", [])
    ]


def compare_offline() -> tuple[list[str], str]:
    """Installed packages with faults that the list names, and the day of the list."""
    known = tomllib.loads(ADVISORIES.read_text(encoding="utf-8"))
    found = []
    for package in distributions():
        name = canonicalize_name(package.metadata["Name"])
        fixed_in, fault = known["fixed_in"].get(name, (None, ""))
        if fixed_in is not None and Version(package.version) < Version(fixed_in):
            found.append(f"{name} {package.version}: {fault}, fixed in {fixed_in}")
    return sorted(found), known["as_of"]


def main() -> int:
    """Print what was found and how it was looked for."""
    try:
        found, how = ask_service(), "by the advisory service of PyPI"
    except OSError as error:
        found, day = compare_offline()
        how = f"by a list of {day}: newer advisories are not in it"
        print(f"the advisory service cannot be asked ({error}); compared with {ADVISORIES.name} instead")
    for line in found:
        print(line)
    print(f"{len(found) or 'no'} known vulnerabilities, {how}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
