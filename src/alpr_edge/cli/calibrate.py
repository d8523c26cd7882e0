"""`alpr-edge calibrate`: leads a technician to a camera's place, direction and lens."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alpr_edge.placement.lens_fit import LensFit
    from alpr_edge.placement.pose_fit import Fit
    from alpr_edge.placement.session import CalibrationSession, Question

_EPILOG = """\
examples:
  alpr-edge calibrate --out cam.json                       asks, one question at a time
  alpr-edge calibrate --from calibration.toml --out cam.json
  alpr-edge calibrate --board photos/ --board-size 9x6 --out cam.json

`back` takes the last answer away, `?` explains, Ctrl-D gives up. Exit status 2: refused, with the
reason. docs/placement.md shows how to choose points.
"""


def register(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "calibrate",
        help="find out where a camera stands and looks",
        description="Place, direction and lens of a camera, from measures or surveyed points.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", required=True, metavar="FILE", help="the camera, as JSON")
    parser.add_argument("--from", dest="answers", metavar="FILE", help="answers in TOML")
    parser.add_argument("--board", metavar="DIR", help="pictures of a checkerboard, for the lens")
    parser.add_argument(
        "--board-size", default="9x6", metavar="AxB", help="its inner corners (9x6)"
    )
    parser.add_argument("--json", action="store_true", help="residuals as JSON")
    parser.set_defaults(call=call)


def call(args: argparse.Namespace) -> int:
    """Ask or read the answers, fit, show, write.

    Raises:
        ConfigError: the answers cannot be used, or the calibration is refused.
    """
    from alpr_edge.placement.camera_file import camera_values
    from alpr_edge.placement.files import write
    from alpr_edge.placement.session import CalibrationSession

    board = _board(args) if args.board else None
    if args.answers:
        session = CalibrationSession.from_answers(_answers(args.answers), board)
    else:
        asked = _ask(CalibrationSession(board=board))
        if asked is None:
            return 2
        session = asked
    fit = session.fit()
    text = json.dumps(camera_values(fit.camera), indent=1) + "\n"
    write(Path(args.out), text.encode("ascii"))
    print(json.dumps(_values(fit)) if args.json else text_of(fit))
    return 0


def _ask(session: CalibrationSession) -> CalibrationSession | None:
    """Questions on the terminal; None: given up."""
    from alpr_edge.placement.session import AnswerRefused

    while (question := session.question) is not None:
        answer = _read(question)
        if answer is None:
            print("given up; nothing was written", file=sys.stderr)
            return None
        if answer == "back":
            session = session.back()
        elif answer == "?":
            print(f"  {question.help}", file=sys.stderr)
        else:
            try:
                session = session.answer(answer)
            except AnswerRefused as err:
                print(f"  {err.message} ({err.hint})", file=sys.stderr)
    return session


def _read(question: Question) -> str | None:
    default = f" [{question.default}]" if question.default else ""
    print(f"{question.text}{default}\n  such as: {question.example}", file=sys.stderr)
    print("> ", end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    return line.strip() if line else None


def _answers(path: str) -> dict[str, Any]:
    import tomllib

    from alpr_edge.errors import ConfigError
    from alpr_edge.placement.files import read

    try:
        return tomllib.loads(read(path, limit_bytes=1 << 16).decode("utf-8-sig"))
    except (ValueError, RecursionError) as err:
        raise ConfigError(
            f"{path} is not TOML: {err}",
            code="placement.calibration.file",
            hint="see docs/placement.md",
        ) from err


def _board(args: argparse.Namespace) -> LensFit:
    from alpr_edge.capture.photos import find_photos, load_photo
    from alpr_edge.errors import CaptureError, ConfigError
    from alpr_edge.placement.lens_fit import find_board, fit_lens

    size = re.fullmatch(r"(\d{1,2})x(\d{1,2})", args.board_size)
    if not size or min(int(size[1]), int(size[2])) < 3:
        raise ConfigError("--board-size must be such as 9x6, three or more", code="cli.usage")
    inner = (int(size[1]), int(size[2]))
    boards, frame = [], None
    for entry in find_photos([args.board]):
        if entry.error is not None:
            raise entry.error
        picture = load_photo(entry.path).image
        if frame is not None and picture.shape != frame:
            raise CaptureError(
                f"{entry.path} has another size than the pictures before", code="capture.size"
            )
        frame = picture.shape
        boards.append(find_board(picture, inner))
        found = "seen" if boards[-1] is not None else "NOT seen"
        print(f"  {entry.path}: board {found}", file=sys.stderr)
    height, width = (frame or (8, 8, 3))[:2]
    return fit_lens(boards, inner=inner, size_px=(width, height))


def text_of(fit: Fit) -> str:
    """What was found, for people: residuals, and how well everything is known."""
    camera, pose = fit.camera, fit.camera.pose
    known = [1.96 * camera.covariance[i][i] ** 0.5 for i in range(7)]
    lines = [f"  {'point':<14} {'dx':>7} {'dy':>7} {'off':>7}  pixels"] if fit.residuals else []
    for one in fit.residuals:
        mark = "" if one.is_used else "  left out"
        x, y = one.off_px
        lines.append(f"  {one.name:<14.14} {x:>+7.1f} {y:>+7.1f} {one.length_px:>7.1f}{mark}")
    if fit.residuals:
        lines.append(f"  root mean square {fit.rms_px:.1f} px")
    lines += [f"  look at: {warning}" for warning in fit.warnings]
    lon, lat = pose.place
    lines += [
        f"camera    {camera.id}, {camera.lens.width_px}x{camera.lens.height_px}",
        f"position  {lon:.7f} {lat:.7f} ±{max(known[0], known[1]):.2f} m",
        f"height    {pose.height_m:.2f} ±{known[2]:.2f} m",
        f"heading   {pose.heading_deg:.2f} ±{known[3]:.2f}°",
        f"tilt      {pose.tilt_deg:.2f} ±{known[4]:.2f}°",
        f"roll      {pose.roll_deg:.2f} ±{known[5]:.2f}°",
        f"lens      {camera.lens.hfov_deg:.2f}° ±{known[6]:.1%}",
    ]
    return "\n".join(lines)


def _values(fit: Fit) -> dict[str, Any]:
    return {
        "camera": fit.camera.id,
        "rms_px": round(fit.rms_px, 3),
        "residuals": [
            {"name": r.name, "off_px": [round(v, 3) for v in r.off_px], "used": r.is_used}
            for r in fit.residuals
        ],
        "warnings": list(fit.warnings),
    }
