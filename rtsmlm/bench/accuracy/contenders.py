"""Who takes part in `rtsmlm bench accuracy`: our localizers, and other programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from rtsmlm.bench.accuracy.measure import Contender, Psf
from rtsmlm.bench.accuracy.scenes import Scene
from rtsmlm.bench.peers.peers import PEERS, Peer, PeerMethod, start_peer
from rtsmlm.engines.selection import factory_of, models_that_localize
from rtsmlm.errors import ConfigError
from rtsmlm.localizations import Localizations
from rtsmlm.models.catalog import find_model, is_path, model_folders
from rtsmlm.models.manifest import Manifest, read_manifest
from rtsmlm.physics.psf_file import save_psf
from rtsmlm.pipeline.localizer import open_localizer
from rtsmlm.protocols import Localizer
from rtsmlm.settings.load import load
from rtsmlm.settings.psf import AstigmatismSettings, PsfSettings
from rtsmlm.settings.run import RunSettings, is_written_as_path

FITS = ("gaussian-mle", "astigmatic-mle", "spline-mle")
"""Fits that the models are compared with."""
OF_TABLES = ("spline-mle",)
"""Of these, those that need the table of a PSF."""
ALONE, WITH_TABLE = ", network alone", ", measured PSF"


def plain_name(localizer: str) -> str:
    """Return the name of a localizer that may carry a precision, such as `auto:int8`."""
    return _split(localizer)[0]


def _split(localizer: str) -> tuple[str, str]:
    """Return name and precision; a path of Windows has a colon of its own."""
    name, colon, precision = localizer.rpartition(":")
    if not colon or is_written_as_path(precision):
        return localizer, ""
    return name, precision


def label_of(localizer: str) -> str:
    """Return what a table calls a localizer: of a model folder, the name of the folder."""
    name, precision = _split(localizer)
    if is_path(name):
        name = Path(name).name
    return f"{name}:{precision}" if precision else name


def overrides_of(localizer: str) -> list[str]:
    """Return the settings that make a localizer of such a name."""
    name, precision = _split(localizer)
    chosen = [f"localizer.name={name}"]
    return [*chosen, f"localizer.precision={precision}"] if precision else chosen


class OurLocalizer:
    """A localizer of ours, opened anew for each scene."""

    is_peer = False

    def __init__(
        self, localizer: str, *, refine: bool = True, engine: str = "auto", table: bool = False
    ) -> None:
        self.name = label_of(localizer) + ("" if refine else ALONE) + (WITH_TABLE if table else "")
        self.psf: Psf = psf_of(localizer)
        self._takes_table = table or plain_name(localizer) in OF_TABLES
        chosen = [f"localizer.refine={str(refine).lower()}", f"localizer.engine={engine}"]
        self._settings = load(None, [*overrides_of(localizer), *chosen])

    def open(self, scene: Scene) -> Localizer:
        """Return the localizer for a scene, with its curves where the scene has some."""
        settings = self._settings
        if scene.curves is not None and self.psf == "astigmatic":
            settings = with_curves(settings, scene)
        if not self._takes_table or scene.table is None:
            return open_localizer(settings, scene.calibration, scene.sigma_nm)
        with TemporaryDirectory() as folder:
            file = Path(folder) / "psf_table.npz"
            save_psf(
                file, scene.table, pixel_nm=scene.calibration.pixel_nm, origin="Simulated beads."
            )
            psf = settings.psf.model_copy(update={"table": file})
            settings = settings.model_copy(update={"psf": psf})
            return open_localizer(settings, scene.calibration, scene.sigma_nm)

    def __call__(self, scene: Scene) -> Iterator[tuple[str, Localizations]]:
        """Localize with the default settings."""
        yield "", self.open(scene)(scene.batch)


class PeerLocalizer:
    """Another program, with one of its methods."""

    is_peer = True
    psf: Psf = "round"

    def __init__(self, peer: Peer, method: PeerMethod) -> None:
        self.name = method.column
        self._peer = peer
        self._settings = method.settings

    def __call__(self, scene: Scene) -> Iterator[tuple[str, Localizations]]:
        """Localize with all settings that its script tries."""
        return self._peer.localize(scene, self._settings)


def with_curves(settings: RunSettings, scene: Scene) -> RunSettings:
    """Return the settings with the curves of a scene."""
    if scene.curves is None:
        return settings
    psf = PsfSettings(sigma_nm=scene.sigma_nm, astigmatism=AstigmatismSettings.of(scene.curves))
    return settings.model_copy(update={"psf": psf})


def _takes_any_psf(name: str) -> bool:
    """Tell whether a model is not made for one PSF, which the scenes here have not."""
    manifest = manifest_of(name)
    # What tells colours apart was trained for the mask that makes them.
    return manifest is None or (manifest.z_range_nm is None and not manifest.colours)


def our_localizers(names: Sequence[str], notes: list[str]) -> list[Contender]:
    """Return the localizers of these names, networks with and without the fit that follows.

    Parameters
    ----------
    names
        As in the settings; none takes those that ship.
    notes
        Appended to where one that ships is not installed.

    Raises
    ------
    ConfigError
        If one that was named is not installed.
    """
    contenders: list[Contender] = []
    for name in names or [*FITS, *filter(_takes_any_psf, models_that_localize())]:
        try:
            factory_of(plain_name(name))
        except ConfigError as error:
            if names:
                raise
            notes.append(f"{name} is left out: {error}")
            continue
        contenders.append(OurLocalizer(name))
        if manifest_of(name) is not None:
            contenders.append(OurLocalizer(name, refine=False))
            if psf_of(name) == "astigmatic" and _takes_any_psf(name):
                contenders.append(OurLocalizer(name, table=True))
    return contenders


def manifest_of(name: str) -> Manifest | None:
    """Return the manifest of a localizer that is a network; None of one that is not."""
    plain = plain_name(name)
    if is_path(plain) or plain in model_folders():
        return read_manifest(find_model(plain))
    return None


def psf_of(name: str) -> Psf:
    """Return the PSF for which a localizer is measured."""
    manifest = manifest_of(name)
    astigmatic = (
        plain_name(name) in ("astigmatic-mle", *OF_TABLES)
        if manifest is None
        else manifest.psf == "astigmatic"
    )
    return "astigmatic" if astigmatic else "round"


@contextmanager
def running_peers(
    pythons: dict[str, Path | None], notes: list[str]
) -> Iterator[tuple[list[Contender], list[str]]]:
    """Run other programs; one that is missing is noted.

    Parameters
    ----------
    pythons
        Package by name with the interpreter in which it is installed, None for this one.
    notes
        Appended to.

    Returns
    -------
    :
        The contenders, and names with versions of the programs.
    """
    contenders: list[Contender] = []
    versions: list[str] = []
    with ExitStack() as stack:
        for package, python in pythons.items():
            try:
                peer = stack.enter_context(start_peer(package, python))
            except ConfigError as error:
                notes.append(str(error))
                continue
            versions.append(peer.version)
            contenders += [PeerLocalizer(peer, method) for method in PEERS[package]]
        yield contenders, versions
