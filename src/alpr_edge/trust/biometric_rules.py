"""The list of face and biometric software that is looked for, with where each comes from. Pure.

Maintained by hand: a rule is a package's name or a part of a file's name. It finds what is named
so; it cannot find what is renamed or new. Reviewed 2026-11; review it with every release.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Rule:
    """Attributes:
    pattern: over the whole normalised package name, or over a part of a file's path.
    about: what it is, for people.
    """

    pattern: str
    about: str


PACKAGES: Final = (
    Rule(r"face[-_.]?recognition(-models)?", "face_recognition (dlib's face descriptors)"),
    Rule(r"dlib(-bin)?", "dlib: ships face descriptors"),
    Rule(r"deepface|retina[-_.]?face|mtcnn(-.*)?", "face detection and recognition"),
    Rule(r"insightface|arcface(-.*)?|facenet(-pytorch)?|keras-facenet", "face embeddings"),
    Rule(r"openface|facexlib|facelib|face-alignment|dface", "face analysis"),
    Rule(r"mediapipe", "MediaPipe: face and hand landmarks among others"),
    Rule(r"compreface-sdk|azure-cognitiveservices-vision-face|face-plus-plus.*", "face services"),
    Rule(r"torchreid|fast-?reid|open-reid", "person re-identification"),
    Rule(r"pyannote[-.]audio|speechbrain|resemblyzer", "speaker recognition"),
    Rule(r"opengait|fastgait", "gait recognition"),
    Rule(r"iris-recognition|open-iris", "iris recognition"),
    Rule(r"pyfingerprint|sourceafis|fingerprint-enhancer", "fingerprints"),
    Rule(r"fer|deepemotion|py-feat|emotion-recognition.*", "emotion recognition"),
)
FILES: Final = (
    Rule(r"haarcascade_[a-z_]*face", "OpenCV's face cascades"),
    Rule(r"haarcascade_(eye|smile|upperbody|fullbody)", "OpenCV's body cascades"),
    Rule(r"shape_predictor_\d+_face", "dlib's face landmarks"),
    Rule(r"(arcface|facenet|retinaface|scrfd|blazeface|yunet|sface|buffalo_[sl])", "a face model"),
    Rule(r"res10_300x300_ssd", "OpenCV's face detector"),
    Rule(r"(osnet|person[-_]?reid)[^/]*\.(onnx|pt|pth|bin|tflite)", "a re-identification model"),
)
"""Looked for among model-like files only: see `MODEL_ENDINGS`."""
MODEL_ENDINGS: Final = (".onnx", ".pt", ".pth", ".tflite", ".caffemodel", ".pb", ".dat", ".xml")


def rules_digest() -> str:
    """SHA-256 over the list, to name its version."""
    text = "\n".join(f"{rule.pattern}\t{rule.about}" for rule in (*PACKAGES, *FILES))
    return hashlib.sha256(text.encode()).hexdigest()


def package_finding(name: str) -> str | None:
    """What a package is on the list for."""
    plain = re.sub(r"[-_.]+", "-", name).lower()
    for rule in PACKAGES:
        if re.fullmatch(rule.pattern, plain):
            return rule.about
    return None


def file_finding(path: str) -> str | None:
    """What a file is on the list for."""
    lower = path.lower()
    if not lower.endswith(MODEL_ENDINGS):
        return None
    name = lower.rsplit("/", 1)[-1]
    for rule in FILES:
        if re.search(rule.pattern, name):
            return rule.about
    return None
