"""The systemd units: what systemd itself says of them, offline."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).resolve().parents[3] / "systemd"
HIGHEST_EXPOSURE = {"edge-agent.service": 1.4, "cloud-sync.service": 1.4}

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")


@needs_systemd
@pytest.mark.parametrize("unit", sorted(HIGHEST_EXPOSURE))
def test_exposure_stays_low(unit):
    said = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", UNITS / unit],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    exposure = float(re.search(r"exposure level for \S+: ([\d.]+)", said).group(1))
    assert exposure <= HIGHEST_EXPOSURE[unit], said


@needs_systemd
@pytest.mark.parametrize("unit", sorted(path.name for path in UNITS.glob("*.s*t*") if path.suffix != ".conf"))
def test_systemd_has_nothing_to_say(unit, tmp_path):
    """A mistyped key is only a warning to systemd, and drops a protection: no output at all, then."""
    for path in UNITS.glob("*.s*"):
        text = path.read_text()
        (tmp_path / path.name).write_text(re.sub(r"/usr/bin/(edge-agent|cloud-sync)", "/bin/true", text))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / unit],
        capture_output=True,
        text=True,
        check=False,
    )
    complaints = [line for line in (done.stdout + done.stderr).splitlines() if str(tmp_path) in line]
    assert complaints == []


def test_the_agent_may_ask_whether_the_clock_is_in_step():
    text = (UNITS / "edge-agent.service").read_text()
    assert "SystemCallFilter=adjtimex" in text
    assert not re.search(r"^ProtectClock=yes", text, re.MULTILINE)


def test_the_socket_is_on_loopback_only():
    listens = re.findall(r"^Listen\w+=(.*)$", (UNITS / "edge-agent.socket").read_text(), re.MULTILINE)
    assert listens == ["127.0.0.1:1700"]
