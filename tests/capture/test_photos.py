"""Photos from disk: what can be read is upright BGR, everything else a clear error."""

from __future__ import annotations

import os
import time
from datetime import UTC
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.capture.photo_bytes import (
    CMYK_JPEG,
    KINDS,
    encoded,
    huge_png,
    jpeg_with_orientation,
    picture,
    png_chunk,
    resized_jpeg,
)

from alpr_edge.capture.photo_header import HeaderProblem, PhotoHeader, parse_header
from alpr_edge.capture.photos import (
    MAX_PIXELS,
    PHOTO_EXTENSIONS,
    decode_photo,
    find_photos,
    load_photo,
)
from alpr_edge.errors import CaptureError

CODES = {
    f"capture.photo.{kind}"
    for kind in ("empty", "not_an_image", "broken", "too_large", "too_small")
}


def code_of(data: bytes) -> str:
    with pytest.raises(CaptureError) as caught:
        decode_photo(data, source="x")
    assert caught.value.hint
    assert "x" in caught.value.message
    return caught.value.code.removeprefix("capture.photo.")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_becomes_a_frame(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    path.write_bytes(encoded(kind))
    frame = load_photo(path, sequence=3)
    assert frame.image.shape == (64, 96, 3)
    assert frame.image.dtype == np.uint8
    assert frame.image.flags.c_contiguous
    assert frame.image.flags.writeable
    assert np.abs(frame.image.astype(int) - picture()).mean() < 12
    assert (frame.source, frame.sequence) == (str(path), 3)
    assert frame.captured_at.tzinfo is UTC


@pytest.mark.parametrize("kind", KINDS)
def test_the_name_plays_no_part(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(encoded(kind))
    assert load_photo(path).image.shape == (64, 96, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(orientation: int) -> None:
    """Source: EXIF 2.3, tag 0x0112. Undoing it by hand must give the stored picture."""
    upright = decode_photo(jpeg_with_orientation(picture(), orientation), source="x")
    assert upright.shape[:2] == ((64, 96) if orientation <= 4 else (96, 64))
    undo = {
        1: lambda i: i,
        2: lambda i: i[:, ::-1],
        3: lambda i: i[::-1, ::-1],
        4: lambda i: i[::-1],
        5: lambda i: i.transpose(1, 0, 2),
        6: lambda i: np.rot90(i, 1),
        7: lambda i: np.rot90(i, 2).transpose(1, 0, 2),
        8: lambda i: np.rot90(i, -1),
    }[orientation]
    assert np.abs(undo(upright).astype(int) - picture()).mean() < 4
    assert upright.flags.c_contiguous
    assert upright.flags.writeable


@pytest.mark.parametrize(
    ("data", "colour"),
    [
        pytest.param(encoded("png", np.full((20, 20), 77, np.uint8)), (77, 77, 77), id="grey"),
        pytest.param(
            encoded("png", np.full((20, 20, 3), (2570, 7710, 51400), np.uint16)),
            (10, 30, 200),
            id="16 bit",
        ),
        pytest.param(
            encoded("png", np.full((20, 20, 4), (10, 30, 200, 0), np.uint8)),
            (10, 30, 200),
            id="transparent",
        ),
        pytest.param(encoded("jpg", np.full((20, 20), 77, np.uint8)), (77, 77, 77), id="grey JPEG"),
        pytest.param(CMYK_JPEG, (0, 0, 255), id="CMYK"),
        pytest.param(
            encoded("webp", np.full((20, 20, 4), (10, 30, 200, 128), np.uint8), 64, 101),
            (10, 30, 200),
            id="transparent WebP",
        ),
        pytest.param(
            encoded("jpg", np.full((20, 20, 3), 90, np.uint8), cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
            (90, 90, 90),
            id="progressive",
        ),
    ],
)
def test_odd_formats_become_bgr(data: bytes, colour: tuple[int, int, int]) -> None:
    image = decode_photo(data, source="x")
    assert image.dtype == np.uint8
    assert image.shape[2] == 3
    assert np.abs(image.reshape(-1, 3).astype(int) - colour).max() <= 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.9, 0.99])
def test_what_is_cut_off_is_broken(
    kind: str, share: float, capfd: pytest.CaptureFixture[str]
) -> None:
    data = encoded(kind)
    assert code_of(data[: int(len(data) * share)]) == "broken"
    assert capfd.readouterr().err == ""


def test_a_jpeg_that_ends_in_the_middle_with_an_end_marker_is_broken(
    capfd: pytest.CaptureFixture[str],
) -> None:
    data = encoded("jpg", picture(640, 480))
    assert code_of(data[: len(data) // 2] + b"\xff\xd9") == "broken"
    assert capfd.readouterr().err == "", "the decoder's own words stay off the console"


def test_what_follows_the_end_does_not_matter() -> None:
    for kind in KINDS:
        assert decode_photo(encoded(kind) + b"motion photo", source="x").shape == (64, 96, 3)


def test_a_damaged_png_is_broken(capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(encoded("png"))
    data[len(data) // 2] ^= 0x10
    assert code_of(bytes(data)) == "broken"
    good = encoded("png")
    at = good.index(b"IDAT") - 4
    lying = good[:at] + png_chunk(b"IDAT", b"no zlib stream") + png_chunk(b"IEND", b"")
    assert code_of(lying) == "broken"
    assert capfd.readouterr().err == ""


def test_words_of_other_threads_reach_the_console(capfd: pytest.CaptureFixture[str]) -> None:
    from alpr_edge.capture.photos import _decoder_messages

    with _decoder_messages() as messages:
        os.write(2, b"Corrupt JPEG data: premature end of data segment\nfrom elsewhere\n")
    assert b"premature end" in messages
    assert capfd.readouterr().err == "from elsewhere\n"


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        b"hello world" * 100,
        b"GIF89a" + bytes(100),
        b"%PDF-1.7\n",
        b"BM",
        b"II*\0" + bytes(99),
    ],
)
def test_what_is_no_photo(data: bytes) -> None:
    assert code_of(data) == "not_an_image"


@pytest.mark.parametrize("size", [(1, 1), (15, 200), (200, 15)])
def test_too_small(size: tuple[int, int]) -> None:
    for kind in KINDS:
        assert code_of(encoded(kind, picture(*size))) == "too_small"


@pytest.mark.parametrize(
    "data",
    [
        huge_png(2**31 - 1, 2**31 - 1),
        huge_png(40_000, 100),
        huge_png(10_001, 10_000),
        resized_jpeg(encoded("jpg"), 65_535, 65_535),
    ],
)
def test_too_large_is_refused_before_anything_is_decoded(data: bytes) -> None:
    began = time.monotonic()
    assert code_of(data) == "too_large"
    assert time.monotonic() - began < 0.5


def test_a_scan_bomb_is_broken_at_once() -> None:
    data = encoded("jpg", None, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    at = data.rindex(b"\xff\xda")
    assert code_of(data[:-2] + data[at:-2] * 200 + b"\xff\xd9") == "broken"


@pytest.mark.parametrize("size", [(8660, 5774), (10_000, 10_000)])
def test_fifty_and_a_hundred_megapixels_work(size: tuple[int, int]) -> None:
    assert size[0] * size[1] <= MAX_PIXELS
    data = encoded("jpg", np.full((size[1], size[0]), 128, np.uint8))
    assert decode_photo(data, source="x").shape == (size[1], size[0], 3)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda path: None, "missing"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.mkdir(), "not_an_image"),
        (lambda path: os.mkfifo(path), "not_an_image"),
        (lambda path: path.symlink_to("/dev/zero"), "not_an_image"),
        (lambda path: path.symlink_to(path), "unreadable"),
        (lambda path: path.symlink_to("nowhere"), "missing"),
    ],
)
def test_what_is_no_file(tmp_path: Path, make: object, kind: str) -> None:
    path = tmp_path / "a.jpg"
    make(path)  # type: ignore[operator]
    with pytest.raises(CaptureError) as caught:
        load_photo(path)
    assert caught.value.code == f"capture.photo.{kind}"
    assert str(path) in caught.value.message


def test_forbidden_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded("jpg"))
    path.chmod(0)
    if os.access(path, os.R_OK):  # root may read everything; a broken link says the same above
        assert load_photo(path).image.any()
        return
    with pytest.raises(CaptureError) as caught:
        load_photo(path)
    assert caught.value.code == "capture.photo.unreadable"


def test_impossible_names() -> None:
    for name in ("a\0b", "x" * 5000):
        with pytest.raises(CaptureError) as caught:
            load_photo(name)
        assert caught.value.code in ("capture.photo.missing", "capture.photo.unreadable")


def test_finds_photos_in_input_order_and_folders_sorted(tmp_path: Path) -> None:
    for name in (
        "z.JPG",
        "b/2.png",
        "b/10.webp",
        "b/c/1.jpeg",
        "b/notes.txt",
        "b/.hidden.jpg",
        "a.bmp",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "b" / "loop").symlink_to(tmp_path / "b")
    (tmp_path / "empty").mkdir()
    asked: list[Path | str] = [
        tmp_path / "z.JPG",
        tmp_path / "b",
        tmp_path / "gone.txt",
        tmp_path / "empty",
        "",
    ]
    found = list(find_photos(asked))
    names = [os.path.relpath(e.source, tmp_path) for e in found[:-1]]
    assert names == ["z.JPG", "b/10.webp", "b/2.png", "b/c/1.jpeg", "gone.txt", "empty"]
    assert [e.error and e.error.code for e in found] == [None] * 5 + ["capture.photo.missing"] * 2
    assert len(list(find_photos([tmp_path]))) == 5


def test_a_name_that_is_not_utf8_can_be_shown(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    Path(os.fsdecode(path)).write_bytes(encoded("jpg"))
    (entry,) = find_photos([tmp_path])
    assert entry.source.endswith("caf\\xe9.jpg")
    entry.source.encode("utf-8")
    assert load_photo(entry.path).source == entry.source


def test_a_folder_that_cannot_be_searched_is_reported(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    (locked / "a.jpg").write_bytes(b"x")
    locked.chmod(0)
    try:
        found = list(find_photos([tmp_path]))
    finally:
        locked.chmod(0o700)
    if found[0].error is None:
        return  # root may search everything
    assert [e.error and e.error.code for e in found] == ["capture.photo.unreadable"]


@given(
    data=st.binary(max_size=300),
    magic=st.sampled_from(
        [
            b"",
            b"\xff\xd8\xff",
            b"\x89PNG\r\n\x1a\n",
            b"BM",
            b"RIFF\x20\0\0\0WEBPVP8 ",
            b"RIFF\x20\0\0\0WEBPVP8X",
            b"RIFF\x20\0\0\0WEBPVP8L",
        ]
    ),
)
def test_random_bytes_never_crash(magic: bytes, data: bytes) -> None:
    header = parse_header(magic + data)
    assert isinstance(header, PhotoHeader | HeaderProblem)
    _decodes_or_says_why(magic + data)


@given(
    kind=st.sampled_from(KINDS),
    flips=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), min_size=1, max_size=6),
    cut=st.floats(0, 1),
    how=st.sampled_from(["flip", "cut", "remove"]),
)
def test_damaged_photos_never_crash(
    kind: str, flips: list[tuple[float, int]], cut: float, how: str
) -> None:
    data = bytearray(_ORIGINALS[kind])
    if how == "flip":
        for share, mask in flips:
            # Squared: headers lie at the beginning and are a small part of the file.
            data[int(share**3 * (len(data) - 1))] ^= mask
    elif how == "cut":
        del data[int(cut * len(data)) :]
    else:
        start = int(cut * len(data))
        del data[start : start + 1 + flips[0][1]]
    _decodes_or_says_why(bytes(data))


_ORIGINALS = {kind: encoded(kind) for kind in KINDS}


def _decodes_or_says_why(data: bytes) -> None:
    began = time.monotonic()
    try:
        image = decode_photo(data, source="x")
    except CaptureError as err:
        code, hint = err.code, err.hint
        assert code in CODES
        assert hint
    else:
        assert image.dtype == np.uint8
        assert image.ndim == 3
        assert min(image.shape[:2]) >= 16
        assert image.flags.c_contiguous
    assert time.monotonic() - began < 20


@pytest.mark.photos
def test_no_real_photo_is_refused(photos: Path) -> None:
    """The check for damage must not refuse what cameras really write."""
    everything = [p for p in sorted(photos.rglob("*")) if p.suffix.lower() in PHOTO_EXTENSIONS]
    for path in everything[::40]:
        assert min(load_photo(path).image.shape[:2]) >= 16
