"""Models signed as OpenSSF model signing: own signatures, the format's own tool, and what it stops.

`model_signing_1_1_1/` was made by the PyPI package `model-signing` 1.1.1 over a folder of three
files ("detector" in detector.onnx, "recogniser" in recogniser.onnx, an empty manifest), with a key
that was thrown away. The same tool verified a folder that `alpr-edge models sign` had signed, by
hand, 2026-11; it needs 39 packages, too many for every run of the tests.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.cli import main
from alpr_edge.config.parse import parse
from alpr_edge.errors import AlprEdgeError, BadSignature, KeyUnusable
from alpr_edge.trust.model_signature import (
    key_name,
    parse_model_keys,
    sign_models,
    verify_models,
)
from alpr_edge.vision.models import models_folder
from alpr_edge.wiring.engine import Engine

VECTOR = Path(__file__).with_name("model_signing_1_1_1")
FILES = {"b.onnx": "ab" * 32, "a.onnx": "cd" * 32}


def new_key(curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve or ec.SECP256R1())


def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem(*keys: ec.EllipticCurvePrivateKey) -> str:
    return "".join(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        for key in keys
    )


# --- the format ------------------------------------------------------------------------------


def test_a_signature_of_the_format_s_own_tool_holds() -> None:
    keys = parse_model_keys((VECTOR / "key.pub").read_text())
    signed = verify_models((VECTOR / "model.sig").read_bytes(), keys)
    assert signed.digests == {
        "detector.onnx": hashlib.sha256(b"detector").hexdigest(),
        "manifest.json": hashlib.sha256(b'{"models": []}\n').hexdigest(),
        "recogniser.onnx": hashlib.sha256(b"recogniser").hexdigest(),
    }
    hint = json.loads((VECTOR / "model.sig").read_bytes())["verificationMaterial"]["publicKey"]
    assert signed.signer == hint["hint"]


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_what_is_signed_here_has_the_tool_s_form(curve: ec.EllipticCurve) -> None:
    key = new_key(curve)
    data = sign_models(FILES, "models", pem(key))
    signed = verify_models(data, [new_key().public_key(), key.public_key()])
    assert (signed.digests, signed.signer) == (FILES, key_name(key.public_key()))
    own, theirs = json.loads(data), json.loads((VECTOR / "model.sig").read_bytes())
    assert _shape(own) == _shape(theirs)
    statements = [json.loads(base64.b64decode(one["dsseEnvelope"]["payload"]))
                  for one in (own, theirs)]  # fmt: skip
    assert _shape(statements[0]) == _shape(statements[1])
    names = [one["name"] for one in statements[0]["predicate"]["resources"]]
    assert names == sorted(FILES)


def _shape(value: object) -> object:
    """Names and kinds of a document, without its values."""
    if isinstance(value, dict):
        return {name: _shape(one) for name, one in sorted(value.items())}
    if isinstance(value, list):
        return [_shape(value[0])] if value else []
    return type(value).__name__


def test_rotation_and_revocation() -> None:
    old, new = new_key(), new_key()
    by_old, by_new = (sign_models(FILES, "models", pem(one)) for one in (old, new))
    both = parse_model_keys(f"the old one\n{public_pem(old)}the new one\n{public_pem(new)}")
    assert verify_models(by_old, both).signer != verify_models(by_new, both).signer
    newest = parse_model_keys(public_pem(new))
    assert verify_models(by_new, newest).digests == FILES
    with pytest.raises(BadSignature):
        verify_models(by_old, newest)


def test_any_changed_byte_of_what_is_signed_is_refused() -> None:
    key = new_key()
    bundle = json.loads(sign_models(FILES, "models", pem(key)))
    for part in ("payload", "sig"):
        envelope = bundle["dsseEnvelope"]
        raw = base64.b64decode(
            envelope["payload"] if part == "payload" else envelope["signatures"][0]["sig"]
        )
        for at in range(0, len(raw), 7):
            text = base64.b64encode(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]).decode()
            changed = json.loads(json.dumps(bundle))
            if part == "payload":
                changed["dsseEnvelope"]["payload"] = text
            else:
                changed["dsseEnvelope"]["signatures"][0]["sig"] = text
            with pytest.raises(BadSignature):
                verify_models(json.dumps(changed).encode(), [key.public_key()])


def _resigned(change: Callable[[dict], object]) -> tuple[bytes, ec.EllipticCurvePublicKey]:
    """A bundle whose statement somebody with the key made in another way."""
    from cryptography.hazmat.primitives.hashes import SHA256

    from alpr_edge.trust.envelope import pae

    key = new_key()
    bundle = json.loads(sign_models(FILES, "models", pem(key)))
    envelope = bundle["dsseEnvelope"]
    statement = json.loads(base64.b64decode(envelope["payload"]))
    change(statement)
    payload = json.dumps(statement).encode()
    envelope["payload"] = base64.b64encode(payload).decode()
    signature = key.sign(pae("application/vnd.in-toto+json", payload), ec.ECDSA(SHA256()))
    envelope["signatures"][0]["sig"] = base64.b64encode(signature).decode()
    return json.dumps(bundle).encode(), key.public_key()


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.update(predicateType="https://model_signing/Digests/v0.1"),
        lambda s: s.update(_type="https://in-toto.io/Statement/v0.1"),
        lambda s: s["predicate"]["serialization"].update(method="shards"),
        lambda s: s["predicate"]["resources"].append(s["predicate"]["resources"][0]),
        lambda s: s["predicate"]["resources"].pop(),
        lambda s: s["predicate"]["resources"][0].update(algorithm="sha1"),
        lambda s: s["predicate"]["resources"][0].update(digest="ab"),
        lambda s: s["subject"].append(s["subject"][0]),
        lambda s: s.pop("predicate"),
        lambda s: s.update(predicate=[1]),
    ],
)
def test_a_statement_of_another_kind_is_refused_whoever_signed_it(change) -> None:
    data, key = _resigned(change)
    with pytest.raises(BadSignature):
        verify_models(data, [key])


@given(st.one_of(st.binary(max_size=100), st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["mediaType", "dsseEnvelope", "payload", "payloadType", "signatures"]),
        inner, max_size=4),
    max_leaves=12).map(lambda value: json.dumps(value).encode())))  # fmt: skip
def test_a_strange_signature_is_refused(data: bytes) -> None:
    with pytest.raises(BadSignature):
        verify_models(data, [KEY])


KEY = new_key().public_key()


def test_keys_that_cannot_be_used() -> None:
    rsa_key = rsa.generate_private_key(65537, 2048)
    locked = new_key().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    for text in (
        "",
        pem(new_key()).decode(),
        rsa_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        public_pem(ec.generate_private_key(ec.SECP256K1())),
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        public_pem(*[new_key()] * 17),
    ):
        with pytest.raises(KeyUnusable):
            parse_model_keys(text)
    for key in (locked, b"nothing", pem(ec.generate_private_key(ec.SECP256K1()))):
        with pytest.raises(KeyUnusable):
            sign_models(FILES, "models", key)


# --- on the device ---------------------------------------------------------------------------


class Unit:
    """A copy of the shipped models, a key, and a configuration that asks for its signature."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.models = folder, folder / "models"
        shutil.copytree(models_folder(), self.models)
        (self.models / "model.sig").unlink(missing_ok=True)
        self.key = new_key()
        (folder / "models.key").write_bytes(pem(self.key))
        (folder / "models.pub").write_text(public_pem(self.key))

    def sign(self) -> int:
        return main(
            [
                "models",
                "sign",
                "--folder",
                str(self.models),
                "--key",
                str(self.folder / "models.key"),
            ]
        )

    def engine(self) -> Engine:
        text = """
            [device]
            id = "unit-1"
            site = "bench"
            [source]
            kind = "street"
            [exclusion]
            mask_file = "masks.json"
            [mqtt]
            host = "127.0.0.1"
            [models]
            keys = "models.pub"
            [detector]
            model = "models/detector.onnx"
            [recogniser]
            model = "models/recogniser.onnx"
        """
        return Engine(parse(text, source="test", folder=str(self.folder)))

    def refused(self) -> str:
        with pytest.raises(AlprEdgeError) as caught:
            self.engine()
        assert caught.value.exit_status == 3
        return caught.value.code


def test_a_device_that_asks_for_a_signature_loads_nothing_else(tmp_path: Path, capsys) -> None:
    unit = Unit(tmp_path)
    assert unit.refused() == "trust.model.signature"
    assert unit.sign() == 0
    assert unit.engine().signers == (key_name(unit.key.public_key()),)
    command = ["models", "verify", "--folder", str(unit.models)]
    assert main([*command, "--keys", str(tmp_path / "models.pub")]) == 0
    assert "signed by" in capsys.readouterr().err
    # A model and the manifest exchanged alike: the manifest's digests alone would not notice.
    manifest = json.loads((unit.models / "manifest.json").read_text())
    detector = unit.models / "detector.onnx"
    detector.write_bytes(detector.read_bytes() + b"\x72\x00")  # an empty doc_string behind it
    manifest["models"][0]["sha256"] = hashlib.sha256(detector.read_bytes()).hexdigest()
    (unit.models / "manifest.json").write_text(json.dumps(manifest))
    assert main(command) == 0
    assert main([*command, "--keys", str(tmp_path / "models.pub")]) == 3
    assert unit.refused() == "trust.model.unsigned"
    assert unit.sign() == 0
    assert unit.engine().signers
    # The key is revoked: what it signed does not load any more.
    (tmp_path / "models.pub").write_text(public_pem(new_key()))
    assert unit.refused() == "trust.model.signature"


def test_what_fails_the_audit_is_not_signed(tmp_path: Path) -> None:
    unit = Unit(tmp_path)
    (unit.models / "face.onnx").write_bytes(b"x")
    assert unit.sign() == 3
    assert not (unit.models / "model.sig").exists()
    (unit.models / "face.onnx").unlink()
    (unit.models / "link.md").symlink_to("/etc/hostname")
    assert unit.sign() == 3
