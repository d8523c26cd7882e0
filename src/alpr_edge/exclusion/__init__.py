"""Exclusion: what must not be seen is blanked first, and what must not leave is destroyed.

No module here does I/O, reads a clock, draws a random number or logs (checked by import-linter).
Read in this order: `zones` (geometry in pixels), `mask` (the first operation on every frame),
`gate` (the last one before anything leaves).

The world's half: `local_plane` (places to metres), `premises` and `register_file` (what the map
protects), `camera_model` and `projection` (map to picture), `ground` (plate to map), `geofence`
(moving cameras).
"""
