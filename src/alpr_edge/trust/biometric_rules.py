"""The list of face and biometric software that is looked for, with where each comes from. Pure.

Maintained by hand. Four ways to be found: a package's name, what a package says of itself, a
module's name, a file's name. It cannot find what is renamed and says nothing of itself; so every
network that no manifest names is told as well. Reviewed 2026-11 against names and summaries of
PyPI's packages (tests/trust/test_scan.py); review it with every release.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Rule:
    """Attributes:
    pattern: over the whole normalised package name, or over a part of a file's path or a text.
    about: what it is, for people.
    """

    pattern: str
    about: str


PACKAGES: Final = (
    Rule(r"face[-_.]?recognition(-models)?", "face_recognition (dlib's face descriptors)"),
    Rule(r"dlib(-.*|\d+)?", "dlib: ships face descriptors"),
    Rule(r"deepface|retina[-_.]?face|mtcnn(-.*)?|.*-mtcnn", "face detection and recognition"),
    Rule(r"insightface|arcface(-.*)?|facenet(-.*)?|keras-facenet", "face embeddings"),
    Rule(r"openface|facexlib|facelib|face-alignment|dface", "face analysis"),
    Rule(r"(.*-)?mediapipe(-.*)?", "MediaPipe: face and hand landmarks among others"),
    Rule(r"compreface-sdk|azure-cognitiveservices-vision-face|face-plus-plus.*", "face services"),
    Rule(r"(.*-)?(yunet|scrfd|blazeface|adaface|ghostfacenet)(-.*)?", "face models"),
    Rule(r"(.*-)?rekognition(-.*)?", "Amazon's face service"),
    Rule(r"(.*-)?(torch|fast-?|open-)?reid(-.*)?|.*re-?identification.*", "re-identification"),
    Rule(r"pyannote(-.*)?|speechbrain|resemblyzer|wespeaker(-.*)?", "speaker recognition"),
    Rule(r"(.*-)?speaker-(recognition|verification|identification|id)(-.*)?|.*voiceprint.*",
         "speaker recognition"),
    Rule(r".*gait(-.*)?", "gait recognition"),
    Rule(r"(.*-)?iris-recognition|open-iris", "iris recognition"),
    Rule(r"pyfingerprint|sourceafis|fingerprint-(enhancer|matcher)|fprint.*", "fingerprints"),
    Rule(r"fer|deepemotion|py-feat|(.*-)?emotion-(recognition|detection).*|(.*-)?emotiefflib",
         "emotion recognition"),
    Rule(r".*biometric.*|bob-(bio|pad)-.*", "biometrics, by its name"),
    Rule(r"opencv-data", "OpenCV's cascades, those for faces among them"),
)  # fmt: skip
FILES: Final = (
    Rule(r"(haar|lbp)cascade_[a-z_]*(face|frontal|profile)", "OpenCV's face cascades"),
    Rule(r"haarcascade_(eye|smile|upperbody|fullbody)", "OpenCV's body cascades"),
    Rule(r"shape_predictor_\d+_face", "dlib's face landmarks"),
    Rule(r"dlib_face|mmod_human_face", "dlib's face models"),
    Rule(
        r"(arcface|facenet|retinaface|scrfd|blazeface|yunet|sface|adaface|mtcnn|buffalo_[sml]|"
        r"antelopev2|w600k|glintr?\d+|vggface|face_landmark|facemesh|face[-_]?(detect|recogn))",
        "a face model",
    ),
    Rule(r"res10_300x300_ssd", "OpenCV's face detector"),
    Rule(r"(osnet|person[-_]?reid|ecapa|gaitset|gaitgl)", "a model of persons"),
)
"""Looked for among model-like files only: see `MODEL_ENDINGS`."""
SUMMARIES: Final = Rule(
    r"\bfac(e|ial)[- ](recogn|detect|align|verif|embed|analy|swap|identif|match|landmark|encod|"
    r"authent|express|featur|attribut)|\bfacial\b|\bbiometric|\bgait\b|\biris recogn|"
    r"\bspeaker (recogn|verif|diari|identif)|\b(person|vehicle occupant) re-?identif|"
    r"\bemotion recogn|\bface id\b|\bfingerprint (recogn|match|reader|scann|sensor)",
    "says so of itself",
)
NETWORK_ENDINGS: Final = (
    *(".onnx", ".ort", ".pt", ".pth", ".tflite", ".caffemodel", ".safetensors", ".keras"),
    *(".rknn", ".hef", ".mnn", ".engine", ".nb", ".xmodel"),
)
"""Files that hold a network and nothing else."""
MODEL_ENDINGS: Final = (
    *NETWORK_ENDINGS,
    *(".pb", ".dat", ".xml", ".h5", ".bin", ".param", ".pkl", ".npz", ".task", ".yml", ".gz"),
)
_FACE: Final = re.compile(
    r"(?<![a-z])([a-z]*)faces?(?=$|[^a-z]|net|lib|x|d?etect|recog|mesh|swap|id)"
)
_NO_FACES: Final = (
    "inter",
    "neti",
    "sur",
    "type",
    "hugging",
    "out",
    "user",
    "pre",
    "bold",
    "iso",
    "pub",
)
"""Words that end with "face" and mean no face: interface, surface, typeface, huggingface."""


def rules_digest() -> str:
    """SHA-256 over the list, to name its version."""
    rules = (*PACKAGES, *FILES, SUMMARIES)
    text = "\n".join(f"{rule.pattern}\t{rule.about}" for rule in rules)
    text += "\n" + "\n".join((*MODEL_ENDINGS, *_NO_FACES, _FACE.pattern))
    return hashlib.sha256(text.encode()).hexdigest()


def package_finding(name: str, summary: str = "") -> str | None:
    """What a package, or a module, is on the list for.

    Args:
        summary: what it says of itself, in a line.
    """
    plain = re.sub(r"[-_.\s]+", "-", name).lower().strip("-")
    for rule in PACKAGES:
        if re.fullmatch(rule.pattern, plain):
            return rule.about
    if any(not found.group(1).endswith(_NO_FACES) for found in _FACE.finditer(plain)):
        return "a face in its name"
    if re.search(SUMMARIES.pattern, summary.lower()):
        return SUMMARIES.about
    return None


def system_package_finding(name: str, summary: str = "") -> str | None:
    """As `package_finding`, for a package of the system: `python3-dlib`, `libdlib19.24`."""
    plain = re.sub(r"^(python3?-|lib)", "", name)
    return package_finding(plain, summary) or package_finding(re.sub(r"[\d.]+.*$", "", plain))


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


def is_network(path: str) -> bool:
    """Whether a file's name says that it holds a network; Python's own `.pth` lists hold none."""
    lower = path.lower()
    if lower.endswith("-packages" + "/" + lower.rsplit("/", 1)[-1]) and lower.endswith(".pth"):
        return False
    return lower.endswith(NETWORK_ENDINGS)
