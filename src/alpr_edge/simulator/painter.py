"""Paints vehicles into a frame: shadow, body, plate, lamps, motion blur.

Does: draws staged vehicles over the backdrop, touching only the pixels around them.
Does not: pose vehicles (see `staging`), draw the street (see `backdrop`) or its weather (`light`).

Rules: the caller paints far vehicles first. Works in place on `(H, W, 3)` uint8 BGR.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from alpr_edge.simulator.backdrop import fence_walls
from alpr_edge.simulator.camera import Camera, Points
from alpr_edge.simulator.light import LightModel
from alpr_edge.simulator.mesh import Body, Surface
from alpr_edge.simulator.plate_art import PlateArtist
from alpr_edge.simulator.scene import FENCE_X_M
from alpr_edge.simulator.staging import FIXED_SHIFT, Staged, StagedPlate, fill, to_fixed
from alpr_edge.simulator.vehicles import Vehicle, footprint, rotation_of
from alpr_edge.types import Image

_COLOURS: Final[dict[Surface, tuple[float, float, float]]] = {
    Surface.GLASS: (58, 52, 46),
    Surface.GLASS_SHINE: (84, 74, 64),
    Surface.TRIM: (38, 38, 40),
    Surface.TYRE: (28, 28, 30),
    Surface.RIM: (150, 150, 152),
    Surface.HEADLAMP: (214, 218, 216),
    Surface.TAILLAMP: (38, 30, 150),
    Surface.CARGO: (214, 216, 218),
    Surface.LINE: (40, 40, 42),
    Surface.LENS: (40, 140, 240),
    Surface.CHROME: (168, 168, 166),
}
_GLOSS: Final[dict[Surface, float]] = {
    Surface.PAINT: 0.5,
    Surface.SHINE: 0.75,
    Surface.SHADE: 0.35,
    Surface.GLASS: 0.8,
    Surface.GLASS_SHINE: 1.7,
    Surface.CARGO: 0.3,
}
_TONE: Final[dict[Surface, float]] = {
    Surface.SHADE: 0.78,
    Surface.SHINE: 1.1,
    Surface.GLASS_SHINE: 1.3,
}
_WEST: Final = np.array([-1.0, 0.0, 0.0])
_GLOW: Final = 64


class Painter:
    """Draws the vehicles of one street, for one camera and light."""

    def __init__(
        self, camera: Camera, light: LightModel, backdrop: Image, artist: PlateArtist
    ) -> None:
        self._camera = camera
        self._light = light
        self._backdrop = backdrop
        self._artist = artist
        self._plates: dict[int, list[Image]] = {}
        self.fence = [camera.project_polygon(wall) for wall in fence_walls()]
        self._fence_mask = np.zeros(backdrop.shape[:2], np.uint8)
        for polygon in self.fence:
            if len(polygon) >= 3:
                fill(self._fence_mask, to_fixed(polygon), (255,))
        ramp = np.linspace(-1, 1, _GLOW)
        distance = np.hypot(ramp[:, None], ramp[None, :])
        self._glow = np.clip(1 - distance, 0, 1) ** 2.6

    def paint(self, image: Image, staged: Staged, speed: float) -> None:
        """Draw one vehicle; `speed` in m/s for its motion blur."""
        if staged.box is None:
            return
        self._shadow(image, staged)
        if self._light.lamps:
            self._beam(image, staged)
        colours, plate = self._face_colours(staged), staged.plate
        behind = plate is not None and plate.middle[0] < FENCE_X_M
        if staged.world[:, 0].min() < FENCE_X_M:
            self._faces(image, staged, colours, (_WEST, -FENCE_X_M))
            if plate is not None and behind:
                self._plate(image, staged.vehicle, plate)
            self._restore_fence(image, staged.box)
            self._faces(image, staged, colours, (-_WEST, FENCE_X_M))
        else:
            self._faces(image, staged, colours, None)
        if plate is not None and not behind:
            self._plate(image, staged.vehicle, plate)
        self._blur(image, staged, speed)
        if self._light.lamps:
            self._lamps(image, staged)

    def _face_colours(self, staged: Staged) -> Points:
        """`(F, 3)` BGR of every face in this light."""
        body = staged.body
        paint = staged.vehicle.colour
        own = np.array([_COLOURS.get(face.surface, paint) for face in body.faces], float)
        own *= np.array([_TONE.get(face.surface, 1.0) for face in body.faces])[:, None]
        gloss = np.array([_GLOSS.get(face.surface, 0.1) for face in body.faces])
        return self._light.shade(own, staged.normals, gloss)

    def _faces(
        self, image: Image, staged: Staged, colours: Points, clip: tuple[Points, float] | None
    ) -> None:
        for face, polygon in staged.face_polygons(clip):
            blue, green, red = colours[face]
            fill(image, polygon, (blue, green, red), smooth=True)
            if staged.body.layers[face] == 0:  # close the seams between hull faces
                cv2.polylines(
                    image, [polygon], True, (blue, green, red), 1, cv2.LINE_AA, FIXED_SHIFT
                )

    def _restore_fence(self, image: Image, box: tuple[int, int, int, int]) -> None:
        left, top, right, bottom = box
        region = (slice(top, bottom), slice(left, right))
        cv2.copyTo(self._backdrop[region], self._fence_mask[region], image[region])

    def _shadow(self, image: Image, staged: Staged) -> None:
        """Darken the ground below and, by the sun, beside the vehicle; soft at its edge."""
        light, size = self._light, staged.vehicle.size
        ground = footprint(size, staged.pose, 0.12)
        sun = np.array(light.sun)
        cast = ground - sun[:2] / max(sun[2], 0.5) * size.height_m * 0.55
        shapes = [ground, np.concatenate([ground, cast])] if light.shadow > 0.5 else [ground]
        for shape, share in zip(shapes, (1.0, 0.7), strict=False):
            flat = np.column_stack([shape, np.zeros(len(shape))])
            pixels, depth = self._camera.project(flat)
            if np.all(depth > 1.0):
                hull = cv2.convexHull(pixels.astype(np.float32)).reshape(-1, 2)
                _darken(image, hull.astype(np.float64), light.shadow * share)

    def _plate(self, image: Image, vehicle: Vehicle, plate: StagedPlate) -> None:
        """Warp the plate's texture, from the level whose detail fits, at twice the pixels."""
        low = np.floor(plate.corners.min(axis=0)).astype(int) - 1
        high = np.ceil(plate.corners.max(axis=0)).astype(int) + 1
        left, top = (int(v) for v in np.maximum(low, 0))
        right = min(int(high[0]), image.shape[1])
        bottom = min(int(high[1]), image.shape[0])
        if left >= right or top >= bottom:
            return
        across = float(np.linalg.norm(plate.corners[1] - plate.corners[0]))
        texture = self._texture(vehicle, 2 * across)
        rows, columns = texture.shape[:2]
        size = ((right - left) * 2, (bottom - top) * 2)
        source = np.array([(0, 0), (columns, 0), (columns, rows), (0, rows)], np.float32) - 0.5
        target = (plate.corners - (left, top)) * 2 - 0.5
        matrix = cv2.getPerspectiveTransform(source, target.astype(np.float32))
        fine = cv2.warpPerspective(
            texture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        cover = np.zeros((size[1], size[0]), np.uint8)
        fixed = np.round(target * (1 << FIXED_SHIFT)).astype(np.int32)
        cv2.fillConvexPoly(cover, fixed, 255, cv2.LINE_AA, FIXED_SHIFT)
        half = (right - left, bottom - top)
        art = cv2.resize(fine, half, interpolation=cv2.INTER_AREA).astype(np.float32)
        alpha = cv2.resize(cover, half, interpolation=cv2.INTER_AREA)[..., None] / np.float32(255)
        region = image[top:bottom, left:right]
        tone = np.array(self._light.tint, np.float32) * self._brightness(plate)
        lit = np.clip(art * tone, 0, 252)
        region[:] = np.rint(region * (1 - alpha) + lit * alpha).astype(np.uint8)

    def _brightness(self, plate: StagedPlate) -> float:
        sun = np.array(self._light.sun)
        facing = max(0.0, float(plate.normal @ sun / np.linalg.norm(sun)))
        reach = 1.0
        if self._light.lamps >= 1.0:  # only the camera's own lamp lights it
            away = float(np.linalg.norm(plate.middle - self._camera.position))
            reach = min(1.0, 26.0 / away)
        return self._light.plate_gain * (0.9 + 0.1 * facing) * reach

    def _texture(self, vehicle: Vehicle, width_px: float) -> Image:
        """The smallest prepared picture of the plate that is at least so wide."""
        levels = self._plates.get(vehicle.vehicle_id)
        if levels is None:
            levels = [self._artist(vehicle.plate)]
            while levels[-1].shape[1] > 60:
                half = (levels[-1].shape[1] // 2, levels[-1].shape[0] // 2)
                levels.append(
                    cv2.resize(levels[-1], half, interpolation=cv2.INTER_AREA).astype(np.uint8)
                )
            self._plates[vehicle.vehicle_id] = levels
        fitting = [level for level in levels if level.shape[1] >= width_px]
        return fitting[-1] if fitting else levels[0]

    def _blur(self, image: Image, staged: Staged, speed: float) -> None:
        """Smear along the way of the vehicle while the shutter is open."""
        x, y, heading = staged.pose
        run = speed * self._light.exposure_s
        step = np.array([np.cos(heading), np.sin(heading), 0.0]) * run
        centre = np.array([x, y, 0.7])
        ends, depth = self._camera.project(np.stack([centre, centre + step]))
        assert staged.box is not None
        left, top, right, bottom = staged.box
        if np.any(depth < 2.0):
            return
        smear = ends[1] - ends[0]
        length = float(np.linalg.norm(smear))
        if length < 1.2:
            return
        kernel = (round(abs(float(smear[0]))) or 1, round(abs(float(smear[1]))) or 1)
        region = image[top:bottom, left:right]
        blurred = cv2.blur(region, kernel, borderType=cv2.BORDER_REPLICATE)
        mask = np.zeros(region.shape[:2], np.uint8)
        known = staged.pixels[~np.isnan(staged.pixels[:, 0])]
        hull = cv2.convexHull(np.clip(known, -9e3, 9e3).astype(np.float32)).reshape(-1, 2)
        fixed = to_fixed(hull.astype(np.float64), (left, top))
        cv2.fillConvexPoly(mask, fixed, 255, cv2.LINE_8, FIXED_SHIFT)
        cv2.copyTo(blurred, mask, region)

    def _beam(self, image: Image, staged: Staged) -> None:
        """Light the road before the vehicle."""
        rotation = rotation_of(staged.pose[2])
        reach = staged.vehicle.size.length_m / 2
        own = np.array(
            [(-1.7, reach + 11, 0), (1.7, reach + 11, 0), (1.0, reach, 0), (-1.0, reach, 0)]
        )
        pixels, depth = self._camera.project(own @ rotation + (*staged.pose[:2], 0.0))
        if np.all(depth > 1.0):
            strength = 1.6 * self._light.lamps**2
            _darken(image, pixels, -strength, softness=3.0)

    def _lamps(self, image: Image, staged: Staged) -> None:
        """Glare of the lamps that face the camera."""
        body: Body = staged.body
        rotation = rotation_of(staged.pose[2])
        ahead = rotation[1]
        for spots, direction, colour, radius_m in (
            (body.headlamps, ahead, (235, 250, 255), 0.55),
            (body.taillamps, -ahead, (40, 20, 230), 0.28),
        ):
            world = spots @ rotation + (*staged.pose[:2], 0.0)
            for spot in world:
                sight = self._camera.position - spot
                facing = float(direction @ sight / np.linalg.norm(sight))
                pixel, depth = self._camera.project(spot)
                if facing > 0.15 and depth > 2.0 and spot[0] > FENCE_X_M:
                    radius = radius_m * self._camera.focal_px / float(depth)
                    tint = np.array(colour) * facing * self._light.lamps
                    self._add_glow(image, pixel, radius, tint)

    def _add_glow(self, image: Image, pixel: Points, radius: float, colour: Points) -> None:
        side = max(3, int(radius * 2))
        left, top = int(pixel[0] - radius), int(pixel[1] - radius)
        small = np.clip(self._glow[..., None] * colour, 0, 255).astype(np.uint8)
        sprite = cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR)
        y, x = max(top, 0), max(left, 0)
        high_y, high_x = min(top + side, image.shape[0]), min(left + side, image.shape[1])
        if y < high_y and x < high_x:
            part = sprite[y - top : high_y - top, x - left : high_x - left]
            region = image[y:high_y, x:high_x]
            cv2.add(region, part, dst=region)


def _darken(image: Image, polygon: Points, strength: float, softness: float = 1.0) -> None:
    """Multiply a soft-edged polygon by `1 - strength`; negative strength lightens. In place."""
    low = np.floor(np.clip(polygon.min(axis=0), -2e4, 2e4)).astype(int)
    high = np.ceil(np.clip(polygon.max(axis=0), -2e4, 2e4)).astype(int)
    pad = int(max(4.0, 0.03 * float((high - low).max()) * softness))
    left, top = (int(v) for v in np.maximum(low - pad, 0))
    right = min(int(high[0]) + pad, image.shape[1])
    bottom = min(int(high[1]) + pad, image.shape[0])
    if right - left < 8 or bottom - top < 8:
        return
    quarter = (max(2, (right - left) // 4), max(2, (bottom - top) // 4))
    scale = np.array([quarter[0] / (right - left), quarter[1] / (bottom - top)])
    small = np.zeros((quarter[1], quarter[0]), np.float32)
    fixed = to_fixed((polygon - (left, top)) * scale)
    cv2.fillConvexPoly(small, fixed, strength, cv2.LINE_8, FIXED_SHIFT)
    wide = max(1, pad // 4) * 2 + 1
    small = 1 - cv2.blur(small, (wide, wide))
    region = image[top:bottom, left:right]
    factor = cv2.resize(small, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
    scaled = np.rint(factor * 64).clip(0, 255).astype(np.uint8)
    cv2.multiply(region, cv2.merge([scaled, scaled, scaled]), dst=region, scale=1 / 64)
