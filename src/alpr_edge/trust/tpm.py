"""Edge: what this unit asks of a TPM 2.0: keep a secret, quote, count. Through tpm2-tools.

It knows no key file (`device_identity`, `delivery.key_store`) and judges no quote (`tpm_quote`).

Rules:
- Secrets go to and from the tools through pipes, never through files or arguments.
- Keys are primary keys, made anew from the TPM's own seeds each time: none is stored.
- One operation at a time; other processes of the user wait (`flock`), as a TPM without a resource
  manager has room for three objects only.

Source: tpm2-tools 5.4, tpm2_create(1), tpm2_unseal(1), tpm2_quote(1), tpm2_nvincrement(1).
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from alpr_edge.errors import KeyUnusable

_DEVICE: Final = Path("/dev/tpmrm0")
_TOOLS: Final = "tpm2_unseal"
_TCTI: Final = "TPM2TOOLS_TCTI"
"""Source: tpm2-tools, common/tcti.md: where the tools find a TPM other than the kernel's."""
_WAIT_S: Final = 60.0
PCRS: Final = (0, 1, 2, 3, 4, 5, 6, 7)
"""Firmware, its settings, boot loader, secure boot. Source: TCG PC Client Platform Firmware
Profile, section 3.3.4; boards without UEFI may fill other ones."""
_BANK: Final = f"sha256:{','.join(map(str, PCRS))}"
COUNTER_INDEX: Final = 0x0150_0A1E
"""Source: TCG Registry of Reserved TPM 2.0 Handles: 0x01400000 to 0x017FFFFF are the owner's."""
_PRIMARY: Final = ("tpm2_createprimary", "-C", "o", "-g", "sha256", "-G", "ecc")
_QUOTE_KEY: Final = (
    *("tpm2_createprimary", "-C", "e", "-g", "sha256", "-G", "ecc256:ecdsa-sha256:null", "-a"),
    "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign|noda",
)
_PROCESS: Final = threading.RLock()


class Tpm:
    """One TPM.

    Args:
        tcti: how the tools reach it; without it their own default.
    """

    def __init__(self, tcti: str | None = None) -> None:
        self._environment = {**os.environ, **({_TCTI: tcti} if tcti else {})}

    def seal(self, secret: bytes, *, as_started: bool = False) -> dict[str, str]:
        """A secret of at most 128 bytes as blobs that only this TPM opens.

        Args:
            as_started: and only while the PCRs are as they are now: after the same start.

        Raises:
            KeyUnusable: the TPM does not do it (`trust.tpm`); so all methods.
        """
        with self._folder() as folder:
            self._run(folder, *_PRIMARY, "-c", "primary.ctx")
            self._flush(folder)
            policy: tuple[str, ...] = ()
            if as_started:
                self._run(folder, "tpm2_createpolicy", "--policy-pcr", "-l", _BANK, "-L", "policy")
                self._flush(folder)
                # Without `userwithauth` the policy is the only way in.
                policy = ("-L", "policy", "-a", "fixedtpm|fixedparent|noda")
            self._run(
                folder, "tpm2_create", "-C", "primary.ctx", "-i", "-", "-u", "public", "-r",
                "private", *policy, given=secret,
            )  # fmt: skip
            self._flush(folder)
            blobs = {part: _text(folder / part) for part in ("public", "private")}
            return blobs | ({"pcrs": _BANK} if as_started else {})

    def unseal(self, blobs: Mapping[str, str]) -> bytes:
        """The secret of `seal`."""
        with self._folder() as folder:
            for part in ("public", "private"):
                (folder / part).write_bytes(base64.b64decode(blobs[part]))
            self._run(folder, *_PRIMARY, "-c", "primary.ctx")
            self._flush(folder)
            self._run(
                folder, "tpm2_load", "-C", "primary.ctx", "-u", "public", "-r", "private", "-c",
                "key.ctx",
            )  # fmt: skip
            self._flush(folder)
            session = ("-p", f"pcr:{_BANK}") if blobs.get("pcrs") == _BANK else ()
            secret = self._run(folder, "tpm2_unseal", "-c", "key.ctx", *session)
            self._flush(folder)
            return secret

    def quote(self, digest: bytes) -> dict[str, str]:
        """The TPM's signature over `digest` and the PCRs, as `tpm_quote.check_quote` takes it.

        Args:
            digest: 32 bytes.
        """
        with self._folder() as folder:
            self._run(folder, *_QUOTE_KEY, "-c", "key.ctx")
            self._flush(folder)
            self._run(folder, "tpm2_readpublic", "-c", "key.ctx", "-f", "der", "-o", "public")
            self._flush(folder)
            self._run(
                folder, "tpm2_quote", "-c", "key.ctx", "-l", f"sha256:{','.join(map(str, PCRS))}",
                "-q", digest.hex(), "-m", "quote", "-s", "signature", "-o", "pcrs", "-F", "values",
                "-f", "plain", "-g", "sha256",
            )  # fmt: skip
            self._flush(folder)
            return {part: _text(folder / part) for part in ("quote", "signature", "public", "pcrs")}

    def count(self) -> int:
        """The counter's value; 0 where it was never raised."""
        with self._folder() as folder:
            return self._count(folder)

    def raise_count(self) -> int:
        """Add one to the counter, which nobody can take back. Returns its value."""
        with self._folder() as folder:
            if not self._defined(folder):
                self._run(
                    folder, "tpm2_nvdefine", hex(COUNTER_INDEX), "-C", "o", "-a",
                    "ownerread|ownerwrite|nt=counter",
                )  # fmt: skip
            self._run(folder, "tpm2_nvincrement", hex(COUNTER_INDEX), "-C", "o")
            return self._count(folder)

    def _count(self, folder: Path) -> int:
        if not self._defined(folder):
            return 0
        raw = self._run(folder, "tpm2_nvread", hex(COUNTER_INDEX), "-C", "o", "-s", "8")
        return int.from_bytes(raw, "big")

    def _defined(self, folder: Path) -> bool:
        public = self._run(folder, "tpm2_getcap", "handles-nv-index").decode("ascii", "replace")
        return f"{COUNTER_INDEX:x}" in public.lower()

    def _flush(self, folder: Path) -> None:
        self._run(folder, "tpm2_flushcontext", "-t")

    def _run(self, folder: Path, name: str, *arguments: str, given: bytes = b"") -> bytes:
        quiet = ("-Q",) if name in _CHATTY else ()
        try:
            done = subprocess.run(
                [name, *quiet, *arguments],
                cwd=folder,
                input=given,
                capture_output=True,
                env=self._environment,
                timeout=_WAIT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as err:
            raise _failed(f"{name} does not run") from err
        if done.returncode:
            raise _failed(f"{name} failed with {done.returncode}")
        return done.stdout

    @contextlib.contextmanager
    def _folder(self) -> Iterator[Path]:
        with _PROCESS, tempfile.TemporaryDirectory(prefix="alpr-edge-tpm-") as name:
            handle = -1
            with contextlib.suppress(OSError):
                path = Path(tempfile.gettempdir()) / f"alpr-edge-tpm-{os.geteuid()}.lock"
                flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
                handle = os.open(path, flags, 0o600)
                fcntl.flock(handle, fcntl.LOCK_EX)
            try:
                yield Path(name)
            finally:
                if handle >= 0:
                    os.close(handle)


_CHATTY: Final = frozenset({
    *("tpm2_createprimary", "tpm2_create", "tpm2_load", "tpm2_readpublic", "tpm2_quote"),
    *("tpm2_createpolicy", "tpm2_nvdefine", "tpm2_nvincrement"),
})  # fmt: skip


def find_tpm(tcti: str | None = None) -> Tpm | None:
    """This machine's TPM, if there is one and tpm2-tools are installed."""
    there = tcti is not None or _TCTI in os.environ or _DEVICE.exists()
    return Tpm(tcti) if there and installed() else None


def installed() -> bool:
    """Whether tpm2-tools are there."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return any(os.access(Path(folder) / _TOOLS, os.X_OK) for folder in folders)


def _text(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode("ascii")


def _failed(message: str) -> KeyUnusable:
    return KeyUnusable(
        message,
        code="trust.tpm",
        hint="check tpm2-tools and that the service's user may use /dev/tpmrm0",
    )
