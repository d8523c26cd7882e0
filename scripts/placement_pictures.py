"""Draws the pictures of docs/placement.md from the made-up sample register."""

from __future__ import annotations

from pathlib import Path

from alpr_edge.placement.check import Policy, check_placement
from alpr_edge.placement.drawing import map_svg, picture_svg
from alpr_edge.placement.files import load_camera, load_register

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "configs" / "premises"
IMAGES = ROOT / "docs" / "images"


def main() -> None:
    """Write both pictures."""
    sites = load_register(SAMPLES / "sample.geojson").register.sites
    camera = load_camera(SAMPLES / "sample-camera.json")
    found = check_placement(camera, sites, Policy())
    drawings = {"map": map_svg(found, sites, Policy()), "picture": picture_svg(found)}
    for name, drawing in drawings.items():
        (IMAGES / f"placement-{name}.svg").write_text(drawing + "\n", "utf-8")


if __name__ == "__main__":
    main()
