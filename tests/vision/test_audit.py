"""The audit refuses whatever is no plate model, in bounded memory, and reads files as ONNX does."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from alpr_edge.errors import AlprEdgeError, InferenceError, TrustError
from alpr_edge.vision.audit import KINDS, OPERATORS, audit, wrong_shapes
from alpr_edge.vision.models import audited, load_model, models_folder
from alpr_edge.vision.onnx_file import Graph, read_graph
from alpr_edge.vision.protobuf import (
    Budget,
    Field,
    Forbidden,
    Malformed,
    Table,
    read_message,
    read_varint,
)
from alpr_edge.vision.verify import verify

NAMES = ["detector.onnx", "recogniser.onnx"]
ABOUT = {"kind": "plate-detector"}


def shipped(name: str) -> onnx.ModelProto:
    return onnx.load(models_folder() / name)


def tiny(*, nodes=None, outputs=None, weights=(), about=None, domain="", op="Cast") -> bytes:
    """A detector in form: it casts, and gives nine channels."""
    frames = helper.make_tensor_value_info("frames", TensorProto.UINT8, [1, "h", "w", 3])
    plates = helper.make_tensor_value_info("plates", TensorProto.FLOAT, [1, 9, "r", "c"])
    nodes = nodes or [helper.make_node(op, ["frames"], ["plates"], domain=domain, to=1)]
    graph = helper.make_graph(nodes, "g", [frames], outputs or [plates], initializer=list(weights))
    imports = [helper.make_opsetid("", 17)]
    if domain:
        imports.append(helper.make_opsetid(domain, 1))
    model = helper.make_model(graph, opset_imports=imports, ir_version=8)
    helper.set_model_props(model, ABOUT if about is None else about)
    return model.SerializeToString()


def problems(data: bytes) -> str:
    return "; ".join(audit(read_graph(data)).problems)


# --- what is accepted ------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_shipped_models_pass_and_are_seen_as_onnx_sees_them(name):
    data = (models_folder() / name).read_bytes()
    ours, theirs = read_graph(data), shipped(name)
    assert audit(ours).problems == ()
    same_as_onnx(ours, theirs)


def same_as_onnx(ours: Graph, theirs: onnx.ModelProto) -> None:
    assert [(n.op, n.domain, n.name, n.inputs, n.outputs) for n in ours.nodes] == [
        (n.op_type, n.domain, n.name, tuple(n.input), tuple(n.output)) for n in theirs.graph.node
    ]
    assert [(w.name, w.dtype, w.elements) for w in ours.weights] == [
        (t.name, t.data_type, int(np.prod(t.dims, dtype=np.int64)))
        for t in theirs.graph.initializer
    ]
    for weight, tensor in zip(ours.weights, theirs.graph.initializer, strict=True):
        if weight.integers:
            assert list(weight.integers) == numpy_helper.to_array(tensor).ravel().tolist()
    for ports, values in (
        (ours.inputs, theirs.graph.input),
        (ours.outputs, theirs.graph.output),
    ):
        assert [p.name for p in ports] == [v.name for v in values]
        for port, value in zip(ports, values, strict=True):
            assert port.dtype == value.type.tensor_type.elem_type
            assert len(port.shape) == len(value.type.tensor_type.shape.dim)
    assert ours.about == {p.key: p.value for p in theirs.metadata_props}


def test_a_tiny_detector_passes():
    assert problems(tiny()) == ""


# --- what is refused -------------------------------------------------------------------------


def embedding(width: int, name: str = "embedding") -> list:
    plates = helper.make_tensor_value_info("plates", TensorProto.FLOAT, [1, 9, "r", "c"])
    return [plates, helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, width])]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (tiny(op="Loop"), "operator Loop is not on the list"),
        (tiny(op="If"), "operator If is not on the list"),
        (tiny(op="LSTM"), "operator LSTM is not on the list"),
        (tiny(op="RandomNormal"), "not on the list"),
        (tiny(op="FaceDetect", domain="vendor"), "vendor.FaceDetect is not ONNX's own"),
        (tiny(op="Cast", domain="com.microsoft"), "com.microsoft.Cast is not ONNX's own"),
        (tiny(outputs=embedding(512)), "outputs are plates, embedding"),
        (
            tiny(outputs=[helper.make_tensor_value_info("plates", 1, [1, 128, "r", "c"])]),
            "output plates is (1, 128, r, c), declared is (n, 9, cells, cells)",
        ),
        (tiny(outputs=[helper.make_tensor_value_info("plates", 1, [1, 9])]), "declared is"),
        (tiny(outputs=[helper.make_tensor_value_info("plates", 7, [1, 9, 4, 4])]), "type 7"),
        (tiny(outputs=[helper.make_tensor_value_info("faces", 1, [1, 9, 4, 4])]), "are faces"),
        (tiny(about={"kind": "face-detector"}), "kind is 'face-detector'"),
        (tiny(about={}), "kind is ''"),
        (tiny(about={**ABOUT, "ort_config": "{}"}), "settings for ONNX Runtime"),
        (tiny(op="Bad\x1b[2J"), "operator Bad?[2J is not on the list"),
        (tiny(about={"kind": "plate-recogniser"}), "alphabet is missing"),
        (
            tiny(weights=[helper.make_tensor("w", TensorProto.INT64, [1], [1 << 40])]),
            "size above",
        ),
        (
            tiny(weights=[numpy_helper.from_array(np.zeros(4_000_001, np.int8), "w")]),
            "4000001 weights",
        ),
        (
            tiny(nodes=[helper.make_node("Relu", ["frames"], ["plates"])] * 2_001),
            "2001 operators",
        ),
    ],
)
def test_a_graph_that_is_no_plate_model(data, told):
    assert told in problems(data)


@pytest.mark.parametrize(
    "about",
    [
        {"alphabet": "AAB", "regions": '["us"]'},
        {"alphabet": "AB", "regions": '["us", "us"]'},
        {"alphabet": "AB", "regions": '["John Smith"]'},
        {"alphabet": "AB", "regions": "{}"},
        {"alphabet": "AB", "regions": "[" * 5_000},
        {"alphabet": "x" * 500, "regions": "[]"},
    ],
)
def test_columns_must_have_names(about):
    assert audit(read_graph(tiny(about={"kind": "plate-recogniser", **about}))).problems


def test_characters_and_regions_are_as_wide_as_their_names():
    about = {"alphabet": "AB", "regions": '["us", "mx"]'}
    assert wrong_shapes("plate-recogniser", about, [(2, 10, 3), (2, 2)]) == []
    assert wrong_shapes("plate-recogniser", about, [(2, 10, 3), (2, 3)])
    assert wrong_shapes("plate-recogniser", about, [(2, 512, 3), (2, 2)])
    assert wrong_shapes("plate-recogniser", about, [(2, 10, 3)])


def sub_graph() -> bytes:
    inner = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "inner", [], [])
    return tiny(nodes=[helper.make_node("Cast", ["frames"], ["plates"], to=1, hidden=inner)])


def external(location: str = "weights.bin") -> bytes:
    tensor = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tiny(weights=[tensor])


def with_function() -> bytes:
    model = onnx.load_from_string(tiny())
    model.functions.append(
        helper.make_function("own", "f", ["x"], ["y"], [], [helper.make_opsetid("", 17)])
    )
    return model.SerializeToString()


def sparse() -> bytes:
    model = onnx.load_from_string(tiny())
    values = helper.make_tensor("s", TensorProto.FLOAT, [1], [1.0])
    indices = helper.make_tensor("i", TensorProto.INT64, [1], [0])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4]))
    return model.SerializeToString()


def only_location() -> bytes:
    tensor = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    tensor.data_location = TensorProto.EXTERNAL
    return tiny(weights=[tensor])


@pytest.mark.parametrize("make", [sub_graph, external, with_function, sparse, only_location])
def test_what_a_plate_model_never_has(make):
    with pytest.raises(Forbidden):
        read_graph(make())
    assert audited("x.onnx", make()).problems


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x08\x08",
        b"hello" * 100,
        b"\xff" * 200,
        b"\x3a\xff\xff\xff\xff\x0f",  # a graph of 4 GB in a file of six bytes
        b"\x00\x00\x00\x00ORTM" + b"\0" * 64,  # ONNX Runtime's own format
        tiny() + tiny(),  # protobuf would merge the two
        tiny()[:-3],
        b"\x88\x00\x08" + tiny(),  # a tag that is not in its shortest form
        tiny() + b"\xa0\x06\x01",  # a field that nobody knows
    ],
)
def test_bytes_that_are_no_model(data):
    with pytest.raises(Malformed):
        read_graph(data)


def test_a_tensor_that_says_more_than_it_holds():
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "w")
    tensor.dims[:] = [1 << 20, 1 << 11]
    with pytest.raises(Malformed, match="does not hold"):
        read_graph(tiny(weights=[tensor]))


# --- bounds ----------------------------------------------------------------------------------


def length_delimited(number: int, payload: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


@pytest.mark.parametrize(
    "bomb",
    [
        # 16 million empty nodes; as many packed integers; a text of 32 MB.
        length_delimited(7, length_delimited(1, b"") * (1 << 22)),
        length_delimited(7, length_delimited(5, length_delimited(1, b"\1" * (1 << 24)))),
        length_delimited(2, b"a" * (1 << 25)),
    ],
    ids=["nodes", "packed", "text"],
)
@pytest.mark.timeout(60)
def test_a_bomb_is_given_up_early(bomb):
    tracemalloc.start()
    try:
        with pytest.raises(Malformed):
            read_graph(bomb)
        assert tracemalloc.get_traced_memory()[1] < 150e6
    finally:
        tracemalloc.stop()


HUNGRY = """
import resource, sys
from pathlib import Path
from alpr_edge.vision.verify import verify
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
before = peak()
for finding in verify(Path(sys.argv[1])):
    if finding.name == "detector.onnx":
        print(finding.exit_status != 0, bool(finding.problems), peak() - before)
"""


@pytest.mark.parametrize("side", [16_384, 65_536])
def test_a_small_file_that_asks_for_gigabytes_gets_none(folder, side):
    """1 and 16 GiB of zeros from a file of 500 bytes that the audit has nothing against."""
    nodes = [
        helper.make_node("ConstantOfShape", ["sides"], ["zeros"]),
        helper.make_node("ReduceMax", ["zeros"], ["zero"], keepdims=0),
        helper.make_node("Cast", ["frames"], ["x"], to=1),
        helper.make_node("Concat", ["x", "x", "x"], ["nine"], axis=3),
        helper.make_node("Transpose", ["nine"], ["t"], perm=[0, 3, 1, 2]),
        helper.make_node("Add", ["t", "zero"], ["plates"]),
    ]
    data = tiny(nodes=nodes, weights=[numpy_helper.from_array(np.array([side, side]), "sides")])
    assert problems(data) == ""
    put(folder, "detector.onnx", data)
    done = subprocess.run(
        [sys.executable, "-c", HUNGRY, str(folder)], capture_output=True, text=True, check=True
    )
    failed, told, mib = done.stdout.split()
    assert (failed, told) == ("True", "True")
    assert int(mib) < 400


def test_nesting_goes_no_deeper_than_the_table():
    leaf = b""
    for _ in range(5_000):
        leaf = length_delimited(7, leaf)
    with pytest.raises(Malformed):
        read_graph(leaf)


# --- fuzzing ---------------------------------------------------------------------------------


@given(st.binary(max_size=300))
@example(b"\x08" + b"\x80" * 9 + b"\x01")
def test_any_bytes_give_a_graph_or_malformed(data):
    try:
        read_graph(data)
    except Malformed:
        return


@settings(max_examples=300)
@given(st.data())
def test_a_changed_model_is_refused_or_seen_as_onnx_sees_it(data):
    original = SMALL[data.draw(st.integers(0, len(SMALL) - 1))]
    raw = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        how = data.draw(st.sampled_from(["set", "insert", "delete", "cut"]))
        if how == "set":
            raw[at] = data.draw(st.integers(0, 255))
        elif how == "insert":
            raw[at:at] = data.draw(st.binary(min_size=1, max_size=6))
        elif how == "delete" and len(raw) > 8:
            del raw[at : at + data.draw(st.integers(1, 6))]
        elif how == "cut" and at > 8:
            del raw[at:]
    try:
        ours = read_graph(bytes(raw))
    except Malformed:
        return
    same_as_onnx(ours, onnx.load_from_string(bytes(raw)))


SMALL = [
    tiny(weights=[helper.make_tensor("w", TensorProto.INT64, [2], [3, -1])]),
    tiny(weights=[numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(2, 3), "w")]),
    tiny(nodes=[helper.make_node("Conv", ["frames"], ["plates"], pads=[1, 1], group=3, alpha=0.5)]),
]


@given(st.integers(0, (1 << 64) - 1))
def test_varints_come_back(value):
    raw = varint(value)
    assert read_varint(memoryview(raw), 0) == (value, len(raw))
    with pytest.raises(Malformed):
        read_varint(memoryview(raw[:-1]), 0)


@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1), max_size=20), st.booleans())
def test_packed_and_single_integers_are_the_same(values, packed):
    raw = [varint(v & (1 << 64) - 1) for v in values]
    data = length_delimited(1, b"".join(raw)) if packed else b"".join(b"\x08" + r for r in raw)
    table = Table("t", {1: Field("v", "ints")})
    assert read_message(memoryview(data), table, Budget(100))["v"] == values


# --- loading and `models verify` -------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (*NAMES, "manifest.json"):
        shutil.copy(models_folder() / name, tmp_path)
    return tmp_path


def put(folder: Path, name: str, data: bytes) -> None:
    """Write a file and list it, as somebody with write access would."""
    (folder / name).write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_text())
    kept = [m for m in manifest["models"] if m["file"] != name]
    kept.append({"file": name, "sha256": hashlib.sha256(data).hexdigest()})
    (folder / "manifest.json").write_text(json.dumps({"models": kept}))


@pytest.mark.parametrize(
    "data", [tiny(op="Loop"), tiny(outputs=embedding(128)), external(), sub_graph()]
)
def test_a_listed_file_that_is_no_plate_model_does_not_load(folder, data):
    put(folder, "detector.onnx", data)
    with pytest.raises(TrustError) as caught:
        load_model("detector.onnx", folder=folder)
    assert caught.value.code == "trust.model.refused"
    assert caught.value.exit_status == 3


def test_weights_in_another_file_are_not_read(folder):
    """ONNX Runtime would fetch them from wherever the process runs, past the digest."""
    (folder / "weights.bin").write_bytes(np.ones(1, np.float32).tobytes())
    put(folder, "detector.onnx", external(str(folder / "weights.bin")))
    with pytest.raises(TrustError):
        load_model("detector.onnx", folder=folder)


def test_verify_says_all_of_a_healthy_folder(folder):
    findings = list(verify(folder))
    assert [f.name for f in findings] == NAMES
    assert all(not f.problems and f.exit_status == 0 for f in findings)
    assert {f.found.kind for f in findings if f.found} == set(KINDS)
    assert all(set(f.found.operators) <= OPERATORS for f in findings if f.found)


def test_verify_goes_on_after_the_first_problem(folder):
    (folder / "detector.onnx").write_bytes(b"other")
    (folder / "faces.tflite").write_bytes(b"TFL3")
    put(folder, "also.onnx", tiny(op="Loop"))
    by_name = {f.name: f for f in verify(folder)}
    assert by_name["recogniser.onnx"].problems == ()
    assert by_name["detector.onnx"].exit_status == 3
    assert "Loop" in by_name["also.onnx"].problems[0]
    assert by_name["faces.tflite"].problems[0].startswith("not in the manifest")


def test_verify_runs_the_model_and_looks_at_what_comes_out(folder):
    """A graph may declare nine channels and give another number."""
    nodes = [
        helper.make_node("Cast", ["frames"], ["x"], to=1),
        helper.make_node("Transpose", ["x"], ["plates"], perm=[0, 3, 1, 2]),
    ]
    put(folder, "detector.onnx", tiny(nodes=nodes))
    finding = next(f for f in verify(folder) if f.name == "detector.onnx")
    assert finding.exit_status != 0
    assert finding.problems


def test_a_pipe_in_place_of_a_model_is_refused_at_once(folder):
    import os

    (folder / "detector.onnx").unlink()
    os.mkfifo(folder / "detector.onnx")
    with pytest.raises(InferenceError) as caught:
        load_model("detector.onnx", folder=folder)
    assert caught.value.code == "vision.model.unreadable"


@pytest.mark.parametrize(
    "entry",
    [
        {"file": "../detector.onnx", "sha256": "0" * 64},
        {"file": "/etc/passwd", "sha256": "0" * 64},
        {"file": "detector.onnx", "sha256": "0" * 63},
        {"file": "detector.onnx", "sha256": None},
        {"file": 7, "sha256": "0" * 64},
    ],
)
def test_a_manifest_with_paths_or_wrong_digests_is_refused(folder, entry):
    (folder / "manifest.json").write_text(json.dumps({"models": [entry]}))
    with pytest.raises(AlprEdgeError) as caught:
        load_model("detector.onnx", folder=folder)
    assert caught.value.code == "vision.manifest.broken"


def test_a_manifest_that_lists_a_file_twice_is_refused(folder):
    entry = {"file": "detector.onnx", "sha256": "0" * 64}
    (folder / "manifest.json").write_text(json.dumps({"models": [entry, entry]}))
    with pytest.raises(AlprEdgeError) as caught:
        load_model("detector.onnx", folder=folder)
    assert caught.value.code == "vision.manifest.broken"
