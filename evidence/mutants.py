"""Mutation testing of the gate and of what it rests on: `python -m evidence.mutants`.

    python -m evidence.mutants gate states reach kin held zones compare mask [--out FOLDER] [--list]

Does: makes one small change at a time in a module of `alpr_edge.exclusion` (a comparison turned,
`and` for `or`, a `not` or a call left out, plus for minus, a number one more, true for false,
`continue` for `break`), runs the tests of that module against it, and writes down which changes no
test noticed.
Does not: change defaults and constants at the top of modules and classes; those are chosen values,
and what they are worth is measured by the street, not asserted.

An own runner (`evidence.mutant_run`), not mutmut: a mutant meets only the tests that call the
changed function, forked from one process with all libraries loaded, or the run takes a day. mutmut
was not measured.

Results are kept in pieces: it goes on where it stopped while module and tests are the same. When
they changed, the test that noticed a mutant last time is the first to be tried.
`mutants-explained.txt` names survivors and why no test can or need tell them from the original.
"""

from __future__ import annotations

import argparse
import ast
import copy
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from evidence import mutant_run
from evidence.pieces import Row, Say, all_rows, code_digest, run_pieces

TESTS = {
    "gate": ["test_gate.py", "test_gate_rules.py", "test_gate_stateful.py", "test_tiny_grid.py"],
    "states": ["test_states.py", "test_gate.py"],
    "reach": ["test_reach.py", "test_gate.py"],
    "kin": ["test_kin.py", "test_gate.py"],
    "held": ["test_held.py", "test_gate.py"],
    "zones": ["test_zones.py", "test_gate.py"],
    "mask": ["test_mask.py"],
    "release_hold": ["test_release_hold.py"],
    "compare": ["test_compare.py"],
}
EXPLAINED = Path(__file__).with_name("mutants-explained.txt")
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


def mutants(source: str) -> Iterator[tuple[str, str, ast.Module]]:
    """(name, qualified name of the outermost function, changed module) of all within functions.

    The module is one and the same, and changed back when the next mutant is asked for.
    """
    tree = ast.parse(source)
    for qualified, function in _functions(tree.body, ""):
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
                        yield f"{place}:{column} {name}: {original[:70]}", qualified, tree
                        _put(parent, field, i, value, child)


def _functions(body: list[ast.stmt], within: str) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in body:
        if isinstance(node, ast.FunctionDef):
            yield within + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node.body, f"{within}{node.name}.")


def _is_annotation(parent: ast.AST, field: str) -> bool:
    return field in ("annotation", "returns", "decorator_list") or isinstance(
        parent, ast.arg | ast.arguments
    )


def _put(parent: ast.AST, field: str, i: int, value: object, new: ast.AST) -> None:
    if isinstance(value, list):
        value[i] = new
    else:
        setattr(parent, field, new)


@cache
def keys(module: str) -> list[str]:
    """Names of all mutants of a module."""
    return [name for name, _, _ in _named(module)]


def digest(module: str) -> str:
    """Of the module, of all that it and its tests rest on, and of this runner."""
    tests = [f"tests.exclusion.{name.removesuffix('.py')}" for name in TESTS[module]]
    return code_digest([f"{mutant_run.PACKAGE}.{module}", "evidence.mutants", *tests])


def try_all(module: str, store: Path, wanted: list[str], say: Say) -> dict[str, Row]:
    """The rows of the mutants named; those that the store does not hold are tried.

    Raises:
        RuntimeError: the tests fail without any change.
    """
    kept = run_pieces(store, digest(module), wanted, None, say)
    if len(kept) < len(wanted):
        made = {
            name: mutant_run.Mutant(function, mutant_run.compiled(module, tree))
            for name, function, tree in _named(module)
            if name in wanted
        }

        def loop(work: mutant_run.Work) -> None:
            run_pieces(store, digest(module), wanted, work, say)

        mutant_run.run(module, TESTS[module], made, loop, _hints(store, wanted))
    return run_pieces(store, digest(module), wanted, None, say)


def _hints(store: Path, wanted: list[str]) -> dict[str, str]:
    """The tests that noticed mutants of the same words before, under whatever code."""
    before = {}
    for row in all_rows(store):
        before[_words(str(row.get("key")))] = str(row.get("by", ""))
    return {key: before[_words(key)] for key in wanted if _words(key) in before}


def explained() -> dict[str, str]:
    """Survivors that are known, by module, function and change, and the reason of each."""
    found: dict[str, str] = {}
    for line in EXPLAINED.read_text("utf-8").splitlines():
        name, arrow, reason = line.partition(" => ")
        if arrow and not line.startswith("#"):
            found[name.strip()] = reason.strip()
    return found


def explanation(known: dict[str, str], module: str, key: str) -> str:
    """Why a mutant may survive; empty where nobody said so. Lines and columns do not count."""
    return known.get(f"{module}.{_words(key)}", "")


def _words(key: str) -> str:
    place, _, change = key.partition(" ")
    return f"{place.split(':')[0]} {change.split(' #')[0]}"


def _text(module: str) -> str:
    return mutant_run.source_of(module).read_text("utf-8")


def _named(module: str) -> Iterator[tuple[str, str, ast.Module]]:
    """As `mutants`, with a number where two have the same name."""
    seen: set[str] = set()
    for name, function, tree in mutants(_text(module)):
        own = name if name not in seen else f"{name} #{len(seen)}"
        seen.add(own)
        yield own, function, tree


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m evidence.mutants",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=", ".join(TESTS))
    parser.add_argument("--out", type=Path, default=Path("out/evidence"))
    parser.add_argument("--part", default="0/1", help="i/n: every n-th mutant from the i-th")
    parser.add_argument("--match", default="", help="only mutants whose name this regex finds")
    parser.add_argument("--list", action="store_true", help="only count them")
    args = parser.parse_args()
    part, of = (int(x) for x in args.part.split("/"))
    known, unclear = explained(), 0
    for module in args.modules or list(TESTS):
        wanted = [key for key in keys(module)[part::of] if re.search(args.match, key)]
        if args.list:
            print(f"{module}: {len(wanted)} mutants")
            continue
        store = args.out.absolute() / f"mutants-{module}.jsonl"
        rows = try_all(module, store, wanted, print)
        alive = [key for key, row in rows.items() if row["alive"]]
        for key in alive:
            reason = explanation(known, module, key)
            unclear += not reason
            print(f"{module}.{key}: survives{': ' + reason if reason else ', NOT EXPLAINED'}")
        print(f"{module}: {len(rows) - len(alive)} of {len(rows)} noticed", flush=True)
    return 1 if unclear else 0


if __name__ == "__main__":
    sys.exit(main())
