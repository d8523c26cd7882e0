"""The simulated street: a test of everything, with a truth that is known.

A seeded street with protected premises beside it (`street`), its frames as a camera
(`virtual_camera`) or a video file (`video_file`), and the score of what was published (`score`).
Reads no model, no mask and no configuration; nothing that is shipped depends on it but the demo.
"""
