"""Station `boot`: the unit comes up, is what it must be, and reads nothing before it may."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = pytest.mark.station("boot")

NEVER = {
    "torch": "a training library",
    "torchvision": "a training library",
    "tensorflow": "a training library",
    "opencv-python": "OpenCV with its windows: camera images have no GUI libraries",
    "opencv-contrib-python": "OpenCV with its windows and face module",
    "opencv-contrib-python-headless": "OpenCV with its face module",
    "dlib": "face recognition",
    "face-recognition": "face recognition",
    "insightface": "face recognition",
    "mediapipe": "face detection",
    "deepface": "face recognition",
    "facenet-pytorch": "face recognition",
}
"""What must not be installed on a unit; `attest scan` has the long list of biometric software."""
LOOK = (
    "import importlib.metadata as m, json, cv2; "
    "gui = [x.strip() for x in cv2.getBuildInformation().splitlines() if x.strip()[:4] == 'GUI:']; "
    "names = {(d.metadata['Name'] or '').lower(): d.version for d in m.distributions()}; "
    "print(json.dumps({'gui': gui, 'names': names, 'face': hasattr(cv2, 'face')}))"
)


@pytest.mark.quick
def test_it_boots(unit: Any, facts: Any) -> None:
    """From power on until it takes commands."""
    unit.transition("booted")
    facts.note(boot_s=round(unit.timings["booted"], 1))
    facts.note(machine=unit.maintenance.run("uname -srm").checked("uname").strip())


def test_software_and_models_are_the_listed_ones(unit: Any, facts: Any) -> None:
    """Version, models against their manifest."""
    unit.transition("booted")
    patience = 60 * unit.patience
    version = unit.maintenance.run("alpr-edge --version", patience).checked("--version").strip()
    unit.maintenance.run("alpr-edge models verify", patience).checked("models verify")
    facts.note(software=version)


def test_no_biometric_software_is_found(unit: Any, request: pytest.FixtureRequest) -> None:
    """`attest scan` finds no face or biometric software."""
    if request.getfixturevalue("env").config.get_option("kind", "") == "loopback":
        # Rightly refused there: packages for development bring OpenCV's face cascades and networks.
        pytest.skip("not applicable: what is installed beside a process is not a unit's")
    unit.transition("booted")
    unit.maintenance.run("alpr-edge attest scan", 60 * unit.patience).checked("attest scan")


def test_no_library_that_a_unit_must_not_have(unit: Any, facts: Any) -> None:
    """No torch, no face library, OpenCV without windows, seen from the unit's Python."""
    unit.transition("booted")
    said = unit.maintenance.run(f'{unit.maintenance.python()} -c "{LOOK}"', 60 * unit.patience)
    found = json.loads(said.checked("what is installed").strip().splitlines()[-1])
    wrong = {name: NEVER[name] for name in found["names"] if name in NEVER}
    assert not wrong, wrong
    assert not found["face"]
    assert "opencv-python-headless" in found["names"]
    # Source: OpenCV's build information: "GUI: NONE", or no such line in builds without highgui.
    assert all("NONE" in line for line in found["gui"]), found["gui"]
    shown = ("alpr-edge", "onnxruntime", "opencv-python-headless", "numpy", "shapely", "paho-mqtt")
    facts.note(versions={name: found["names"].get(name, "?") for name in shown})


@pytest.mark.quick
def test_it_reads_nothing_before_it_is_commissioned(unit: Any) -> None:
    """Provisioned, without a mask record: the service says why it stops, and reads nothing."""
    unit.transition("provisioned")
    unit.wait_for("a status", lambda: bool(unit.status_now().get("stops")), 60)
    codes = {stop["code"] for stop in unit.status_now()["stops"]}
    assert "exclusion.mask.missing" in codes or any("mask" in code for code in codes), codes
    assert not unit.reads_now()
    unit.wait_for("a state on the broker", lambda: bool(unit.broker.states), 60)
    assert unit.broker.reads == []
    assert "reads" not in json.dumps(unit.broker.states[-1].get("plates", []))
