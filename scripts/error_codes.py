"""Writes docs/errors.md from the source: every error code, its class, exit status and hint.

Reads the syntax tree only and imports nothing of the program. `--check` writes nothing and fails
if the page is not what the source says.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "alpr_edge"
PAGE = ROOT / "docs" / "errors.md"
ROOMS = (
    "authority|capture|cli|config|console|delivery|exclusion|ledger|pipeline|placement|simulator|trust|"
    "vision|wiring"
)
CODE = re.compile(rf"({ROOMS})(\.[a-z0-9_]+)+")

HEAD = """\
# Errors

Every error that a user can meet is printed as `[code] what happened (what to do)`. A code never
changes its meaning. Exit status: 1 some input failed, 2 wrong usage or configuration, 3 refused by
policy. Written from the source by `make fix`; `make check` compares.

| code | class | exit | raised in | what to do |
| --- | --- | --- | --- | --- |
"""


@dataclass(frozen=True)
class Found:
    """One place that gives an error its code."""

    code: str
    kind: str
    module: str
    hint: str


def text_of(node: ast.expr | None) -> str:
    """A string as written, with `…` where a value is put in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(v) if isinstance(v, ast.Constant) else "…" for v in node.values)
    return ""


def class_defaults(tree: ast.Module) -> dict[str, tuple[str, int, str]]:
    """`{class: (code, exit status, base)}` of errors.py, with what is inherited filled in."""
    classes: dict[str, tuple[str, int, str]] = {}
    for node in tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        base = node.bases[0].id if node.bases and isinstance(node.bases[0], ast.Name) else ""
        code, status, _ = classes.get(base, ("", 1, ""))
        for line in node.body:
            if not (isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name)):
                continue
            if line.targets[0].id == "code":
                code = text_of(line.value)
            if line.targets[0].id == "exit_status" and isinstance(line.value, ast.Constant):
                status = int(str(line.value.value))
        classes[node.name] = (code, status, base)
    return classes


def module_name(path: Path) -> str:
    """`capture.photos` for `src/alpr_edge/capture/photos.py`."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def codes_in(path: Path, kinds: set[str]) -> Iterator[Found]:
    """Every error code that stands in the file as a string, with the error it is given to.

    A string counts as a code if it is dotted and begins with the name of a room.
    """
    tree = ast.parse(path.read_text("utf-8"), str(path))
    seen: set[int] = set()
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        if node.func.id not in kinds:
            continue
        hint = next((text_of(k.value) for k in node.keywords if k.arg == "hint"), "")
        for given in (k.value for k in node.keywords if k.arg == "code"):
            for part in ast.walk(given):
                seen.add(id(part))
                if CODE.fullmatch(text_of_expression(part)):
                    yield Found(text_of_expression(part), node.func.id, module_name(path), hint)
    for node in ast.walk(tree):
        if id(node) not in seen and CODE.fullmatch(text_of_expression(node)):
            yield Found(text_of_expression(node), "", module_name(path), "")


def text_of_expression(node: ast.AST) -> str:
    """The text of a string constant, nothing for any other node."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def page() -> str:
    """The whole page."""
    classes = class_defaults(ast.parse((SOURCE / "errors.py").read_text("utf-8")))
    found = [one for path in sorted(SOURCE.rglob("*.py")) for one in codes_in(path, set(classes))]
    defaults = {code: kind for kind, (code, _, _) in reversed(classes.items())}
    rows = []
    for code in sorted({one.code for one in found} | set(defaults)):
        here = [one for one in found if one.code == code]
        kind = next((one.kind for one in here if one.kind), defaults.get(code, ""))
        status = str(classes[kind][1]) if kind else ""
        modules = ", ".join(f"`{m}`" for m in sorted({one.module for one in here}))
        hints = "; ".join(dict.fromkeys(one.hint for one in here if one.hint)).replace("|", "\\|")
        where = modules or "the class's own code"
        rows.append(f"| `{code}` | {kind} | {status} | {where} | {hints} |\n")
    return HEAD + "".join(rows)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--check", action="store_true", help="compare, write nothing")
    mode.add_argument("--write", action="store_true", help="write docs/errors.md")
    if parser.parse_args().write:
        PAGE.write_text(page(), "utf-8")
        return 0
    if not PAGE.exists() or PAGE.read_text("utf-8") != page():
        print("docs/errors.md is not what the source says: run `make fix`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
