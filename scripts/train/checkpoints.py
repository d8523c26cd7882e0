"""Averaged weights and checkpoints, for both trainings."""

from __future__ import annotations

from pathlib import Path

import torch


def follow(average: torch.nn.Module, net: torch.nn.Module, keep: float) -> None:
    """Move the averaged weights towards the network's; counters are copied."""
    with torch.no_grad():
        for a, b in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
            if a.dtype.is_floating_point:
                a.lerp_(b, 1 - keep)
            else:
                a.copy_(b)


def save(
    path: Path,
    net: torch.nn.Module,
    average: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    state: dict,
) -> None:
    """Write everything that a later run needs to go on; never a half-written file."""
    temporary = path.with_suffix(".tmp")
    torch.save(
        {
            "net": net.state_dict(),
            "average": average.state_dict(),
            "optimiser": optimiser.state_dict(),
            "state": state,
        },
        temporary,
    )
    temporary.replace(path)
