"""TOML text → frozen `DeviceConfig`, or one `ConfigError` with every problem in it.

Pure: `store` reads the file. Rules:

- Every problem is reported at once, in the order of the file's sections, one line each:
  `detector.min_score: 1.7 is not within [0, 1]`.
- An unknown key is refused, with the known one that it resembles.
- What a line shows of the input is short and printable; an address never shows at all, because
  people put passwords in addresses.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from typing import Any, Final

from pydantic import ValidationError

from alpr_edge.config.explain import explain
from alpr_edge.config.models import DeviceConfig
from alpr_edge.config.rules import disagreements
from alpr_edge.errors import ConfigError

MAX_CONFIG_BYTES: Final = 64 * 1024
"""The longest shipped file has 4 KiB; tomllib takes quadratic time on hostile nesting."""
MAX_PROBLEMS: Final = 100
_HINT: Final = "compare with configs/devices/*.toml; `alpr-edge config check FILE` checks again"


def parse(text: str | bytes, *, source: str, folder: str = "") -> DeviceConfig:
    """The configuration in a TOML document.

    Args:
        text: the document; bytes must be UTF-8.
        source: its name, for messages.
        folder: what relative paths in it are relative to.

    Raises:
        ConfigError: `config.empty`, `.too_large`, `.encoding`, `.syntax` or `.invalid`; the last
            with all problems.
    """
    tables = _tables(_decoded(text, source), source)
    problems: list[str] = []
    config = None
    try:
        config = DeviceConfig.model_validate(tables, context={"folder": folder})
    except ValidationError as err:
        # The whole-device check repeats `disagreements`; those lines come from below.
        problems += [explain(error) for error in err.errors() if error["loc"]]
    problems += disagreements(tables)
    if config is None or problems:
        raise _invalid(source, problems)
    return config


def config_digest(config: DeviceConfig) -> str:
    """SHA-256 in hex over the canonical JSON of all values, defaults included.

    Layout and comments of the file do not count, nor does the folder it lies in.
    """
    values = config.model_dump(mode="json")
    canonical = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _decoded(text: str | bytes, source: str) -> str:
    if len(text) > MAX_CONFIG_BYTES:
        raise ConfigError(
            f"{source} is larger than {MAX_CONFIG_BYTES} bytes",
            code="config.too_large",
            hint="a device's configuration has a few kilobytes; is this the right file?",
        )
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as err:
            line = err.object.count(b"\n", 0, err.start) + 1
            raise ConfigError(
                f"{source} is not UTF-8 text (line {line}, byte {err.start})",
                code="config.encoding",
                hint="save it as UTF-8",
            ) from err
    text = text.removeprefix("\ufeff")  # laptops' editors put a byte order mark
    if not text.strip():
        raise ConfigError(f"{source} is empty", code="config.empty", hint=_HINT)
    return text


def _tables(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        reason = str(err)
    except RecursionError:
        reason = "tables or lists are nested too deeply"
    except ValueError:  # an integer of thousands of digits, a date that does not exist
        reason = "a number or date is out of range"
    raise ConfigError(
        f"{source} is not valid TOML: {reason}",
        code="config.syntax",
        hint="text needs quotes; sections look like [mqtt]",
    )


def _invalid(source: str, problems: list[str]) -> ConfigError:
    count = len(problems)
    shown = problems[:MAX_PROBLEMS]
    if count > MAX_PROBLEMS:
        shown.append(f"and {count - MAX_PROBLEMS} more")
    things = "1 problem" if count == 1 else f"{count} problems"
    return ConfigError(f"{source}: {things}", hint=_HINT, problems=tuple(shown))
