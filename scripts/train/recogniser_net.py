"""The plate recogniser's network: a straightened crop → ten character slots and a region.

A small ReLU convolutional backbone, one self-attention layer over the 4×20 cells (so that cells can
count the characters before them, on one row or two), and eleven learned queries: ten slots, read
left to right and top row first, and one for the region. A CTC head over the backbone's columns
teaches it what characters look like long before the slots have learnt to count; it serves training
on one-row plates only and is not exported.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SLOTS = 10
PAD = len(ALPHABET)
HEIGHT_PX, WIDTH_PX = 64, 160


def _conv(cin: int, cout: int, stride: int | tuple[int, int] = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(cin, cout, 3, stride, 1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(inplace=True)
    )


class Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _conv(channels, channels)
        self.second = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.second(self.first(x)))


class Attention(nn.Module):
    """Plain multi-head attention, written out so that it exports to basic operators."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.part = heads, width // heads
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        n, length = tokens.shape[0], queries.shape[1]

        def split(x: Tensor) -> Tensor:
            return x.view(x.shape[0], x.shape[1], self.heads, self.part).transpose(1, 2)

        q, k, v = split(self.q(queries)), split(self.k(tokens)), split(self.v(tokens))
        weights = (q @ k.transpose(2, 3) * self.part**-0.5).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).reshape(n, length, -1))


class Layer(nn.Module):
    """Pre-norm attention and feed-forward; over the tokens themselves or from queries to them."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.norm_q, self.norm_f = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.feed = nn.Sequential(
            nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor, tokens: Tensor | None = None) -> Tensor:
        q = self.norm_q(x)
        x = x + self.attention(q, q if tokens is None else tokens)
        return x + self.feed(self.norm_f(x))


class RecogniserNet(nn.Module):
    """`(N, 64, 160)` uint8 grey → characters `(N, 10, 37)` and regions `(N, R)`, as logits.

    In training mode also the CTC logits `(N, 20, 37)`, class 36 being the blank.
    """

    def __init__(self, regions: int, width: int = 128) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            _conv(1, 16, 2),
            _conv(16, 32, 2),
            Residual(32),
            _conv(32, 64, 2),
            Residual(64),
            Residual(64),
            _conv(64, width, (2, 1)),
        )
        self.place = nn.Parameter(torch.randn(1, 80, width) * 0.02)
        self.encode = Layer(width)
        self.queries = nn.Parameter(torch.randn(1, SLOTS + 1, width) * 0.5)
        self.norm = nn.LayerNorm(width)
        self.decode = nn.ModuleList([Layer(width)])
        self.mix = Layer(width)
        self.characters = nn.Linear(width, len(ALPHABET) + 1)
        self.regions = nn.Linear(width, regions)
        self.ctc = nn.Linear(width, len(ALPHABET) + 1)

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        x = crops.unsqueeze(1).float()
        # Each crop is brought to its own mean and contrast: night and glare look like day.
        x = x - x.mean((2, 3), keepdim=True)
        x = x / ((x * x).mean((2, 3), keepdim=True).sqrt() + 4.0)
        grid = self.backbone(x)
        cells = grid.flatten(2).transpose(1, 2)
        tokens = self.norm(self.encode(cells + self.place))
        y = self.queries.expand(tokens.shape[0], -1, -1)
        for layer in self.decode:
            y = layer(y, tokens)
        y = self.mix(y)
        out = (self.characters(y[:, :SLOTS]), self.regions(y[:, SLOTS]))
        return (*out, self.ctc(grid.mean(2).transpose(1, 2))) if self.training else out
