"""Mutants are tried against the tests of their module, and what no test notices is said."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest
from evidence import mutant_run, mutants


def test_every_explained_mutant_exists_and_has_a_reason() -> None:
    for name, reason in mutants.explained().items():
        module = name.partition(".")[0]
        known = {name: reason}
        assert len(reason) > 20, name
        assert any(mutants.explanation(known, module, key) for key in mutants.keys(module)), name


def test_a_mutant_is_noticed_and_named_with_its_test_and_found_at_once_again(
    tmp_path: Path,
) -> None:
    store = tmp_path / "mutants-release_hold.jsonl"
    keys = mutants.keys("release_hold")[:4]
    rows = mutants.try_all("release_hold", store, keys, str)
    assert [rows[key]["alive"] for key in keys] == [False] * len(keys)
    assert all("test_release_hold.py::" in row["by"] for row in rows.values())
    before = store.read_bytes()
    assert mutants.try_all("release_hold", store, keys, str) == rows
    assert store.read_bytes() == before


def test_a_change_that_no_test_can_notice_is_alive(tmp_path: Path) -> None:
    """The module as it is, called a mutant; and one in a function that no test calls."""
    text = mutant_run.source_of("states").read_text("utf-8")
    unchanged = mutant_run.compiled("states", mutants.ast.parse(text))
    made = {
        "unchanged": mutant_run.Mutant("advance", unchanged),
        "elsewhere": mutant_run.Mutant("nobody_calls_this", unchanged),
    }
    out = tmp_path / "rows"

    def loop(work: mutant_run.Work) -> None:
        out.write_text(json.dumps({key: work(key) for key in made}), "utf-8")

    mutant_run.run("states", ["test_states.py"], made, loop, {})
    rows = json.loads(out.read_text("utf-8"))
    assert rows["unchanged"]["alive"]
    assert rows["unchanged"]["by"] == ""
    assert rows["elsewhere"]["alive"]
    assert rows["elsewhere"]["by"] == mutant_run.NEVER_CALLED


@pytest.mark.parametrize("module", mutants.TESTS)
def test_every_changed_function_is_found_in_its_module(module: str) -> None:
    loaded = importlib.import_module(f"{mutant_run.PACKAGE}.{module}")
    known = {one.__code__.co_qualname for one in mutant_run.functions_of(loaded)}
    changed = {
        name for _, name, _ in mutants.mutants(Path(str(loaded.__file__)).read_text("utf-8"))
    }
    assert changed
    assert changed <= known
