"""One key of a configuration's text set to another value; everything else stays as it was written.

Pure. The standard library reads TOML and writes none, and a file that people keep has comments. So
a line is replaced or added, and the result is read again: it must differ in that key alone.
"""

from __future__ import annotations

import json
import re
import tomllib

from alpr_edge.errors import ConfigError

_VALUE = r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^\s"'#\[{]+)"""
"""A text or a number on one line. What it takes for one is judged by reading the result again."""


def set_key(text: str, table: str, key: str, value: str | int) -> str:
    """The text with `key` of `[table]` set.

    Raises:
        ConfigError: `config.edit`: the text is no TOML, or does not write the key so that a line
            could be replaced.
    """
    literal = json.dumps(value)
    lines = text.splitlines(keepends=True)
    head = re.compile(rf"\s*\[\s*{re.escape(table)}\s*\]\s*(#.*)?$")
    begins = [number for number, line in enumerate(lines) if head.match(line.rstrip("\r\n"))]
    if len(begins) != 1:
        raise _cannot(f"the configuration has no table [{table}] on a line of its own")
    at = begins[0] + 1
    end = next((n for n in range(at, len(lines)) if lines[n].lstrip().startswith("[")), len(lines))
    written = re.compile(rf"\s*{re.escape(key)}\s*=")
    found = [number for number in range(at, end) if written.match(lines[number])]
    if found:
        line = re.match(
            rf"(\s*{re.escape(key)}\s*=\s*){_VALUE}(\s*(?:#.*)?)$", lines[found[0]], re.S
        )
        if line is None:
            raise _cannot(f"{table}.{key} is not written as a line of its own")
        lines[found[0]] = f"{line[1]}{literal}{line[2]}"
    else:
        ending = "\r\n" if lines[at - 1].endswith("\r\n") else "\n"
        if not lines[at - 1].endswith("\n"):
            lines[at - 1] += ending
        lines.insert(at, f"{key} = {literal}{ending}")
    changed = "".join(lines)
    try:
        wanted, is_now = tomllib.loads(text), tomllib.loads(changed)
        wanted[table][key] = value
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as err:
        raise _cannot(f"{table}.{key} is not written as a line of its own") from err
    if wanted != is_now:
        raise _cannot(f"{table}.{key} is not written as a line of its own")
    return changed


def _cannot(why: str) -> ConfigError:
    return ConfigError(why, code="config.edit", hint="change the file by hand, and have it signed")
