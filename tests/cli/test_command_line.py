"""Help, completion, versions, exit statuses."""

from __future__ import annotations

import argparse
import subprocess
import sys

import pytest

import alpr_edge
from alpr_edge.cli import COMMANDS, build_parser, main


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
    heavy = ("pydantic", "paho", "sqlite3", "rich", "cryptography", "shapely", "serial", "lap")
    ours = (
        "pipeline",
        "console",
        "ledger",
        "placement",
        "exclusion.gate",
        "vision.tracker",
        "cli.run",
    )
    unwanted = heavy + tuple(f"alpr_edge.{name}" for name in ours)
    code = (
        "import sys; from alpr_edge.cli import main; status = main(['read', 'missing.jpg']); "
        "from alpr_edge.wiring.stills import make_still_reader; make_still_reader(); "
        f"print(status, [m for m in {unwanted} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1 []"


def test_a_command_alone_is_parsed_as_among_all():
    """Only the named command's module is loaded; its help is the one of the whole parser."""
    whole = subparsers(build_parser())
    assert set(COMMANDS) | {"completion"} == set(whole)
    for name in COMMANDS:
        alone = subparsers(build_parser((name,)))
        assert set(alone) == {name, "completion"}
        assert alone[name].format_help() == whole[name].format_help()


def subparsers(parser):
    """Name → parser of each command."""
    (found,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return found.choices
