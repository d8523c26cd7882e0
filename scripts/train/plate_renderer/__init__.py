"""Synthetic registration plates for training: flat art, photographs of it, and shards on disk.

Does: `draw_plate` draws a plate of a region, `photograph` gives the rectified detection that a
camera would deliver, `scene_patch` a plate for pasting into scenes.
Does not: use a pixel of any picture, need any font, or touch the network.
"""

from __future__ import annotations

from .art import PlateArt, draw_plate
from .photo import Shot, photograph, scene_patch

__all__ = ["PlateArt", "Shot", "draw_plate", "photograph", "scene_patch"]
