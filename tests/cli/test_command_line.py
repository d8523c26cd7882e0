"""Help, completion, versions, exit statuses."""

from __future__ import annotations

import subprocess
import sys

import pytest

import alpr_edge
from alpr_edge.cli import main


def run(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "alpr_edge", *args], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("command", ["", "read", "run", "demo", "config check", "models verify"])
def test_help_has_a_usage(command):
    done = run(*command.split(), "--help")
    assert done.returncode == 0
    assert "usage: alpr-edge" in done.stdout


def test_version():
    assert alpr_edge.__version__ in run("--version").stdout


@pytest.mark.parametrize("args", [[], ["fly"], ["read"], ["read", "--threads", "0", "x.jpg"]])
def test_wrong_usage_is_status_2(args):
    assert run(*args).returncode == 2


def test_bash_completion_is_valid_and_knows_the_commands():
    script = run("completion", "bash").stdout
    checked = subprocess.run(["bash", "-n"], input=script, text=True, check=False)
    assert checked.returncode == 0
    for word in ("read", "run", "demo", "--jsonl", "--masks"):
        assert word in script


def test_models_verify(capsys):
    assert main(["models", "verify"]) == 0
    assert capsys.readouterr().out.count(" ok ") == 2


def test_models_of_another_folder_are_refused(tmp_path, capsys):
    assert main(["models", "verify", "--folder", str(tmp_path)]) == 1
    assert "vision.manifest.missing" in capsys.readouterr().err


def test_config_check_of_the_street(repository, capsys):
    assert main(["config", "check", str(repository / "configs/devices/street.toml")]) == 0
    assert "ok" in capsys.readouterr().out


def test_config_check_says_every_problem(tmp_path, capsys):
    bad = tmp_path / "bad.toml"
    bad.write_text('[device]\nid = "a b"\n[detector]\nmin_score = 1.7\ncolour = 1\n')
    assert main(["config", "check", str(bad)]) == 2
    told = capsys.readouterr().err
    for part in ("device.id", "device.site", "detector.min_score", "detector.colour", "mqtt"):
        assert part in told


def test_reading_loads_no_config_or_network_library():
    """Start-up of `read` stays light: pydantic and paho are for devices."""
    heavy = ("pydantic", "paho", "sqlite3", "rich", "cryptography", "shapely")
    code = (
        "import sys; from alpr_edge.wiring.stills import make_still_reader; make_still_reader(); "
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
