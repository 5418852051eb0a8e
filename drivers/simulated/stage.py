"""Simulated stages: they move the sample under the microscope and the focus through it."""

from __future__ import annotations

from pymmcore_plus.experimental.unicore.devices._stage import StageDevice, XYStageDevice

from rtsmlm.drivers.simulated.hub import Attached
from rtsmlm.drivers.simulated.microscope import SimMicroscope

NM_PER_UM = 1000.0


class SimXYStage(XYStageDevice):
    """Moves the sample: a step of +1 um along x moves the image by +1 um along its columns."""

    def __init__(self, microscope: SimMicroscope | None = None) -> None:
        super().__init__()
        self._microscope = Attached(self, microscope)
        self._position_um = [0.0, 0.0]
        self._origin_um = [0.0, 0.0]

    def shutdown(self) -> None:
        """Let go of the microscope."""
        self._microscope.release()

    def set_position_um(self, x: float, y: float) -> None:
        """Move to a position relative to the origin."""
        self._position_um = [x + self._origin_um[0], y + self._origin_um[1]]
        self._microscope().move_stage(
            x_nm=self._position_um[0] * NM_PER_UM, y_nm=self._position_um[1] * NM_PER_UM
        )

    def get_position_um(self) -> tuple[float, float]:
        """Return the position relative to the origin."""
        return (
            self._position_um[0] - self._origin_um[0],
            self._position_um[1] - self._origin_um[1],
        )

    def set_origin_x(self) -> None:
        """Call the present x zero."""
        self._origin_um[0] = self._position_um[0]

    def set_origin_y(self) -> None:
        """Call the present y zero."""
        self._origin_um[1] = self._position_um[1]

    def home(self) -> None:
        """Move to where the stage was when it was loaded."""
        self._origin_um = [0.0, 0.0]
        self.set_position_um(0.0, 0.0)

    def stop(self) -> None:
        """Do nothing: a move is over at once."""


class SimZStage(StageDevice):
    """Moves the focal plane: +1 um focuses 1 um deeper into the sample."""

    def __init__(self, microscope: SimMicroscope | None = None) -> None:
        super().__init__()
        self._microscope = Attached(self, microscope)
        self._position_um = 0.0
        self._origin_um = 0.0

    def shutdown(self) -> None:
        """Let go of the microscope."""
        self._microscope.release()

    def set_position_um(self, val: float) -> None:
        """Move to a position relative to the origin."""
        self._position_um = val + self._origin_um
        self._microscope().move_stage(z_nm=self._position_um * NM_PER_UM)

    def get_position_um(self) -> float:
        """Return the position relative to the origin."""
        return self._position_um - self._origin_um

    def set_origin(self) -> None:
        """Call the present position zero."""
        self._origin_um = self._position_um

    def home(self) -> None:
        """Move to where the stage was when it was loaded."""
        self._origin_um = 0.0
        self.set_position_um(0.0)

    def stop(self) -> None:
        """Do nothing: a move is over at once."""
