"""Long measurements go on where they stopped, and only for the code that made them."""

from __future__ import annotations

from pathlib import Path

import pytest
from evidence.pieces import ROOT, closure, code_digest, run_pieces, stored


def test_a_run_that_was_stopped_goes_on_and_makes_nothing_twice(tmp_path: Path) -> None:
    store, made = tmp_path / "part.jsonl", []

    def work(key: str) -> dict[str, object]:
        if key == "c" and made.count("c") == 0:
            made.append("c")
            raise KeyboardInterrupt
        made.append(key)
        return {"value": key * 2}

    with pytest.raises(KeyboardInterrupt):
        run_pieces(store, "d1", ["a", "b", "c"], work, str)
    said: list[str] = []
    rows = run_pieces(store, "d1", ["a", "b", "c"], work, said.append)
    assert made == ["a", "b", "c", "c"]
    assert [row["value"] for row in rows.values()] == ["aa", "bb", "cc"]
    assert said[0] == "part: 2 of 3 pieces are already there"
    assert said[-1] == "part: 3 of 3, 0:00:00 left"
    assert list(run_pieces(store, "d1", ["a", "x"], None, str)) == ["a"]


def test_other_code_makes_all_anew_and_a_torn_line_too(tmp_path: Path) -> None:
    store = tmp_path / "part.jsonl"
    run_pieces(store, "d1", ["a", "b"], lambda key: {}, str)
    assert stored(store, "d2") == {}
    whole = store.read_bytes()
    store.write_bytes(whole[:-9])
    assert set(stored(store, "d1")) == {"a"}
    made: list[str] = []
    run_pieces(store, "d1", ["a", "b"], lambda key: {"n": made.append(key)}, str)
    assert made == ["b"]
    assert set(stored(store, "d1")) == {"a", "b"}


def test_the_digest_covers_what_is_imported_and_no_more(tmp_path: Path) -> None:
    names = {path.relative_to(ROOT).as_posix() for path in closure(["evidence.mix"])}
    assert "src/alpr_edge/exclusion/gate.py" in names
    assert "src/alpr_edge/vision/tracker.py" in names
    assert "evidence/mix.py" in names
    assert not any("view_watch" in name or "delivery" in name for name in names)
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"1")
    before = code_digest(["evidence.mix"], [photo])
    assert before == code_digest(["evidence.mix"], [photo])
    photo.write_bytes(b"2")
    assert code_digest(["evidence.mix"], [photo]) != before


def test_the_digest_does_not_tell_where_the_data_lies(tmp_path: Path) -> None:
    digests = set()
    for folders in (("a", "b"), ("z", "a")):
        files = []
        for name, folder in zip(("1.jpg", "2.jpg"), folders, strict=True):
            (tmp_path / folder).mkdir(exist_ok=True)
            files.append(tmp_path / folder / name)
            files[-1].write_bytes(name.encode())
        digests.add(code_digest(["evidence.pieces"], files))
    assert len(digests) == 1
