"""Long measurements in pieces, each kept when done, so that a run goes on where it stopped.

Does: runs what is not done yet, writes one line of JSON a piece, says how far it is and how long
the rest will take; gives a digest of all code and data that a result depends on.
Does not: know what is measured.

Rules: a piece counts only under the digest of the code that made it. The digest covers the modules
named and all modules of this project that they import, directly or not; a changed gate makes the
street anew, and not the view. A line that a power cut has torn is made again.
"""

from __future__ import annotations

import ast
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_PLACES = {"alpr_edge": ROOT / "src", "evidence": ROOT, "tests": ROOT, "scripts": ROOT}
Row = dict[str, Any]
Say = Callable[[str], object]
_SAY_EVERY_S = 20.0


def run_pieces(
    store: Path, digest: str, keys: Sequence[str], work: Callable[[str], Row] | None, say: Say
) -> dict[str, Row]:
    """The rows of all keys, in their order; those that are not in the store are made.

    Args:
        digest: of what the rows depend on; others in the store are passed over.
        work: None makes nothing; what is not in the store is missing then.
        say: gets a line of progress now and then.
    """
    known = stored(store, digest)
    if work is None:
        return {key: known[key] for key in keys if key in known}
    left = [key for key in keys if key not in known]
    if len(left) < len(keys):
        say(f"{store.stem}: {len(keys) - len(left)} of {len(keys)} pieces are already there")
    store.parent.mkdir(parents=True, exist_ok=True)
    began = said = time.monotonic()
    with store.open("a", encoding="utf-8") as lines:
        for number, key in enumerate(left, 1):
            at, cpu = time.monotonic(), time.process_time()
            row = work(key)
            spent = {
                "took_s": round(time.monotonic() - at, 3),
                "cpu_s": round(time.process_time() - cpu, 3),
            }
            known[key] = row = {"digest": digest, "key": key, **spent, **row}
            lines.write("\n" + json.dumps(row))
            lines.flush()
            now = time.monotonic()
            if now - said > _SAY_EVERY_S or number == len(left):
                said = now
                rest = timedelta(seconds=round((now - began) / number * (len(left) - number)))
                say(f"{store.stem}: {len(keys) - len(left) + number} of {len(keys)}, {rest} left")
    return {key: known[key] for key in keys}


def stored(store: Path, digest: str) -> dict[str, Row]:
    """What a store holds under a digest."""
    rows = all_rows(store)
    return {str(row["key"]): row for row in rows if row.get("digest") == digest and "key" in row}


def all_rows(store: Path) -> Iterator[Row]:
    """What a store holds under any digest, the oldest first."""
    if not store.is_file():
        return
    for line in store.read_text("utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            yield row


def seconds(rows: Mapping[str, Row]) -> float:
    """Processor time that the rows took, this process's own."""
    return float(sum(row.get("cpu_s", 0.0) for row in rows.values()))


def code_digest(modules: Iterable[str], data: Iterable[Path] = ()) -> str:
    """SHA-256 over the sources of the modules, of all they import from here, and of data files."""
    parts = []
    for path in {*closure(modules), *data}:
        is_data = not path.is_relative_to(ROOT)
        name = Path(path.name) if is_data else path.relative_to(ROOT)
        content = _meaning(path) if path.suffix == ".py" else path.read_bytes()
        parts.append((is_data, name, hashlib.sha256(content).digest()))
    digest = hashlib.sha256()
    # In an order that is the same wherever the checkout and the data lie.
    for _, name, content in sorted(parts):
        digest.update(name.as_posix().encode() + b"\0" + content)
    return digest.hexdigest()


def _meaning(path: Path) -> bytes:
    """A source without what changes no result: comments, layout, docstrings."""
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [one for one in body if not _is_text(one)]  # type: ignore[attr-defined]
    return ast.dump(tree).encode()


def _is_text(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def closure(modules: Iterable[str]) -> set[Path]:
    """Source files of modules and of all modules of this project that they import."""
    found: set[Path] = set()
    waiting = list(modules)
    while waiting:
        path = _source(waiting.pop())
        if path is None or path in found:
            continue
        found.add(path)
        waiting += _imports(path)
        package = ".".join(path.with_suffix("").relative_to(_root_of(path)).parts[:-1])
        waiting += [package] if package else []
    return found


def _source(module: str) -> Path | None:
    place = _PLACES.get(module.partition(".")[0])
    if place is None:
        return None
    path = place.joinpath(*module.split("."))
    for one in (path.with_suffix(".py"), path / "__init__.py"):
        if one.is_file():
            return one
    return None


def _root_of(path: Path) -> Path:
    return next(root for root in _PLACES.values() if path.is_relative_to(root))


def _imports(path: Path) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names
