"""Attestation, bills of materials, and the scan for face and biometric software."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jwt
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.cli import main
from alpr_edge.errors import BadSignature
from alpr_edge.ledger.note import VerifierKey
from alpr_edge.trust.attestation import Statement, attest, check, explain
from alpr_edge.trust.biometric_rules import file_finding, package_finding
from alpr_edge.trust.bom import Component, Finding, ModelPart, bill, bill_digest
from alpr_edge.trust.installed import scan
from alpr_edge.trust.keys import PrivateKey

DIGEST = "0123456789abcdef" * 4
STATEMENT = Statement("cam-0001", "alpr-edge", "0.1.0", 7, DIGEST, DIGEST, (DIGEST,), sbom=DIGEST)


@pytest.fixture(scope="module")
def key() -> PrivateKey:
    return PrivateKey.generate()


def test_a_statement_is_a_jwt_that_others_can_check(key: PrivateKey) -> None:
    token = attest(STATEMENT, key, 1_790_000_000)
    claims = check(token, [PrivateKey.generate().public, key.public])
    assert claims["sub"] == "cam-0001"
    assert claims["bootcount"] == 7
    assert len(bytes.fromhex(claims["ueid"])) == 33
    assert jwt.get_unverified_header(token)["typ"] == "eat+jwt"


def test_another_key_and_another_algorithm_are_refused(key: PrivateKey) -> None:
    token = attest(STATEMENT, key, 1)
    with pytest.raises(BadSignature) as caught:
        check(token, [PrivateKey.generate().public])
    assert caught.value.code == "trust.attestation.signature"
    bare = jwt.encode({"iat": 1, "eat_profile": "x", "sub": "y"}, "", algorithm="none")
    with pytest.raises(BadSignature) as caught:
        check(bare.encode(), [key.public])
    assert caught.value.code == "trust.attestation.invalid"
    other = jwt.encode({"iat": 1, "eat_profile": "x", "sub": "y"}, key.to_pem(), algorithm="EdDSA")
    with pytest.raises(BadSignature) as caught:
        check(other.encode(), [key.public])
    assert caught.value.code == "trust.attestation.profile"


@given(st.binary(max_size=200))
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(BadSignature):
        check(data, [PrivateKey.generate().public])


@given(st.data())
def test_any_changed_byte_is_refused(data: st.DataObject) -> None:
    one = PrivateKey.generate()
    token = attest(STATEMENT, one, 1)
    # The last character carries two bits that base64 does not use.
    at = data.draw(st.integers(0, len(token) - 2))
    flip = data.draw(st.integers(1, 255))
    wrong = token[:at] + bytes([token[at] ^ flip]) + token[at + 1 :]
    with pytest.raises(BadSignature):
        check(wrong, [one.public])


def test_every_claim_is_explained(key: PrivateKey) -> None:
    full = Statement(
        *("cam-0001", "alpr-edge", "0.1.0", 7, DIGEST, DIGEST, (DIGEST,), DIGEST, 0),
        *(DIGEST, DIGEST, True, False, "alpr-edge/cam-0001/ledger/1", 9, DIGEST, "ntp", True),
    )
    rows = explain(check(attest(full, key, 1), [key.public]))
    assert len(rows) == 21
    assert not [name for name, _, says, _ in rows if "does not know" in says]


def test_attest_verify_on_the_command_line(key: PrivateKey, tmp_path: Path, capsys) -> None:
    (tmp_path / "a.jwt").write_bytes(attest(STATEMENT, key, 1_790_000_000) + b"\n")
    (tmp_path / "k").write_text(f"{VerifierKey('alpr-edge/cam-0001', key.public.raw)}\n")
    command = ["attest", "verify", str(tmp_path / "a.jwt"), "--key", str(tmp_path / "k")]
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "alpr_models" in told
    assert "does not prove: what a network cannot compute" in told
    (tmp_path / "a.jwt").write_bytes(b"x.y.z")
    assert main(command) == 3


# --- bill of materials and scan --------------------------------------------------------------


def test_the_bill_is_valid_by_the_official_schema() -> None:
    document = bill(
        "alpr-edge",
        "0.1.0",
        [Component("numpy", "2.0", "BSD-3-Clause", DIGEST), Component("x", "1", "", "")],
        [ModelPart("detector.onnx", DIGEST, "finds licence plates")],
        [Finding("dlib", "dlib: ships face descriptors")],
        DIGEST,
    )
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(json.dumps(document)) is None
    claim = document["declarations"]["claims"][0]["predicate"]
    assert "dlib" in claim
    assert "would not be found" in claim
    assert bill_digest(document) == bill_digest(json.loads(json.dumps(document)))


def test_the_bill_of_this_machine(capsys) -> None:
    assert main(["attest", "bom"]) == 0
    text = capsys.readouterr().out
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    kinds = [part["type"] for part in json.loads(text)["components"]]
    assert kinds.count("machine-learning-model") >= 2
    assert kinds.count("library") > 20


@pytest.mark.parametrize("name", ["face_recognition", "dlib", "InsightFace", "facenet-pytorch"])
def test_known_packages_are_found(name: str) -> None:
    assert package_finding(name)


@pytest.mark.parametrize("name", ["numpy", "opencv-python-headless", "surface", "interface-x"])
def test_other_packages_are_not(name: str) -> None:
    assert package_finding(name) is None


def test_files_are_found_by_their_names() -> None:
    assert file_finding("cv2/data/haarcascade_frontalface_default.xml")
    assert file_finding("models/buffalo_l.onnx")
    assert file_finding("alpr_edge/models/detector.onnx") is None
    assert file_finding("docs/facenet.md") is None


def test_a_planted_package_is_found(tmp_path: Path) -> None:
    info = tmp_path / "face_recognition-1.3.0.dist-info"
    info.mkdir()
    about = "Metadata-Version: 2.1\nName: face_recognition\nVersion: 1.3.0\n"
    (info / "METADATA").write_text(about)
    (info / "RECORD").write_text("models/shape_predictor_68_face_landmarks.dat,,\n")
    done = subprocess.run(
        [sys.executable, "-m", "alpr_edge", "attest", "scan"],
        env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "face_recognition: " in done.stdout
    assert "shape_predictor_68" in done.stdout


def test_the_device_s_own_packages_are_clean() -> None:
    wanted = {"numpy", "onnxruntime", "paho-mqtt", "pydantic", "cryptography", "pyjwt", "alpr-edge"}
    found = scan()
    names = {one.name.lower() for one in found.components}
    assert wanted <= names
    assert not [one for one in found.findings if one.where.lower() in names]
