"""Unpacks web fonts for the renderer: `python -m plate_renderer.fetch_fonts NODE_MODULES OUT`.

Does: turns the Latin woff2 files of installed `@fontsource` npm packages into `.ttf` files.
Does not: download anything (README.md lists the packages), nor is any font part of this package.
"""

from __future__ import annotations

import sys
from pathlib import Path

from fontTools.ttLib import TTFont  # type: ignore[import-untyped]


def convert(modules: Path, out: Path) -> int:
    """Convert upright files of weight 400 and up; return how many were written."""
    out.mkdir(parents=True, exist_ok=True)
    count = 0
    for path in sorted((modules / "@fontsource").glob("*/files/*-latin-[4-9]00-normal.woff2")):
        font = TTFont(path)
        font.flavor = None
        font.save(out / f"{path.stem}.ttf")
        count += 1
    return count


if __name__ == "__main__":
    print(convert(Path(sys.argv[1]), Path(sys.argv[2])), "fonts")
