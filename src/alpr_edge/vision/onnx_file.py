"""An ONNX file read without ONNX's own library: what the audit needs to know, and nothing more.

`read_graph` gives nodes, inputs, outputs, weights' sizes and metadata of a serialised `ModelProto`.
It refuses what a plate model never has: sub-graphs and control flow, local functions, training
information, sparse tensors, references to other files, sequences, maps and optionals. It does not
judge operators or shapes (`audit` does), looks at no weight's value but small integers, and does no
I/O. Why not the `onnx` package: docs/adr/0008.

Source: onnx.proto of ONNX 1.23 (field numbers); IR version 3 and later.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from alpr_edge.vision.protobuf import (
    Budget,
    Field,
    Fields,
    Forbidden,
    Malformed,
    Table,
    read_message,
)

MAX_FIELDS = 200_000
"""Ours have 3,000 to 20,000: a file of tiny fields is given up early."""

FLOAT, UINT8, INT8, INT32, INT64, BOOL = 1, 2, 3, 6, 7, 9
"""Element types (`TensorProto.DataType`) that our models use."""

_ITEM_BYTES: Final = {FLOAT: 4, UINT8: 1, INT8: 1, INT32: 4, INT64: 8, BOOL: 1}
_SMALL = 64
"""Integer tensors of so few elements hold shapes, axes and bounds; their values are looked at."""


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of the graph: name, element type, sides (a text where left open)."""

    name: str
    dtype: int
    shape: tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """One operator.

    Attributes:
        integers: its integer attributes and those of its small tensors.
        elements: of its tensors, which are weights under another name.
    """

    op: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    integers: tuple[int, ...]
    elements: int


@dataclass(frozen=True, slots=True)
class Tensor:
    """A weight's size. `integers` are its values if it is a small integer tensor."""

    name: str
    dtype: int
    elements: int
    integers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """What is in a model file.

    Attributes:
        about: the metadata: `kind`, `alphabet`, `regions`, ….
    """

    opset: int
    producer: str
    nodes: tuple[Node, ...]
    weights: tuple[Tensor, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    about: dict[str, str]


def read_graph(data: bytes) -> Graph:
    """The graph of a serialised ONNX model.

    Raises:
        Malformed: not an ONNX model, cut off, or of an unknown shape.
        Forbidden: it holds what a plate model never has.
    """
    budget = Budget(MAX_FIELDS)
    model = read_message(memoryview(data), _MODEL, budget)
    graph = model.get("graph")
    if graph is None:
        raise Malformed("there is no graph in it")
    opsets = {_domain(o): o.get("version", 0) for o in model["opset_import"]}
    if "" not in opsets or len(opsets) != len(model["opset_import"]):
        raise Malformed("the operator set is not named, or named twice")
    about = {p.get("key", ""): p.get("value", "") for p in model["metadata_props"]}
    if len(about) != len(model["metadata_props"]):
        raise Malformed("a key of the metadata comes twice")
    return Graph(
        opset=opsets[""],
        producer=f"{model.get('producer_name', '?')} {model.get('producer_version', '')}".strip(),
        nodes=tuple(_node(n) for n in graph["node"]),
        weights=tuple(_tensor(t) for t in graph["initializer"]),
        inputs=tuple(_port(p) for p in graph["input"]),
        outputs=tuple(_port(p) for p in graph["output"]),
        about=about,
    )


def _domain(fields: Fields) -> str:
    domain = str(fields.get("domain", ""))
    return "" if domain == "ai.onnx" else domain


def _node(fields: Fields) -> Node:
    integers: list[int] = []
    elements = 0
    for attribute in fields["attribute"]:
        integers += attribute["ints"]
        if "i" in attribute:
            integers.append(attribute["i"])
        if "t" in attribute:
            tensor = _tensor(attribute["t"])
            integers += tensor.integers
            elements += tensor.elements
    return Node(
        op=fields.get("op_type", ""),
        domain=_domain(fields),
        name=fields.get("name", ""),
        inputs=tuple(fields["input"]),
        outputs=tuple(fields["output"]),
        integers=tuple(integers),
        elements=elements,
    )


def _tensor(fields: Fields) -> Tensor:
    name, dtype, dims = fields.get("name", ""), fields.get("data_type", 0), fields["dims"]
    if fields.get("data_location", 0):
        raise Forbidden(f"the tensor {name!r} lies in another file")
    if dtype not in _ITEM_BYTES:
        raise Malformed(f"the tensor {name!r} has element type {dtype}")
    if len(dims) > 8 or any(not 0 <= d <= 1 << 31 for d in dims):
        raise Malformed(f"the tensor {name!r} has impossible sides")
    elements = math.prod(dims)
    raw, floats = fields.get("raw_data", b""), fields.get("float_data", b"")
    given = [
        len(raw) / _ITEM_BYTES[dtype],
        len(floats) / 4,
        len(fields["int32_data"]),
        len(fields["int64_data"]),
    ]
    if sorted(given) != [0, 0, 0, elements]:
        raise Malformed(f"the tensor {name!r} does not hold the {elements} elements it says")
    integers: tuple[int, ...] = ()
    if dtype in (INT32, INT64) and elements <= _SMALL:
        size = _ITEM_BYTES[dtype]
        integers = (*fields["int32_data"], *fields["int64_data"]) or tuple(
            int.from_bytes(raw[i : i + size], "little", signed=True)
            for i in range(0, len(raw), size)
        )
    return Tensor(name, dtype, elements, integers)


def _port(fields: Fields) -> Port:
    tensor = fields.get("type", {}).get("tensor_type")
    if tensor is None or "shape" not in tensor:
        raise Malformed(f"{fields.get('name', '?')!r} is no tensor of known rank")
    shape = tuple(d.get("dim_value", d.get("dim_param", "")) for d in tensor["shape"]["dim"])
    return Port(fields.get("name", ""), tensor.get("elem_type", 0), shape)


# --- onnx.proto, as far as it is accepted ----------------------------------------------------

_ENTRY = Table("StringStringEntryProto", {1: Field("key", "text"), 2: Field("value", "text")})
_TENSOR = Table(
    "TensorProto",
    {
        1: Field("dims", "ints"),
        2: Field("data_type", "int"),
        4: Field("float_data", "bytes"),
        5: Field("int32_data", "ints"),
        7: Field("int64_data", "ints"),
        8: Field("name", "text"),
        9: Field("raw_data", "bytes"),
        12: Field("doc_string", "text"),
        14: Field("data_location", "int"),
    },
    never={3: "a segment", 13: "a reference to another file"},
)
_DIMENSION = Table(
    "Dimension",
    {
        1: Field("dim_value", "int"),
        2: Field("dim_param", "text"),
        3: Field("denotation", "text"),
    },
)
_SHAPE = Table("TensorShapeProto", {1: Field("dim", "message", _DIMENSION, repeated=True)})
_TENSOR_TYPE = Table(
    "TypeProto.Tensor", {1: Field("elem_type", "int"), 2: Field("shape", "message", _SHAPE)}
)
_TYPE = Table(
    "TypeProto",
    {1: Field("tensor_type", "message", _TENSOR_TYPE), 6: Field("denotation", "text")},
)
_VALUE = Table(
    "ValueInfoProto",
    {
        1: Field("name", "text"),
        2: Field("type", "message", _TYPE),
        3: Field("doc_string", "text"),
        4: Field("metadata_props", "message", _ENTRY, repeated=True),
    },
)
_ATTRIBUTE = Table(
    "AttributeProto",
    {
        1: Field("name", "text"),
        2: Field("f", "fixed32"),
        3: Field("i", "int"),
        4: Field("s", "bytes"),
        5: Field("t", "message", _TENSOR),
        7: Field("floats", "fixed32", repeated=True),
        8: Field("ints", "ints"),
        9: Field("strings", "bytes", repeated=True),
        13: Field("doc_string", "text"),
        20: Field("type", "int"),
    },
    never={6: "a sub-graph", 11: "sub-graphs", 21: "a reference to a function's attribute"},
)
_NODE = Table(
    "NodeProto",
    {
        1: Field("input", "text", repeated=True),
        2: Field("output", "text", repeated=True),
        3: Field("name", "text"),
        4: Field("op_type", "text"),
        5: Field("attribute", "message", _ATTRIBUTE, repeated=True),
        6: Field("doc_string", "text"),
        7: Field("domain", "text"),
        9: Field("metadata_props", "message", _ENTRY, repeated=True),
    },
)
_GRAPH = Table(
    "GraphProto",
    {
        1: Field("node", "message", _NODE, repeated=True),
        2: Field("name", "text"),
        5: Field("initializer", "message", _TENSOR, repeated=True),
        10: Field("doc_string", "text"),
        11: Field("input", "message", _VALUE, repeated=True),
        12: Field("output", "message", _VALUE, repeated=True),
        13: Field("value_info", "message", _VALUE, repeated=True),
        16: Field("metadata_props", "message", _ENTRY, repeated=True),
    },
    never={15: "sparse weights"},
)
_OPSET = Table("OperatorSetIdProto", {1: Field("domain", "text"), 2: Field("version", "int")})
_MODEL = Table(
    "ModelProto",
    {
        1: Field("ir_version", "int"),
        2: Field("producer_name", "text"),
        3: Field("producer_version", "text"),
        4: Field("domain", "text"),
        5: Field("model_version", "int"),
        6: Field("doc_string", "text"),
        7: Field("graph", "message", _GRAPH),
        8: Field("opset_import", "message", _OPSET, repeated=True),
        14: Field("metadata_props", "message", _ENTRY, repeated=True),
    },
    never={20: "training information", 25: "functions of its own"},
)
