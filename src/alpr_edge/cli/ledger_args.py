"""What the commands about ledgers share: which ledger, which keys, progress."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alpr_edge.ledger.note import VerifierKey


def ledger_path(args: argparse.Namespace) -> Path:
    """The ledger that the arguments name.

    Raises:
        ConfigError: neither a ledger nor a configuration is given, or the latter is wrong.
    """
    from alpr_edge.config.store import load
    from alpr_edge.errors import ConfigError

    given: Path | None = getattr(args, "ledger", None)
    if given is not None:
        return given
    if args.config is None:
        raise ConfigError(
            "no ledger is named",
            code="ledger.unnamed",
            hint="give a ledger's folder or an export, or --config for the live one",
        )
    return Path(load(args.config).ledger.path)


def read_keys(paths: list[Path]) -> list[VerifierKey]:
    """Verifier keys from files, one a line; `#` begins a comment.

    Raises:
        AuditError: a file cannot be read or a line is no key.
    """
    from alpr_edge.ledger.note import VerifierKey

    lines = [
        line.partition("#")[0].strip()
        for path in paths
        for line in read_file(path).decode("utf-8", "replace").split("\n")
    ]
    return [VerifierKey.parse(line) for line in lines if line]


def own_keys(args: argparse.Namespace) -> list[VerifierKey]:
    """The verifier keys of the device of `--config`.

    Raises:
        ConfigError, KeyUnusable: none is given, or it cannot be used.
    """
    from alpr_edge.config.store import load
    from alpr_edge.errors import ConfigError
    from alpr_edge.ledger.setup import device_ledger_identity

    if args.config is None:
        raise ConfigError(
            "no verifier key is given",
            code="ledger.key.unnamed",
            hint="give --key FILE, made on the device with `alpr-edge ledger key`",
        )
    config = load(args.config)
    folder, keep_in = Path(config.ledger.identity), config.trust.keep_key_in
    return list(device_ledger_identity(config.device.id, folder, keep_in).keys)


def read_file(path: Path) -> bytes:
    """A file's bytes.

    Raises:
        AuditError: it cannot be read.
    """
    from alpr_edge.errors import AuditError

    try:
        return path.read_bytes()
    except OSError as err:
        raise AuditError(
            f"{path}: {err.strerror}", code="ledger.file.unreadable", hint="check the name"
        ) from err


def progress_line(done: int, of: int) -> None:
    """A line that rewrites itself, on a terminal only, for logs that take a while."""
    if of > 50_000 and sys.stderr.isatty():
        end = "\n" if done >= of else ""
        print(f"\r{done:,} of {of:,} entries", end=end, file=sys.stderr, flush=True)
