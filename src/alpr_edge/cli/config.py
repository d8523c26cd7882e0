"""`alpr-edge config check`: every problem of a device's configuration at once."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alpr_edge.config.models import DeviceConfig
    from alpr_edge.wiring import SignatureCheck


def register(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("config", help="check a configuration")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser(
        "check",
        help="say every problem of a file",
        description="Check a device's TOML file, and the masks and reference view that it names.",
        epilog="example: alpr-edge config check configs/devices/street.toml",
    )
    check.add_argument("files", nargs="+", metavar="FILE")
    check.set_defaults(call=call)


def call(args: argparse.Namespace) -> int:
    """Check each file; the status of the worst one."""
    import sys

    from alpr_edge.errors import AlprEdgeError
    from alpr_edge.wiring import load_config, load_reference

    status = 0
    for name in args.files:
        try:
            config, check = load_config(name)
            load_reference(config)
            _check(name, config, check)
        except AlprEdgeError as err:
            print(f"{name}: {err}", file=sys.stderr)
            status = max(status, err.exit_status)
    return status


def _check(name: str, config: DeviceConfig, check: SignatureCheck) -> None:
    """Say what the file is worth.

    Raises:
        ExclusionError: the mask file that it names cannot be used.
        TrustError: its signature is not one of this file.
    """
    from alpr_edge.config.mask_store import load_device_masks
    from alpr_edge.errors import BadSignature

    if config.exclusion.mask_file is not None:
        load_device_masks(config.exclusion.mask_file)
    if check.trouble:
        raise BadSignature(
            check.trouble, code="config.signature", hint="sign it with `alpr-edge config sign`"
        )
    state = "signed by the city" if check.is_signed else "not signed"
    if not check.is_signed and config.trust.require_signatures:
        state += ": `run` will refuse it"
    print(f"{name}: ok, {state}")
