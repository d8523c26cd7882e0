"""What the acceptance suite shares: the unit of the environment, options, and the results.

Without a labgrid environment every test is skipped, and says so.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hil_tests.bench import scenario as scenarios
from hil_tests.bench.programs import REPOSITORY, device_python, run
from hil_tests.bench.verdict import BenchError

REASON = "no unit to test: `make hil`, `make hil-emulated`, or --lg-env hil_tests/env/NAME.yaml"
NOT_APPLICABLE = "not applicable: "
RESULTS = pytest.StashKey[dict[str, Any]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("bench")
    group.addoption(
        "--scenario", default="crossing", help="folder below hil_tests/scenarios, or anywhere"
    )
    group.addoption("--replay", action="store_true", help="compare with the scenario's reference")
    group.addoption(
        "--update-references",
        action="store_true",
        help="show what differs from the reference, then write it anew",
    )
    group.addoption("--results", metavar="FILE", help="where the results go, as JSON")
    group.addoption(
        "--soak-hours", type=float, default=0.0, help="length of the soak (0: 20 seconds)"
    )
    group.addoption("--station", action="append", metavar="NAME", help="these stations only")
    group.addoption(
        "--quick", action="store_true", help="only what is marked so: what every `make test` runs"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    image = Path(os.environ.get("ALPR_EDGE_HIL_CACHE", "~/.cache/alpr-edge-hil")).expanduser()
    os.environ.setdefault("LG_HIL_IMAGE", str(image / "image"))
    # A short path: the names of sockets in it are limited to a hundred letters.
    folder = tempfile.mkdtemp(prefix="alpr-bench-")
    os.environ["LG_BENCH_RUN"] = folder
    config.stash[RESULTS] = {
        "items": [],
        "facts": {},
        "series": {},
        "pictures": {},
        "folder": folder,
    }


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    stations = config.getoption("station")
    is_quick = config.getoption("quick")

    def stays(item: pytest.Item) -> bool:
        mark = item.get_closest_marker("station")
        of_station = not stations or (mark is not None and mark.args[0] in stations)
        return of_station and (not is_quick or item.get_closest_marker("quick") is not None)

    gone = [item for item in items if not stays(item)]
    if gone:
        config.hook.pytest_deselected(items=gone)
        items[:] = [item for item in items if stays(item)]


def pytest_unconfigure(config: pytest.Config) -> None:
    results = config.stash.get(RESULTS, None)
    if results is None:
        return
    out = config.getoption("results")
    if out and results["items"]:
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        Path(out).write_text(json.dumps(results, indent=1) + "\n")
    if os.environ.get("ALPR_EDGE_KEEP_RUN"):
        return
    shutil.rmtree(results["folder"], ignore_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" or report.outcome != "passed":
        items = item.config.stash[RESULTS]["items"]
        mark = item.get_closest_marker("station")
        why = ""
        if report.outcome == "skipped" and isinstance(report.longrepr, tuple):
            why = str(report.longrepr[2]).removeprefix("Skipped: ")
        elif report.outcome == "failed":
            why = _cause(call) or str(getattr(report.longrepr, "reprcrash", "failed"))[-600:]
        outcome = report.outcome
        if outcome == "skipped" and why.startswith(NOT_APPLICABLE):
            outcome, why = "not_applicable", why.removeprefix(NOT_APPLICABLE)
        if outcome == "failed" and report.when == "teardown" and items:
            why = f"afterwards: {why}"
        items.append(
            {
                "station": mark.args[0] if mark else "",
                "test": item.nodeid.split("::", 1)[-1],
                "what": (getattr(item, "obj", None).__doc__ or "").strip().split("\n")[0],
                "outcome": outcome,
                "why": why,
                "seconds": round(report.duration, 2),
                "measured": dict(report.user_properties),
            }
        )
    return report


def _cause(call: pytest.CallInfo[None]) -> str:
    """What the bench itself says of it, behind whatever labgrid wrapped round it."""
    error = call.excinfo.value if call.excinfo is not None else None
    while error is not None:
        if isinstance(error, BenchError):
            return str(error)[:600]
        error = error.__cause__
    return ""


class Facts:
    """What the report tells of the unit, and series to plot: name → [(seconds, value)]."""

    def __init__(self, results: dict[str, Any]) -> None:
        self._results, self._began = results, time.monotonic()

    def note(self, **facts: Any) -> None:
        self._results["facts"].update(facts)

    def point(self, series: str, value: float) -> None:
        at = round(time.monotonic() - self._began, 1)
        self._results["series"].setdefault(series, []).append([at, value])

    def picture(self, name: str, jpeg: bytes) -> None:
        self._results["pictures"][name] = base64.b64encode(jpeg).decode("ascii")


@pytest.fixture(scope="session")
def facts(pytestconfig: pytest.Config) -> Facts:
    return Facts(pytestconfig.stash[RESULTS])


@pytest.fixture(scope="session")
def scenario(pytestconfig: pytest.Config) -> dict[str, Any]:
    """The scenario's file, with its folder."""
    folder = REPOSITORY / "hil_tests" / "scenarios" / pytestconfig.getoption("scenario")
    if not (folder / "scenario.json").exists():
        raise BenchError(f"no scenario in {folder}", code="bench.setup", hint="--scenario FOLDER")
    return {**json.loads((folder / "scenario.json").read_text()), "folder": folder}


@pytest.fixture(scope="session")
def unit(
    request: pytest.FixtureRequest, pytestconfig: pytest.Config, facts: Facts, scenario: Any
) -> Iterator[Any]:
    """The strategy of the environment's target, with a city, a broker and the scenario's street."""
    if not pytestconfig.getoption("lg_env", default=None):
        pytest.skip(REASON)
    from hil_tests.bench.city import Broker, City

    target = request.getfixturevalue("target")
    strategy = target.get_driver("AlprUnitStrategy", activate=False)
    target.activate(strategy.link)
    hosts = [
        "127.0.0.1",
        "10.0.2.2",
        *request.getfixturevalue("env").config.get_option("hosts", []),
    ]
    street = scenario["street"]
    maker = REPOSITORY / "hil_tests" / "bench" / "make_street.py"
    options = [x for name, value in street.items() for x in (f"--{name}", value)]
    made = run([device_python(), maker, *options, "--out", strategy.street], timeout_s=900)
    made.checked("make_street.py")
    strategy.city = City(strategy.folder / "city", strategy.unit, hosts)
    strategy.broker = Broker(strategy.city)
    strategy.broker.start()
    image = Path(os.environ["LG_HIL_IMAGE"]) / "image.json"
    if (
        request.getfixturevalue("env").config.get_option("kind", "") == "emulated"
        and image.exists()
    ):
        facts.note(image=json.loads(image.read_text()))
    facts.note(
        unit=strategy.unit,
        kind=request.getfixturevalue("env").config.get_option("kind", "?"),
        environment=Path(pytestconfig.getoption("lg_env")).name,
        commit=run(["git", "rev-parse", "HEAD"], cwd=REPOSITORY).text.strip()[:40],
    )
    try:
        yield strategy
    finally:
        state = strategy.broker.states[-1] if strategy.broker.states else {}
        if "versions" in state:
            facts.note(digests=state["versions"])
        facts.note(timings_s={k: round(v, 1) for k, v in strategy.timings.items()})
        strategy.broker.close()
        strategy.power.off()


@pytest.fixture
def running(unit: Any) -> Any:
    """The unit, reading."""
    unit.transition("running")
    return unit


@pytest.fixture
def reviewed(pytestconfig: pytest.Config, scenario: dict[str, Any]) -> Callable[..., None]:
    """Compares what was found with the scenario's reference, or writes that anew, as asked for."""

    def review(found: dict[str, Any]) -> None:
        difference = scenarios.compare(scenario["folder"], found)
        if pytestconfig.getoption("update_references"):
            _show(pytestconfig, difference or "the reference stays as it is")
            if difference:
                scenarios.update(scenario["folder"], found)
        elif pytestconfig.getoption("replay") and difference:
            raise BenchError(
                f"not as in the reference:\n{difference}",
                code="bench.reference",
                hint="look why; --update-references, if it is right",
            )

    return review


def _show(config: pytest.Config, text: str) -> None:
    """On the terminal, whatever is captured."""
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        print(f"\n{text}", flush=True)


@pytest.fixture(scope="session")
def truth(unit: Any) -> dict[str, Any]:
    """Which plates of the scenario may be read, and which never."""
    return dict(json.loads((unit.street / "truth.json").read_text()))
