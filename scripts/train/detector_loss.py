"""Loss of the plate detector: focal heat map, corner distance, box overlap.

Plates labelled by box only (kind 1) teach the box of the predicted corners; plates with marked
corners (kind 2) teach the corners as well; ignored ones (kind 3) teach nothing where they lie.
"""

from __future__ import annotations

import torch
from detector_net import CORNER_UNIT_PX, STRIDE_PX
from torch import Tensor

REGRESS_ABOVE = 0.45
"""Cells whose Gaussian weight is above this learn the corners."""


def cell_centres(rows: int, cols: int) -> tuple[Tensor, Tensor]:
    ys = (torch.arange(rows, dtype=torch.float32) + 0.5) * STRIDE_PX
    xs = (torch.arange(cols, dtype=torch.float32) + 0.5) * STRIDE_PX
    return ys, xs


def detector_loss(raw: Tensor, corners: Tensor, kind: Tensor) -> dict[str, Tensor]:
    """`raw` (N, 9, R, C), `corners` (N, P, 4, 2) in pixels, `kind` (N, P) → named losses."""
    _, _, rows, cols = raw.shape
    ys, xs = cell_centres(rows, cols)
    low, high = corners.amin(2), corners.amax(2)
    centre, span = (low + high) / 2, (high - low).clamp(min=2.0)
    real = (kind == 1) | (kind == 2)
    sigma = (span * 0.16).clamp(min=0.45 * STRIDE_PX)
    dx = (xs[None, None] - centre[..., 0:1]) / sigma[..., 0:1]
    dy = (ys[None, None] - centre[..., 1:2]) / sigma[..., 1:2]
    weight = torch.exp(-0.5 * (dy[..., :, None] ** 2 + dx[..., None, :] ** 2))
    weight = weight * real[..., None, None]
    weight = weight / weight.amax((2, 3), keepdim=True).clamp(min=0.3)
    heat, owner = weight.max(1)
    in_x = (xs[None, None] > low[..., 0:1] - 4) & (xs[None, None] < high[..., 0:1] + 4)
    in_y = (ys[None, None] > low[..., 1:2] - 4) & (ys[None, None] < high[..., 1:2] + 4)
    hidden = (in_y[..., :, None] & in_x[..., None, :] & (kind == 3)[..., None, None]).any(1)

    logit = raw[:, 0]
    p = logit.sigmoid()
    top = (heat > 0.999).float()
    positive = -((1 - p) ** 2) * torch.nn.functional.logsigmoid(logit) * top
    negative = -(p**2) * torch.nn.functional.logsigmoid(-logit) * (1 - heat) ** 4 * (1 - top)
    negative = negative * ~hidden
    count = top.sum().clamp(min=1.0)
    losses = {"heat": (positive.sum() + negative.sum()) / count}

    where = (heat > REGRESS_ABOVE).nonzero()
    b, r, c = where.unbind(1)
    plate = owner[b, r, c]
    offset = raw[b, 1:, r, c].view(-1, 4, 2) * CORNER_UNIT_PX
    predicted = offset + torch.stack([xs[c], ys[r]], -1)[:, None]
    goal = corners[b, plate]
    share = heat[b, r, c]
    size = span[b, plate].prod(-1).sqrt()[:, None, None]
    distance = torch.nn.functional.smooth_l1_loss(
        predicted / size, goal / size, beta=0.03, reduction="none"
    ).mean((1, 2))
    exact = torch.where(kind[b, plate] == 2, 1.0, 0.06)
    losses["corner"] = 4.0 * (distance * exact * share).sum() / share.sum().clamp(min=1.0)
    giou = _giou(predicted.amin(1), predicted.amax(1), goal.amin(1), goal.amax(1))
    losses["box"] = 2.0 * ((1 - giou) * share).sum() / share.sum().clamp(min=1.0)
    return losses


def _giou(low: Tensor, high: Tensor, low2: Tensor, high2: Tensor) -> Tensor:
    inter = (torch.minimum(high, high2) - torch.maximum(low, low2)).clamp(min=0).prod(-1)
    union = (high - low).prod(-1) + (high2 - low2).prod(-1) - inter
    hull = (torch.maximum(high, high2) - torch.minimum(low, low2)).prod(-1)
    return inter / union.clamp(min=1e-3) - (hull - union) / hull.clamp(min=1e-3)
