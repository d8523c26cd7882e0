"""The audit of a model: is this graph a plate detector or a plate recogniser, and nothing else?

`audit` compares a graph with the contract of the kind that its metadata names. It runs on every
load, after the digest and before ONNX Runtime sees a byte: a listed file that is no plate model
does not start either. Rules:

- every operator stands on the allow-list, in ONNX's own domain;
- inputs and outputs are exactly the contract's, by name, type and shape. Each output has a declared
  meaning, and its width follows from it: nine channels for score and corners, one column per
  character and one for the end, one per named region. There is no output of any other width, so
  none that could carry a vector for telling people or vehicles apart under its own name;
- weights, nodes and integers stay within what such small nets need.

It shows what a file says it is and that nothing else comes out of it. It cannot show what the
numbers in between mean.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass

from alpr_edge.vision.onnx_file import FLOAT, UINT8, Graph, Port

OPERATORS = frozenset(
    {
        "Add", "AveragePool", "BatchNormalization", "Cast", "Clip", "Concat", "Constant",
        "ConstantOfShape", "Conv", "ConvTranspose", "DequantizeLinear", "Div", "Equal", "Erf",
        "Expand", "Flatten", "Gather", "Gelu", "Gemm", "GlobalAveragePool", "HardSigmoid",
        "HardSwish", "Identity", "LayerNormalization", "MatMul", "MaxPool", "Mul", "Pad", "Pow",
        "QuantizeLinear", "ReduceMax", "ReduceMean", "Relu", "Reshape", "Resize", "Shape",
        "Sigmoid", "Slice", "Softmax", "Split", "Sqrt", "Squeeze", "Sub", "Tanh", "Transpose",
        "Unsqueeze", "Where",
    }
)  # fmt: skip
"""What small convolutional and attention nets are made of. No loops, branches, recurrence, random
numbers, strings, and nothing that keeps state between frames."""

MAX_NODES = 2_000
MAX_WEIGHTS = 4_000_000
"""Elements of all weights together; ours have 0.7 million each."""
MAX_INTEGER = 65_536
"""Largest integer in attributes and small tensors, but for the ends of slices: bounds what a tiny
file can make ONNX Runtime allocate."""
MAX_SIDE_PX = 4_096
MAX_SLOTS = 64
"""Character slots, or columns of a CTC head."""

_OPEN_ENDS = {(1 << 63) - 1, -(1 << 63), (1 << 63) - 2, (1 << 31) - 1, -(1 << 31)}
_REGION = re.compile(r"[a-z]{2}(-[a-z0-9]{1,3})?|other|none")
_TYPE_NAMES = {FLOAT: "float32", UINT8: "uint8"}

Side = int | str


@dataclass(frozen=True, slots=True)
class Promise:
    """One input or output of a kind of model.

    Attributes:
        shape: a number is exactly that side; `px` a side of a picture; `n` a batch; `cells` a side
            of the output grid; `slots` at most `MAX_SLOTS`; `characters` one column for each
            character of the alphabet and one for the end; `regions` one for each named region.
        meaning: for people.
    """

    name: str
    dtype: int
    shape: tuple[Side, ...]
    meaning: str


@dataclass(frozen=True, slots=True)
class Contract:
    """What a kind of model takes and gives. There is nothing optional in it."""

    inputs: tuple[Promise, ...]
    outputs: tuple[Promise, ...]


KINDS: dict[str, Contract] = {
    "plate-detector": Contract(
        (Promise("frames", UINT8, ("n", "px", "px", 3), "masked frames, BGR"),),
        (
            Promise(
                "plates",
                FLOAT,
                ("n", 9, "cells", "cells"),
                "per cell a plate's score and its four corners (x, y)",
            ),
        ),
    ),
    "plate-recogniser": Contract(
        (Promise("crops", UINT8, ("n", "px", "px"), "straightened plates, grey"),),
        (
            Promise(
                "characters",
                FLOAT,
                ("n", "slots", "characters"),
                "per slot a score for each character and for the end",
            ),
            Promise("regions", FLOAT, ("n", "regions"), "a score for each issuing region"),
        ),
    ),
}
"""Every kind of model that can start. Anything else, whatever it is, is refused."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found.

    Attributes:
        problems: why it must not start, all of them; empty if it may.
        operators: how often each occurs.
        weights: elements of all weights.
    """

    kind: str
    problems: tuple[str, ...]
    operators: dict[str, int]
    weights: int


def audit(graph: Graph) -> Audit:
    """Every way in which the graph breaks the rules above."""
    kind = graph.about.get("kind", "")
    problems = [*_operators(graph), *_sizes(graph)]
    if "ort_config" in graph.about:
        problems.append("its metadata holds settings for ONNX Runtime")
    contract = KINDS.get(kind)
    if contract is None:
        problems.append(f"its kind is {kind[:40]!r}; known are {', '.join(sorted(KINDS))}")
    else:
        columns, wrong = _columns(graph.about)
        problems += wrong if kind == "plate-recogniser" else []
        weights = {w.name for w in graph.weights}
        fed = tuple(p for p in graph.inputs if p.name not in weights)
        problems += _ports("input", fed, contract.inputs, columns)
        problems += _ports("output", graph.outputs, contract.outputs, columns)
    operators = dict(sorted(Counter(n.op for n in graph.nodes).items()))
    return Audit(kind, tuple(dict.fromkeys(problems)), operators, _weights(graph))


def wrong_shapes(kind: str, about: dict[str, str], shapes: list[tuple[int, ...]]) -> list[str]:
    """How the outputs of a real run differ from the contract."""
    columns, _ = _columns(about)
    promised = KINDS[kind].outputs
    if len(shapes) != len(promised):
        return [f"it gives {len(shapes)} outputs instead of {len(promised)}"]
    ports = [Port(p.name, p.dtype, s) for p, s in zip(promised, shapes, strict=True)]
    return _ports("output", tuple(ports), promised, columns)


def _operators(graph: Graph) -> list[str]:
    problems = []
    for node in graph.nodes:
        if node.domain:
            problems.append(f"operator {_shown(node.domain)}.{_shown(node.op)} is not ONNX's own")
        elif node.op not in OPERATORS:
            problems.append(f"operator {_shown(node.op)} is not on the list")
    return problems


def _sizes(graph: Graph) -> list[str]:
    problems = []
    if len(graph.nodes) > MAX_NODES:
        problems.append(f"it has {len(graph.nodes)} operators, more than {MAX_NODES}")
    if (weights := _weights(graph)) > MAX_WEIGHTS:
        problems.append(f"it has {weights} weights, more than {MAX_WEIGHTS}")
    # The biases of quantised layers are small integer tensors too, but never become a size.
    biases = {n.inputs[0] for n in graph.nodes if n.op == "DequantizeLinear" and n.inputs}
    integers = [i for n in graph.nodes for i in n.integers]
    integers += [i for w in graph.weights if w.name not in biases for i in w.integers]
    if any(abs(i) > MAX_INTEGER and i not in _OPEN_ENDS for i in integers):
        problems.append(f"it holds a size above {MAX_INTEGER}")
    return problems


def _weights(graph: Graph) -> int:
    return sum(w.elements for w in graph.weights) + sum(n.elements for n in graph.nodes)


def _columns(about: dict[str, str]) -> tuple[dict[str, int], list[str]]:
    """Widths that follow from the metadata's names, and what is wrong with those names."""
    problems = []
    alphabet = about.get("alphabet", "")
    if not 1 <= len(alphabet) <= 40 or len(set(alphabet)) != len(alphabet):
        problems.append("its alphabet is missing, too long or has a character twice")
    try:
        regions = json.loads(about.get("regions", ""))
    except (ValueError, RecursionError):
        regions = None
    if (
        not isinstance(regions, list)
        or not all(isinstance(r, str) and _REGION.fullmatch(r) for r in regions)
        or len(set(regions)) != len(regions)
    ):
        problems.append("its regions are missing, not codes, or named twice")
        regions = []
    return {"characters": len(alphabet) + 1, "regions": len(regions)}, problems


def _ports(
    what: str, found: tuple[Port, ...], promised: tuple[Promise, ...], columns: dict[str, int]
) -> list[str]:
    if [p.name for p in found] != [p.name for p in promised]:
        names = ", ".join(_shown(p.name) for p in found[:8]) or "none"
        return [f"its {what}s are {names}; declared are {', '.join(p.name for p in promised)}"]
    problems = []
    for port, promise in zip(found, promised, strict=True):
        if port.dtype != promise.dtype:
            problems.append(
                f"{what} {port.name} has element type {port.dtype},"
                f" not {_TYPE_NAMES[promise.dtype]}"
            )
        sides = zip(port.shape, promise.shape, strict=False)
        if len(port.shape) != len(promise.shape) or not all(
            _fits(side, wanted, columns) for side, wanted in sides
        ):
            problems.append(
                f"{what} {port.name} is {_shape(port.shape)}, declared is {_shape(promise.shape)}"
            )
    return problems


def _fits(side: Side, wanted: Side, columns: dict[str, int]) -> bool:
    exact = wanted if isinstance(wanted, int) else columns.get(wanted)
    if exact is not None:
        return side == exact
    if isinstance(side, str):
        return True
    most = {"slots": MAX_SLOTS, "n": 4_096}.get(str(wanted), MAX_SIDE_PX)
    return 1 <= side <= most


def _shape(shape: tuple[Side, ...]) -> str:
    return "(" + ", ".join(_shown(str(s)) for s in shape[:8]) + ")"


def _shown(text: str) -> str:
    """A name out of a file, fit for a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text[:40])
