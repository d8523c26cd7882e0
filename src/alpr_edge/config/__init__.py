"""Room `config`: what a device is told to do, checked before anything starts.

`models` holds the frozen values and their ranges, `parse` turns TOML text into them and reports
every problem at once, `mask_file` does the same for masks; the three do no I/O. `files` and `store`
read from disk. Nothing is imported here, so that `alpr-edge read` does not pay for pydantic.
"""
