"""A reference view from the console: taken beside the reading, and never a way round a move."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from tests.console.console_samples import CITY, PASSWORD, Terminal
from tests.console.line_client import make_unit
from tests.console.test_unit import code_of, real
from tests.exclusion import view_samples as samples
from tests.exclusion.view_samples import SIZE, masked, noon

from alpr_edge.config.store import load
from alpr_edge.console.reference_taker import ReferenceTaker, load_view, taken_file
from alpr_edge.exclusion.view_reference import draw_edges, reference_json
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.envelope import sign
from alpr_edge.wiring.engine import load_reference
from alpr_edge.wiring.guard import make_mask_store
from alpr_edge.wiring.view_files import settle_reference
from alpr_edge.zone_set import ZonePolygon, ZoneSet


def until(taker: ReferenceTaker, *states: str) -> dict[str, object]:
    end = time.monotonic() + 60
    while (state := taker.state())["state"] not in states:
        assert time.monotonic() < end, state
        time.sleep(0.01)
    return state


def test_it_is_taken_while_frames_pass_and_lies_beside_the_one_in_use(tmp_path: Path) -> None:
    path = tmp_path / "view.json"
    taker = ReferenceTaker(path, lambda _size: samples.zones())
    assert taker.state() == {"state": "none"}
    taker.offer(masked(noon(0).copy(), 0))
    assert taker.state() == {"state": "none"}
    taker.start(10.0)
    for number in range(22):
        taker.offer(masked(noon(number % 3).copy(), number))
    told = until(taker, "taken", "failed")
    assert told["frames"] == 21
    taken, trouble = load_view(taken_file(path))
    assert trouble == ""
    assert taken is not None
    assert taken.digest == told["digest"]
    assert not path.exists()
    drawing = draw_edges(taken)
    assert 10 <= len(drawing) <= 64
    assert max(map(len, drawing)) <= 64
    assert set("".join(drawing)) <= set("-/|\\ ")
    assert "|" in "".join(drawing)


def test_other_masks_a_plain_view_and_no_frame_give_none(tmp_path: Path) -> None:
    path = tmp_path / "view.json"
    taker = ReferenceTaker(path, lambda _size: samples.zones())
    taker.start(10.0)
    taker.offer(masked(noon(0).copy(), 0))
    taker.offer(masked(noon(0).copy(), 1, at=replace(samples.zones(), digest="other")))
    assert "masks changed" in str(taker.state()["why"])
    taker.start(10.0)
    plain = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
    for number in range(22):
        taker.offer(masked(plain.copy(), number))
    assert "too plain" in str(until(taker, "failed")["why"])
    taker.start(10.0)
    taker._looked_s -= 60
    assert "no frame" in str(taker.state()["why"])
    assert list(tmp_path.iterdir()) == []


def commit(unit_of: Callable[[], object], view: str) -> None:
    """A record by the city's order that names a view."""
    unit = unit_of()
    zones = ZoneSet((ZonePolygon("door", ((0.2, 0.2), (0.6, 0.2), (0.6, 0.6))),))
    draft = unit.draft(zones, ["city"], "test", view)  # type: ignore[attr-defined]
    unit.commit_record(sign(DocumentType.MASK_RECORD, draft, CITY), 10)  # type: ignore[attr-defined]


def test_it_counts_when_confirmed_masks_name_it_and_from_the_next_start(tmp_path: Path) -> None:
    files = make_unit(tmp_path)
    text = files.config.read_text()
    files.config.write_text(
        text.replace("[exclusion]\n", '[exclusion]\nreference_file = "view.json"\n')
    )
    path, config = tmp_path / "view.json", load(files.config)
    # Missing: a unit that stays goes on without, and one that does not refuses.
    assert load_reference(config) is None
    exits = config.model_copy(update={"run": config.run.model_copy(update={"on_stop": "exit"})})
    assert code_of(load_reference, exits) == "exclusion.reference.missing"
    old = samples.reference()
    new = replace(old, frames=old.frames + 1)
    path.write_bytes(reference_json(old))
    taken_file(path).write_bytes(reference_json(new))

    def in_use_after_a_start() -> str:
        settle_reference(config)
        found = load_reference(config)
        assert found is not None
        return found.digest

    assert in_use_after_a_start() == old.digest
    commit(lambda: real(files), "none")
    assert in_use_after_a_start() == old.digest
    commit(lambda: real(files), old.digest)
    real(files).confirm_masks()
    assert in_use_after_a_start() == old.digest
    # Another view narrows, also by the same masks: it is pending, and the old one counts.
    unit = real(files)
    zones = unit.masks().zones
    assert zones is not None
    told = unit.preview(zones, new.digest)
    assert told.narrowings == ("it has another reference view: the same masks cover other ground",)
    commit(lambda: real(files), new.digest)
    state = make_mask_store(config).load().state
    assert len(state.records) == 2
    assert state.confirm_before is not None
    assert state.confirm_before > datetime.now(UTC) + timedelta(minutes=1)
    assert in_use_after_a_start() == old.digest
    real(files).confirm_masks()
    # In this run the old one is still compared with, and the masks do not fit it.
    assert real(files).reference()["in_use"] == old.digest
    assert real(files).reference()["required_by_masks"] == new.digest
    assert in_use_after_a_start() == new.digest
    # A damaged one in use is replaced as well; one that nobody named never is.
    path.write_bytes(b"damaged")
    assert "cannot be used" in real(files).reference()["trouble"]
    assert in_use_after_a_start() == new.digest
    taken_file(path).write_bytes(reference_json(old))
    assert in_use_after_a_start() == new.digest
    assert real(files).reference(40)["edges"]


def test_on_the_console_another_view_takes_a_second_person(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path / "console")
    terminal.log_in("anna")
    assert "console.reference.none" in terminal.type("configure\nset reference taken")
    terminal.type("add mask door rectangle 0.25,0.25 0.5,0.5")
    terminal.type(f"commit reason first\nsam\n{PASSWORD}")
    terminal.type(f"{PASSWORD}\n{terminal.code('sam')}")
    out = terminal.type("exit\nreference take seconds 20\nyes")
    assert "counts for nothing until masks name it" in out
    terminal.type(f"configure\nset reference taken\ncommit reason view\n{PASSWORD}")
    assert terminal.unit.state.newest is not None
    first = terminal.unit.state.newest.record.reference
    assert first == terminal.unit.taken
    terminal.unit.view = first
    # And now another one: narrower, by one person's word not to be had.
    terminal.type("exit\nreference take\nyes\nconfigure\nset reference taken")
    assert "cover other ground" in terminal.type("compare")
    assert "reference view: as it is" not in terminal.type("show candidate | no-more")
    out = terminal.type(f"commit reason moved\nsam\n{PASSWORD}")
    assert terminal.unit.state.newest.record.reference == first
    terminal.type(f"{PASSWORD}\n{terminal.code('sam')}")
    assert len(terminal.unit.state.records) == 2
    out = terminal.type("confirm")
    assert "counts from the next start" in out
    assert terminal.unit.state.newest.record.reference == terminal.unit.taken != first
    assert "-|" in terminal.type("show reference drawing | no-more")
    assert terminal.defects == []
