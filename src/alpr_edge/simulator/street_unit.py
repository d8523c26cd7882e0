"""A unit to practise and test on: the console's unit in memory, with the simulated street before
its camera and the sample register round it.

Masks, signatures, stills, placement and calibration go through the real code. What it has no part
for (network, ledger) is as in `console.memory_unit`. Nothing is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Final

from alpr_edge.config.mask_file import mask_digest
from alpr_edge.console.channel.picture import encode_jpeg
from alpr_edge.console.device import Document, Still
from alpr_edge.console.memory_unit import MemoryUnit
from alpr_edge.delivery.clocks import Clocks
from alpr_edge.errors import ConsoleError, ExclusionError
from alpr_edge.exclusion.camera_model import PlacedCamera
from alpr_edge.exclusion.mask import Masker
from alpr_edge.exclusion.premises import Site
from alpr_edge.exclusion.self_test import masked_is_black
from alpr_edge.exclusion.still import make_still
from alpr_edge.exclusion.trial_plates import Place, choose_plates, paint_plates
from alpr_edge.exclusion.zones import Zones, rasterise
from alpr_edge.placement.camera_file import camera_values
from alpr_edge.placement.check import Policy, check_placement
from alpr_edge.placement.session import CalibrationSession
from alpr_edge.simulator.street import Street, StreetConfig
from alpr_edge.trust.checks import format_time
from alpr_edge.trust.keyring import Keyring
from alpr_edge.types import Frame, Quad

_FIRST_S: Final = 6.0
_FPS: Final = 2.0
_SECONDS: Final = 20.0


class StreetUnit(MemoryUnit):
    """See the module's docstring.

    Args:
        sites: the register of protected premises.
        camera: as it was calibrated.
        seed: of the street.
    """

    def __init__(
        self,
        clocks: Clocks,
        ring: Keyring | None = None,
        *,
        sites: Sequence[Site] = (),
        camera: PlacedCamera | None = None,
        seed: int = 4,
    ) -> None:
        super().__init__(clocks, ring)
        self.frame_px = (1280, 720)
        self._sites, self._camera = sites, camera
        self._config = StreetConfig(seed=seed, fps=_FPS, duration_s=_SECONDS)
        self._taken = 0
        self._tested: Document = {"state": "none"}

    @cached_property
    def _street(self) -> Street:
        # Drawn when it is first looked at: it takes seconds.
        return Street(self._config)

    def _frame_now(self) -> tuple[Frame, tuple[Quad, ...]]:
        """The next frame, over and over, and where its plates are."""
        number = int(_FIRST_S * _FPS) + self._taken
        self._taken += 1
        drawn = self._street.frame(number % self._config.frame_count)
        taken_s = self.clocks.wall_s()
        frame = Frame(
            image=drawn.image,
            source="street",
            sequence=number,
            captured_at=datetime.fromtimestamp(taken_s, UTC),
            taken_ns=int(self.clocks.boot_s() * 1e9),
        )
        return frame, tuple(t.corners for t in drawn.truth if t.corners is not None)

    def _zones(self) -> Zones:
        zones = self.state.zones
        if zones is None:
            raise ExclusionError(
                "no masks are in force: everything is protected, and nothing is shown",
                code="exclusion.mask.missing",
                hint="commit the masks from the map first, or the city's order",
            )
        return rasterise(zones, size_px=self.frame_px, digest=mask_digest(zones), least_band=0.02)

    def still(self, width_px: int, *, clear_plates: bool, reason: str, who: str) -> Still:
        """The street, masked."""
        zones = self._zones()
        if clear_plates:
            raise ConsoleError(
                "plates are not shown: nobody knows yet which of them must be suppressed",
                code="console.still.clear",
                hint="reads that may leave: show reads",
            )
        frame, plates = self._frame_now()
        masked = Masker(zones).apply(frame)
        image = make_still(masked, zones, plates, width_px=width_px)
        at = format_time(frame.captured_at.replace(microsecond=0))
        jpeg = encode_jpeg(image)
        return Still(jpeg, image.shape[1], image.shape[0], at, masked.mask_digest, True)

    def placement(self) -> Document:
        """By the real check."""
        if self._camera is None:
            return super().placement()
        found = check_placement(self._camera, self._sites, Policy())
        return {
            "verdict": found.verdict.value,
            "text": found.verdict.text,
            "reasons": list(found.reasons),
            "masked": round(found.masked, 4),
            "lost": round(found.lost, 4),
            "near_m": round(found.near_m, 1),
            "far_m": round(found.far_m, 1),
            "suggestions": [one.text for one in found.suggestions],
            "sites": [
                {"id": s.id, "name": s.name, "distance_m": round(s.distance_m, 1)}
                for s in found.sites
            ],
        }

    def calibration(self) -> Document:
        """As it was set or saved."""
        return {"calibration": None if self._camera is None else camera_values(self._camera)}

    def save_calibration(self, answers: Sequence[tuple[str, str]]) -> Document:
        """Fitted and kept."""
        fit = CalibrationSession(tuple(answers)).fit()
        self._camera = fit.camera
        self.done.append("calibration")
        return {"camera": fit.camera.id, "rms_px": round(fit.rms_px, 2)}

    def run_self_test(self) -> Document:
        """The first half of the real one: plates behind the masks are gone. There is no engine."""
        zones = self._zones()
        frame, _ = self._frame_now()
        plates = choose_plates(zones, 1)
        paint_plates(frame.image, zones, plates)
        good = masked_is_black(Masker(zones).apply(frame).image, zones)
        self._tested = {
            "state": "passed" if good else "failed",
            "finding": None if good else "a_masked_pixel_shows",
            "at": self._now.isoformat(),
            "painted": sum(p.place is Place.OUTSIDE for p in plates),
            "hidden": sum(p.place is not Place.OUTSIDE for p in plates),
            "note": "the simulated street has no engine: what is beside the masks was not read",
        }
        return {"started": True}

    def self_test(self) -> Document:
        """The last one."""
        return self._tested
