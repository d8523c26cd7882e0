"""The plate detector's network: one pass gives plate score and four corners per cell.

A small ReLU convolutional net (ReLU quantises to int8 better than SiLU and runs faster) with a
top-down pyramid that ends at stride 8. It knows one class: licence plate. It has no other output.

It does not decode: peaks, thresholds and non-maximum suppression are the device's
(`alpr_edge.vision.detector`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

STRIDE_PX = 8
"""Side of one output cell in input pixels."""

CORNER_UNIT_PX = 16.0
"""One unit of a raw corner output, in input pixels."""

WIDTHS = (12, 24, 48, 96, 128)


def _conv(cin: int, cout: int, kernel: int = 1, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(cin, cout, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(cout, momentum=0.03),
        nn.ReLU(inplace=True),
    )


class Csp(nn.Module):
    """Cross-stage block: split, convolve one half `depth` times, join everything."""

    def __init__(self, cin: int, cout: int, hidden: int, depth: int, residual: bool = True) -> None:
        super().__init__()
        self.hidden = hidden
        self.residual = residual
        self.enter = _conv(cin, 2 * hidden)
        self.steps = nn.ModuleList(
            nn.Sequential(_conv(hidden, hidden, 3), _conv(hidden, hidden, 3)) for _ in range(depth)
        )
        self.leave = _conv((2 + depth) * hidden, cout)

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.enter(x).split(self.hidden, dim=1))
        for step in self.steps:
            y = step(parts[-1])
            parts.append(parts[-1] + y if self.residual else y)
        return self.leave(torch.cat(parts, dim=1))


class Pool(nn.Module):
    """Three chained 5×5 max-pools: a cheap large receptive field at stride 32."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter = _conv(channels, channels // 2)
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.leave = _conv(channels * 2, channels)

    def forward(self, x: Tensor) -> Tensor:
        a = self.enter(x)
        b = self.pool(a)
        c = self.pool(b)
        return self.leave(torch.cat([a, b, c, self.pool(c)], dim=1))


class DetectorNet(nn.Module):
    """`(N, H, W, 3)` uint8 BGR, H and W multiples of 32 → `(N, 9, H/8, W/8)` float32.

    Channel 0 is the plate logit, channels 1..8 are the corner offsets (x, y of top left, top
    right, bottom right, bottom left) from the cell's centre in units of `CORNER_UNIT_PX`.
    """

    def __init__(self) -> None:
        super().__init__()
        w1, w2, w3, w4, w5 = WIDTHS
        self.stem = _conv(3, w1, 3, 2)
        self.s4 = nn.Sequential(_conv(w1, w2, 3, 2), Csp(w2, w2, 8, 1))
        self.s8 = nn.Sequential(_conv(w2, w3, 3, 2), Csp(w3, w3, 24, 1))
        self.s16 = nn.Sequential(_conv(w3, w4, 3, 2), Csp(w4, w4, 48, 1))
        self.s32 = nn.Sequential(_conv(w4, w5, 3, 2), Csp(w5, w5, 64, 1), Pool(w5))
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.lateral32 = _conv(w5, 64)
        self.join16 = Csp(w4 + 64, 64, 32, 1, residual=False)
        self.join8 = Csp(w3 + 64, 48, 24, 1, residual=False)
        self.head = _conv(48, 32, 3)
        self.score = nn.Conv2d(32, 1, 1)
        self.corners = nn.Conv2d(32, 8, 1)
        nn.init.constant_(self.score.bias, -5.0)

    def features(self, x: Tensor) -> Tensor:
        x8 = self.s8(self.s4(self.stem(x)))
        x16 = self.s16(x8)
        x32 = self.lateral32(self.s32(x16))
        p16 = self.join16(torch.cat([x16, self.up(x32)], dim=1))
        p8 = self.join8(torch.cat([x8, self.up(p16)], dim=1))
        return self.head(p8)

    def forward(self, frames: Tensor) -> Tensor:
        x = frames.permute(0, 3, 1, 2).float() * (1 / 128.0) - 1.0
        y = self.features(x)
        return torch.cat([self.score(y).float(), self.corners(y).float()], dim=1)
