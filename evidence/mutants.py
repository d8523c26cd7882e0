"""Mutation testing of the gate and of what it rests on: `python -m evidence.mutants`.

    python -m evidence.mutants gate states reach kin held zones compare mask [--out FILE] [--list]

Does: makes one small change at a time in a module of `alpr_edge.exclusion` (a comparison turned,
`and` for `or`, a `not` or a call left out, plus for minus, a number one more, true for false,
`continue` for `break`), runs the tests of that module against it, and writes down which changes no
test noticed.
Does not: change defaults and constants at the top of modules and classes; those are chosen values,
and what they are worth is measured by the street, not asserted.

An own runner, not mutmut: a mutant must meet only the tests that are named for its module, forked
from one process with all libraries loaded, or the run takes a day. mutmut was not measured.

The file of results is gone on with when it exists and the code and tests are the same.
"""

from __future__ import annotations

import argparse
import ast
import copy
import hashlib
import importlib.util
import json
import os
import signal
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = {
    "gate": ["test_gate.py", "test_gate_stateful.py", "test_tiny_grid.py"],
    "states": ["test_states.py", "test_gate.py"],
    "reach": ["test_reach.py", "test_gate.py"],
    "kin": ["test_kin.py", "test_gate.py"],
    "held": ["test_held.py", "test_gate.py"],
    "zones": ["test_zones.py", "test_gate.py"],
    "mask": ["test_mask.py"],
    "compare": ["test_compare.py"],
}
TIMEOUT_S = 300
_TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_OTHER: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
    ast.Pow: ast.Mult,
}  # fmt: skip


def changes(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Every small change of one node, named."""
    if isinstance(node, ast.Compare):
        for i, operator in enumerate(node.ops):
            turned = copy.deepcopy(node)
            turned.ops[i] = _TURNED[type(operator)]()
            yield f"{type(operator).__name__} turned", turned
    elif isinstance(node, ast.BoolOp):
        swapped = copy.deepcopy(node)
        swapped.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield "and/or swapped", swapped
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not left out", node.operand
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "minus left out", node.operand
    elif isinstance(node, ast.BinOp) and type(node.op) in _OTHER:
        other = copy.deepcopy(node)
        other.op = _OTHER[type(node.op)]()
        yield f"{type(node.op).__name__} replaced", other
    elif isinstance(node, ast.AugAssign) and type(node.op) in _OTHER:
        changed = copy.deepcopy(node)
        changed.op = _OTHER[type(node.op)]()
        yield "augmented assignment replaced", changed
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "true/false swapped", ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield "one more", ast.Constant(node.value + 1)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield "call left out", ast.Pass()
    elif isinstance(node, ast.Continue):
        yield "break", ast.Break()


def mutants(source: str) -> Iterator[tuple[str, ast.Module]]:
    """(name, changed module) of everything within functions."""
    tree = ast.parse(source)
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        for parent in ast.walk(function):
            for field, value in ast.iter_fields(parent):
                if parent is function and field not in ("body",):
                    continue
                children = value if isinstance(value, list) else [value]
                for i, child in enumerate(children):
                    if not isinstance(child, ast.AST) or _is_annotation(parent, field):
                        continue
                    for name, changed in changes(child):
                        place = f"{function.name}:{getattr(child, 'lineno', 0)}"
                        column = getattr(child, "col_offset", 0)
                        original = ast.unparse(child)
                        _put(parent, field, i, value, changed)
                        yield f"{place}:{column} {name}: {original[:70]}", copy.deepcopy(tree)
                        _put(parent, field, i, value, child)


def _is_annotation(parent: ast.AST, field: str) -> bool:
    return field in ("annotation", "returns", "decorator_list") or isinstance(parent, ast.arg)


def _put(parent: ast.AST, field: str, i: int, value: object, new: ast.AST) -> None:
    if isinstance(value, list):
        value[i] = new
    else:
        setattr(parent, field, new)


def survives(module: str, tree: ast.Module, tests: list[str]) -> bool:
    """Whether all tests pass against the changed module. Runs in a forked process."""
    child = os.fork()
    if child == 0:
        os.setsid()
        quiet = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(quiet, stream)
        os._exit(_run(module, tree, tests))
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def _run(module: str, tree: ast.Module, tests: list[str]) -> int:
    import pytest

    name = f"alpr_edge.exclusion.{module}"
    path = ROOT / "src" / "alpr_edge" / "exclusion" / f"{module}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    changed = importlib.util.module_from_spec(spec)
    sys.modules[name] = changed
    try:
        exec(compile(ast.fix_missing_locations(tree), str(path), "exec"), changed.__dict__)
    except Exception:  # noqa: BLE001 - a mutant that cannot be imported is noticed
        return 1
    package = sys.modules.get("alpr_edge.exclusion") or types.ModuleType("none")
    setattr(package, module, changed)
    arguments = ["-x", "-q", "-p", "no:cacheprovider", "-W", "ignore"]
    return int(pytest.main([*arguments, *tests]))


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m evidence.mutants",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=", ".join(TESTS))
    parser.add_argument("--out", type=Path, default=Path("out/evidence/mutants.jsonl"))
    parser.add_argument("--part", default="0/1", help="i/n: every n-th mutant from the i-th")
    parser.add_argument("--list", action="store_true", help="only count them")
    args = parser.parse_args()
    import cv2
    import hypothesis
    import numpy
    import pytest

    assert all((cv2, hypothesis, numpy, pytest))
    os.chdir(ROOT)
    survivors = 0
    for module in args.modules or list(TESTS):
        survivors += _module(module, args)
    return 1 if survivors else 0


def _module(module: str, args: argparse.Namespace) -> int:
    source = (ROOT / "src" / "alpr_edge" / "exclusion" / f"{module}.py").read_text("utf-8")
    tests = [str(ROOT / "tests" / "exclusion" / name) for name in TESTS[module]]
    parts = [source.encode(), *(Path(test).read_bytes() for test in tests)]
    digest = hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
    done = _stored(args.out, digest)
    part, of = (int(x) for x in args.part.split("/"))
    all_of_them = [m for i, m in enumerate(mutants(source)) if i % of == part]
    if args.list:
        print(f"{module}: {len(all_of_them)} mutants")
        return 0
    if not survives(module, ast.parse(source), tests):
        raise SystemExit(f"{module}: the tests fail without any change; see pytest {tests[0]}")
    alive = []
    for name, tree in all_of_them:
        if name not in done:
            done[name] = survives(module, tree, tests)
            args.out.parent.mkdir(parents=True, exist_ok=True)
            with args.out.open("a", encoding="utf-8") as lines:
                row = {"digest": digest, "module": module, "name": name, "alive": done[name]}
                lines.write(json.dumps(row) + "\n")
        if done[name]:
            alive.append(name)
            print(f"{module}.{name}: SURVIVES", flush=True)
    print(f"{module}: {len(all_of_them) - len(alive)} of {len(all_of_them)} noticed", flush=True)
    return len(alive)


def _stored(path: Path, digest: str) -> dict[str, bool]:
    if not path.is_file():
        return {}
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    return {row["name"]: row["alive"] for row in rows if row["digest"] == digest}


if __name__ == "__main__":
    sys.exit(main())
