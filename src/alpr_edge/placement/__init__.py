"""Room `placement`: where a camera stands and looks, and whether it may.

    calibration   `pose_fit`, `lens_fit`: measures and pictures → a camera with its covariance
                  `session`: the questions and answers that lead a person through it; pure, so that
                  a terminal, a file or the serial console can drive it
    check         `check`: fits, fits with this mask, must not stand here; `fleet`: many at once
    register      `osm`: premises from OpenStreetMap
    proof         `commissioning`: the signed record that ties all of it together
    on paper      `drawing`, `page`: SVG and HTML, self-contained

The geometry itself is `exclusion`'s; nothing here is on the way of a frame. Edge modules: `files`,
`fleet_runner`; all others are pure.
"""
