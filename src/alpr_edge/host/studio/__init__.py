"""The mask studio: a page on 127.0.0.1 that draws on the camera's own masked picture.

`judge` (what a drawing would do; exact, in Python), `ground` (the map), `desk` (one unit, one
cable), `server` (HTTP), and `page/` (plain HTML, CSS and JavaScript, nothing from elsewhere).
"""
