"""The unit's key in a TPM, its quote, its counter: on a real TPM in software, with tpm2-tools."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.cli import main
from alpr_edge.config.parse import parse
from alpr_edge.errors import AlprEdgeError, BadSignature, KeyUnusable
from alpr_edge.ledger.setup import Started, open_kit
from alpr_edge.trust import device_identity
from alpr_edge.trust.attestation import Statement, attest, check, claims_digest
from alpr_edge.trust.device_identity import device_key, is_sealed
from alpr_edge.trust.keys import PrivateKey
from alpr_edge.trust.tpm import PCRS, Tpm, find_tpm
from alpr_edge.trust.tpm_quote import check_quote

DIGEST = hashlib.sha256(b"claims").digest()


@pytest.fixture
def chip(tpm: str, monkeypatch: pytest.MonkeyPatch) -> Tpm:
    """The TPM of this machine, as the service finds it."""
    monkeypatch.setenv("TPM2TOOLS_TCTI", tpm)
    found = find_tpm()
    assert found is not None
    return found


@pytest.fixture
def no_chip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TPM2TOOLS_TCTI", raising=False)


def refused(call: object) -> str:
    with pytest.raises(AlprEdgeError) as caught:
        call()  # type: ignore[operator]
    return caught.value.code


# --- the key ---------------------------------------------------------------------------------


def test_the_key_is_sealed_and_the_disk_alone_signs_nothing(
    chip: Tpm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = device_key(tmp_path / "identity")
    path = tmp_path / "identity" / "device.key"
    assert is_sealed(tmp_path / "identity")
    assert b"PRIVATE KEY" not in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    code = "import sys; from alpr_edge.trust.device_identity import device_key; "
    code += "print(device_key(sys.argv[1]).public)"
    other = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "identity")],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    assert other.stdout.strip() == str(key.public)
    monkeypatch.delenv("TPM2TOOLS_TCTI")
    shutil.copytree(tmp_path / "identity", tmp_path / "copied")
    assert refused(lambda: device_key(tmp_path / "copied")) == "trust.tpm.missing"


def test_another_tpm_does_not_open_it(
    chip: Tpm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other_tpm
) -> None:
    device_key(tmp_path / "identity")
    shutil.copytree(tmp_path / "identity", tmp_path / "copied")
    (tmp_path / "other").mkdir()
    with other_tpm(tmp_path / "other") as tcti:
        monkeypatch.setenv("TPM2TOOLS_TCTI", tcti)
        assert refused(lambda: device_key(tmp_path / "copied")) == "trust.tpm"


@pytest.fixture
def other_tpm(request: pytest.FixtureRequest) -> object:
    conftest = request.config.pluginmanager.get_plugin(
        str(Path(__file__).parents[1] / "conftest.py")
    )
    found: object = conftest.software_tpm  # type: ignore[union-attr]
    return found


def test_a_plain_key_is_sealed_where_it_lies(chip: Tpm, tmp_path: Path) -> None:
    before = device_key(tmp_path, "file")
    assert not is_sealed(tmp_path)
    assert device_key(tmp_path, "file").public == before.public
    assert not is_sealed(tmp_path)
    assert device_key(tmp_path).public == before.public
    assert is_sealed(tmp_path)
    device_identity._opened.clear()
    assert device_key(tmp_path).public == before.public


def test_a_damaged_or_open_sealed_key_is_refused_and_kept(chip: Tpm, tmp_path: Path) -> None:
    device_key(tmp_path)
    path = tmp_path / "device.key"
    device_identity._opened.clear()
    whole = path.read_text()
    path.chmod(0o644)
    assert refused(lambda: device_key(tmp_path)) == "trust.key.open"
    path.chmod(0o600)
    for damaged in (
        whole.replace('"sealed": "', '"sealed": "AAAA'),
        whole.replace('"sealed"', '"other"'),
        '{"tpm": 1}',
    ):
        path.write_text(damaged)
        assert refused(lambda: device_key(tmp_path)) in ("trust.key.invalid", "trust.tpm")
        assert path.read_text() == damaged


def test_a_key_that_is_bound_to_the_start_opens_only_after_the_same_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other_tpm
) -> None:
    (tmp_path / "chip").mkdir()
    with other_tpm(tmp_path / "chip") as tcti:
        monkeypatch.setenv("TPM2TOOLS_TCTI", tcti)
        key = device_key(tmp_path / "a", "tpm_as_started")
        path = tmp_path / "a" / "device.key"
        assert '"pcrs"' in path.read_text()
        device_identity._opened.clear()
        assert device_key(tmp_path / "a").public == key.public
        # To `tpm` before an update of the firmware, and back after it.
        assert device_key(tmp_path / "a", "tpm").public == key.public
        assert '"pcrs"' not in path.read_text()
        assert device_key(tmp_path / "a", "tpm_as_started").public == key.public
        # Whoever says that it is not bound gets nothing: the TPM itself asks for the PCRs.
        document = json.loads(path.read_text())
        del document["tpm"]["pcrs"]
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "device.key").write_text(json.dumps(document))
        (tmp_path / "b" / "device.key").chmod(0o600)
        assert refused(lambda: device_key(tmp_path / "b")) == "trust.tpm"
        # Another boot loader was measured.
        other = hashlib.sha256(b"another boot loader").hexdigest()
        subprocess.run(["tpm2_pcrextend", f"4:sha256={other}"], check=True, timeout=60)
        device_identity._opened.clear()
        assert refused(lambda: device_key(tmp_path / "a")) == "trust.tpm"
    device_identity._opened.clear()


def test_a_tpm_that_is_asked_for_and_missing(no_chip: None, tmp_path: Path) -> None:
    assert refused(lambda: device_key(tmp_path, "tpm")) == "trust.tpm.missing"
    assert not (tmp_path / "device.key").exists()
    assert device_key(tmp_path, "auto")
    with pytest.raises(KeyUnusable, match="tpm2_createprimary"):
        Tpm("swtpm:path=/nonexistent/socket").seal(b"x" * 32)


# --- the quote -------------------------------------------------------------------------------


def test_a_quote_holds_for_its_digest_only_and_tpm2_tools_agree(chip: Tpm, tmp_path: Path) -> None:
    document = chip.quote(DIGEST)
    quote = check_quote(document, DIGEST)
    assert tuple(quote.pcrs) == PCRS
    assert quote.key == check_quote(chip.quote(DIGEST), DIGEST).key
    with pytest.raises(BadSignature, match="other claims"):
        check_quote(document, hashlib.sha256(b"other").digest())
    for part, text in document.items():
        (tmp_path / part).write_bytes(base64.b64decode(text))
    subprocess.run(
        ["openssl", "ec", "-pubin", "-inform", "DER", "-in", "public", "-out", "public.pem"],
        cwd=tmp_path, check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    subprocess.run(
        ["tpm2_checkquote", "-u", "public.pem", "-m", "quote", "-s", "signature", "-F", "plain",
         "-q", DIGEST.hex(), "-g", "sha256"],
        cwd=tmp_path, check=True, capture_output=True, timeout=60,
        env={**os.environ, "TPM2TOOLS_TCTI": "none"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def quoted(tpm: str) -> dict[str, str]:
    return Tpm(tpm).quote(DIGEST)


def test_any_flipped_bit_of_a_quote_is_refused(quoted: dict[str, str]) -> None:
    for part in ("quote", "signature", "pcrs"):
        raw = base64.b64decode(quoted[part])
        for at in range(0, len(raw), 3):
            changed = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
            document = {**quoted, part: base64.b64encode(changed).decode()}
            with pytest.raises(BadSignature):
                check_quote(document, DIGEST)


@given(
    st.dictionaries(
        st.sampled_from(["quote", "signature", "public", "pcrs"]),
        st.one_of(st.none(), st.text(max_size=20), st.binary(max_size=80).map(
            lambda b: base64.b64encode(b).decode()
        )),
    )
)  # fmt: skip
def test_a_strange_quote_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(BadSignature):
        check_quote(document, DIGEST)


def test_an_attestation_with_the_tpm_s_word(chip: Tpm, tmp_path: Path, capsys) -> None:
    key = PrivateKey.generate()
    statement = Statement(
        "cam-0001", "alpr-edge", "0.1.0", 7, "a" * 64, "b" * 64, ("c" * 64,), key_in_tpm=True
    )
    token = attest(statement, key, 1_800_000_000, quote=chip.quote)
    (tmp_path / "said").write_bytes(token)
    from alpr_edge.ledger.note import VerifierKey

    (tmp_path / "vkey").write_text(f"{VerifierKey('alpr-edge/cam-0001', key.public.raw)}\n")
    command = ["attest", "verify", str(tmp_path / "said"), "--key", str(tmp_path / "vkey")]
    assert main(command) == 0
    shown = capsys.readouterr().out
    claims = check(token, [key.public])
    known = hashlib.sha256(base64.b64decode(claims["alpr_tpm"]["public"])).hexdigest()
    assert known in shown
    assert "PCR 0: 00" in shown
    assert main([*command, "--tpm-key", known]) == 0
    assert "the one that was written down" in capsys.readouterr().out
    assert main([*command, "--tpm-key", "0" * 64]) == 3
    # The same words under a quote for other claims.
    lie = attest(statement, key, 1_800_000_001, quote=lambda _: claims["alpr_tpm"])
    (tmp_path / "said").write_bytes(lie)
    assert main(command) == 3
    (tmp_path / "said").write_bytes(attest(statement, key, 1_800_000_000))
    assert main(command) == 0
    assert "no TPM vouches" in capsys.readouterr().out
    assert main([*command, "--tpm-key", known]) == 3


class _Line:
    """In the place of the MQTT connection: keeps what would go out."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def attest(self, token: bytes) -> None:
        self.sent.append(token)

    def start(self) -> None:
        pass

    def close(self) -> None:
        pass


def test_a_device_with_a_tpm_states_itself_with_its_word(chip: Tpm, tmp_path: Path) -> None:
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
    """
    kit = open_kit(parse(text, source="test", folder=str(tmp_path)))
    assert kit is not None
    line = _Line()
    kit.channel = line  # type: ignore[assignment]
    kit.begin(Started("alpr-edge 0.1.0", "a" * 64, "b" * 64, ("c" * 64,)))
    # What is installed is looked at first, beside the start.
    end = time.monotonic() + 120
    while not line.sent and time.monotonic() < end:
        time.sleep(0.05)
    kit.end()
    assert kit.key_is_sealed
    claims = check(line.sent[0], [device_key(tmp_path / "identity").public])
    assert claims["alpr_key_in_tpm"] is True
    assert check_quote(claims["alpr_tpm"], claims_digest(claims)).pcrs.keys() == set(PCRS)


# --- the counter -----------------------------------------------------------------------------


def test_the_counter_only_grows(chip: Tpm) -> None:
    assert chip.count() == 0
    first = chip.raise_count()
    assert first >= 1
    assert (chip.raise_count(), chip.count()) == (first + 1, first + 1)
    # Whoever owns the disk owns the owner's password too, and deletes the counter: it goes on.
    subprocess.run(["tpm2_nvundefine", "0x1500a1e", "-C", "o"], check=True, timeout=60)
    assert chip.raise_count() > first + 1
