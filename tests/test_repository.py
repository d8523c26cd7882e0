"""What may and may not stand in the repository. Looks at the files git tracks or would track.

The patterns are written in pieces so that this file does not match itself.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

FORBIDDEN = {
    "an address of a package index": "index" + "-url|https?://[^ ]*/simp" + "le|py" + "pi\\.org|"
    "pythonho" + 'sted\\.org|"resolved": *"http|^registry *=',
    "a path of one machine": r"(^|[^.\w])/(wo"
    + "rk|ro"
    + r"ot|home/\w+|opt/(py"
    + "pi|whe"
    + "els))/",
    "a path outside the repository": r"\.\./sha" + "red",
    "a private key": "-----BEGIN [A-Z ]*PRIV" + "ATE KEY",
    "a merge mark": "^(<{7}|>{7}) ",
}
EXEMPT = {".ci/run": {"a path outside the repository"}}
"""`.ci/run` is the one place that says where the real photos lie beside the checkout."""

NEVER = {".ttf", ".otf", ".woff", ".woff2", ".pt", ".pth", ".ckpt", ".pem", ".key", ".p12", ".whl"}
PICTURES = {".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".mp4", ".avi", ".mkv"}
IMPORT_NAMES = {
    "opencv-python-headless": "cv2",
    "paho-mqtt": "paho",
    "pyjwt": "jwt",
    "python-docx": "docx",
    "pyserial": "serial",
    "prometheus-client": "prometheus_client",
    "prompt-toolkit": "prompt_toolkit",
}
PARTS = {
    "annotated_types": "pydantic",
    "pydantic_core": "pydantic",
    "typing_extensions": "pydantic",
}
"""Packages whose names are part of another one's documented interface, and come with it."""


def _tracked() -> list[Path]:
    listed = subprocess.run(
        [
            *("git", "-c", "safe.directory=*", "ls-files"),
            *("-z", "--cached", "--others", "--exclude-standard"),
        ],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=60,
    )
    paths = (ROOT / name for name in listed.stdout.decode().split("\0") if name)
    return sorted(path for path in paths if path.is_file())


def _texts() -> Iterator[tuple[str, str]]:
    for path in _tracked():
        raw = path.read_bytes()
        if b"\0" not in raw:
            yield path.relative_to(ROOT).as_posix(), raw.decode("utf-8")


def _project() -> dict[str, object]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert isinstance(project, dict)
    return project


def _names(requirements: object) -> set[str]:
    assert isinstance(requirements, list)
    return {re.split(r"[^\w-]", line)[0] for line in requirements}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_holds(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what], re.MULTILINE)
    found = [
        f"{name}:{text.count(chr(10), 0, hit.start()) + 1}: {hit.group().strip()}"
        for name, text in _texts()
        if what not in EXEMPT.get(name, set())
        for hit in pattern.finditer(text)
    ]
    assert not found, f"{what} stands in:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("what", "sample"),
    [
        ("an address of a package index", "--extra-index" + "-url https://x.example/sim" + "ple"),
        ("a path of one machine", "cd /ro" + "ot/x"),
        ("a path outside the repository", "../sha" + "red/data"),
        ("a private key", "-----BEGIN RSA PRIV" + "ATE KEY-----"),
        ("a merge mark", "<" * 7 + " HEAD"),
    ],
)
def test_the_patterns_find_what_they_are_for(what: str, sample: str) -> None:
    assert re.search(FORBIDDEN[what], sample, re.MULTILINE)


def test_no_font_key_weight_or_stray_picture() -> None:
    bad = []
    for path in _tracked():
        name, ending = path.relative_to(ROOT).as_posix(), path.suffix.lower()
        if ending in NEVER or (
            ending in PICTURES and not name.startswith(("docs/images/", "tests/"))
        ):
            bad.append(name)
        if path.stat().st_size > 4 << 20 and not name.startswith("models/"):
            bad.append(f"{name}: {path.stat().st_size >> 20} MB")
        if ending == ".onnx" and not name.startswith("models/"):
            bad.append(name)
    assert not bad


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150


def test_links_between_the_pages_lead_somewhere() -> None:
    broken = []
    for name, text in _texts():
        if not name.endswith(".md"):
            continue
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
            if "://" not in target and not (ROOT / name).parent.joinpath(target).exists():
                broken.append(f"{name} → {target}")
    assert not broken


def test_licence_is_apache_2_in_full() -> None:
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_ci_can_be_run() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


# --- lock files ------------------------------------------------------------------------------

LOCKS = sorted(path.name for path in (ROOT / "requirements").glob("*.lock"))


def _locked(name: str) -> dict[str, str]:
    """`{requirement with marker: everything after it}`."""
    text = (ROOT / "requirements" / name).read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {line.split("--hash=")[0].strip(): line.partition("--hash=")[1:][1] for line in lines}


def test_every_lock_file_is_there() -> None:
    assert LOCKS == [
        "bench.lock",
        "dev.lock",
        "device.lock",
        "hil.lock",
        "lock-tool.lock",
        "train.lock",
    ]


@pytest.mark.parametrize("name", LOCKS)
def test_lock_pins_versions_and_hashes_and_nothing_else(name: str) -> None:
    for requirement, hashes in _locked(name).items():
        assert re.match(r"[a-z0-9][a-z0-9._-]*==[\w.!]+( ; .+)?$", requirement), requirement
        assert hashes, f"{requirement} has no hash"
        for one in hashes.split("--hash="):
            assert re.fullmatch(r"(sha256:)[0-9a-f]{64}", one.strip()), requirement


def test_the_device_gets_what_was_tested() -> None:
    # Not the markers: a package that the device needs on some platforms, dev may need on all.
    device, dev = ({one.split(" ;")[0] for one in _locked(f"{n}.lock")} for n in ("device", "dev"))
    assert device <= dev


def test_the_device_gets_no_gui_and_no_training_library() -> None:
    names = {requirement.split("==")[0] for requirement in _locked("device.lock")}
    assert not names & {"opencv-python", "opencv-contrib-python", "torch", "matplotlib", "pyqt5"}


def test_every_dependency_is_locked() -> None:
    names = {requirement.split("==")[0] for requirement in _locked("device.lock")}
    assert _names(_project()["dependencies"]) <= names


# --- imports and dependencies ----------------------------------------------------------------


def _imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Top-level names that a file imports, and whether importing the file imports them."""
    tree = ast.parse(path.read_text("utf-8"), str(path))
    at_once = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.split(".")[0], id(node) in at_once
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0], id(node) in at_once


def _third_party(path: Path) -> set[tuple[str, bool]]:
    ours = {*sys.stdlib_module_names, "alpr_edge", "__future__"}
    found = {(PARTS.get(name, name), at_once) for name, at_once in _imports(path)}
    return {(name, at_once) for name, at_once in found if name not in ours}


def test_the_device_imports_what_it_declares_and_declares_what_it_imports() -> None:
    project = _project()
    extras = project["optional-dependencies"]
    assert isinstance(extras, dict)
    device = {IMPORT_NAMES.get(name, name) for name in _names(project["dependencies"])}
    names = _names(extras["demo"]) | _names(extras["host"])
    optional = {IMPORT_NAMES.get(name, name) for name in names}
    used: set[str] = set()
    for path in (ROOT / "src").rglob("*.py"):
        for name, at_once in _third_party(path):
            used.add(name)
            where = path.relative_to(ROOT).as_posix()
            # The laptop's room is imported by nothing else (import-linter, "no-laptop").
            of_an_extra = "demo" in where or "/host/" in where
            assert name in device or (name in optional and (of_an_extra or not at_once)), (
                f"{path.relative_to(ROOT)} imports {name}, which an install without extras lacks"
            )
    assert device <= used, f"declared but not imported: {sorted(device - used)}"


# --- the page of errors ----------------------------------------------------------------------


def test_every_error_code_stands_in_the_page_of_errors() -> None:
    spec = importlib.util.spec_from_file_location("error_codes", ROOT / "scripts/error_codes.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = script
    spec.loader.exec_module(script)
    written = (ROOT / "docs" / "errors.md").read_text("utf-8")
    assert written == script.page(), "run `make fix`"
