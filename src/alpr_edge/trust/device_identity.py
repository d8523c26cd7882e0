"""Edge: the unit's own key, made on its first boot, never leaving it.

The private half is a file of mode 0600 in a folder of mode 0700 of the service's user. It signs
what the device says (checkpoints, attestation); it gives no authority over masks.

It does not use a TPM or secure element: whoever owns the disk owns the key. Encrypt the disk.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from alpr_edge.errors import KeyUnusable
from alpr_edge.trust.key_files import load_private_key, save_private_key
from alpr_edge.trust.keys import PrivateKey

KEY_FILE: Final = "device.key"


def device_key(folder: str | os.PathLike[str]) -> PrivateKey:
    """The unit's key; made if there is none. A key that is there is never replaced.

    Raises:
        KeyUnusable: it cannot be made, or the one that is there cannot be used (`trust.key.*`).
    """
    path = Path(folder) / KEY_FILE
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as err:
        raise KeyUnusable(
            f"the folder {path.parent} cannot be made: {err.strerror}",
            code="trust.key.unwritable",
            hint="check the folder, its permissions and the space on the disk",
        ) from err
    if not path.exists():
        try:
            save_private_key(path, PrivateKey.generate())
        except KeyUnusable as err:
            # Another process was faster: its key is the one.
            if err.code != "trust.key.exists":
                raise
    return load_private_key(path)
