"""Edge: judges a fleet's rows in several processes, in the order of the table."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from typing import Final

from alpr_edge.exclusion.premises import Site
from alpr_edge.placement.check import Policy
from alpr_edge.placement.fleet import FleetRow, SiteIndex, check_row

Row = tuple[int, dict[str, str]]
_CHUNK: Final = 200
_FEW: Final = 400
"""For fewer rows other processes are not worth their start."""

_worker: list[tuple[SiteIndex, Policy]] = []
"""What a worker process was given at its start."""


def run_fleet(
    rows: Iterator[Row],
    sites: Sequence[Site],
    policy: Policy,
    *,
    jobs: int,
    progress: Callable[[int], None],
) -> list[FleetRow]:
    """Every row's verdict. `progress` is told how many are done."""
    index = SiteIndex(sites, policy.rules.reach_m)
    first = list(islice(rows, _FEW))
    if jobs < 2 or len(first) < _FEW:
        found = []
        for row in (*first, *rows):
            found.append(check_row(*row, index, policy))
            progress(len(found))
        return found
    found = []
    # A fresh interpreter: threads of OpenCV do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, _start, (tuple(sites), policy)) as pool:
        for part in pool.map(_run, _chunks([*first, *rows])):
            found += part
            progress(len(found))
    return found


def _chunks(rows: list[Row]) -> Iterator[list[Row]]:
    for start in range(0, len(rows), _CHUNK):
        yield rows[start : start + _CHUNK]


def _start(sites: Sequence[Site], policy: Policy) -> None:
    _worker[:] = [(SiteIndex(sites, policy.rules.reach_m), policy)]


def _run(rows: list[Row]) -> list[FleetRow]:
    index, policy = _worker[0]
    return [check_row(*row, index, policy) for row in rows]
