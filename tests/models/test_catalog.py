"""Models and architectures are found by name or path, and what is missing is one sentence."""

from __future__ import annotations

import shutil
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from rtsmlm.engines.selection import factory_of, localizer_names
from rtsmlm.errors import ConfigError, FileFormatError
from rtsmlm.models import catalog
from rtsmlm.models.catalog import architecture_of, find_model, is_path, model_folders
from rtsmlm.models.manifest import ONNX_NAME, load_manifest, read_manifest
from rtsmlm.settings.load import load

SHIPPED = {"flagship-2d", "flagship-2d-fast", "flagship-astig"}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(find_model("flagship-2d-fast"), tmp_path / "my model"))


def test_what_ships_is_found_by_name_and_offered_as_a_localizer() -> None:
    assert set(model_folders()) >= SHIPPED
    assert {*SHIPPED, "auto", "gaussian-mle"} <= set(localizer_names())
    for name in SHIPPED:
        assert find_model(name).name == name
        assert architecture_of(read_manifest(find_model(name)).architecture).name == "flagship"


def test_a_folder_is_found_by_its_path_wherever_it_lies(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copy.parent)

    assert find_model("./my model") == find_model(str(copy)) == copy.resolve()
    assert is_path("./flagship-2d")
    assert not is_path("flagship-2d")


def test_a_path_in_a_configuration_is_relative_to_it_and_absolute_afterwards(
    copy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (copy.parent / "rig.toml").write_text('[localizer]\nname = "my model"\n', encoding="utf-8")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)

    assert load(copy.parent / "rig.toml").localizer.name == str(copy.resolve())
    assert Path(load(None, ["localizer.name=../my model"]).localizer.name).is_absolute()
    assert load(None, ["localizer.name=gaussian-mle"]).localizer.name == "gaussian-mle"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("flagship-3d", "no localizer named 'flagship-3d'.*gaussian-mle.*path of a model folder"),
        ("./nothing", "nothing is not a folder"),
        (".", "no localizer named"),
    ],
)
def test_what_is_not_there_is_one_sentence_with_what_there_is(
    name: str, says: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ConfigError, match=says):
        factory_of(name)


def test_a_folder_without_a_manifest_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no manifest\.toml.*rtsmlm export"):
        factory_of(f"{tmp_path}/")


def test_a_damaged_and_an_incomplete_folder_are_refused(copy: Path) -> None:
    text = (copy / "manifest.toml").read_text(encoding="utf-8")
    (copy / "manifest.toml").write_text(text.replace("model.onnx", "other.onnx"), encoding="utf-8")
    with pytest.raises(FileFormatError, match=r"lists no model\.onnx"):
        load_manifest(copy)
    (copy / "manifest.toml").write_text(text, encoding="utf-8")
    (copy / ONNX_NAME).write_bytes(b"")
    with pytest.raises(FileFormatError, match="sha256 differs"):
        load_manifest(copy)
    (copy / ONNX_NAME).unlink()
    with pytest.raises(FileFormatError, match="is missing"):
        load_manifest(copy)
    (copy / "manifest.toml").write_text('parameters = "many"', encoding="utf-8")
    with pytest.raises(FileFormatError, match="is not one that this rtsmlm reads"):
        factory_of(str(copy))


def test_a_model_of_a_package_that_is_not_installed_says_so(copy: Path) -> None:
    text = (copy / "manifest.toml").read_text(encoding="utf-8")
    (copy / "manifest.toml").write_text('architecture = "lab-net"\n' + text, encoding="utf-8")

    with pytest.raises(ConfigError, match=r"no architecture named .lab-net.*flagship,.*pixel-maps"):
        architecture_of(read_manifest(copy).architecture)


def test_an_architecture_that_cannot_be_imported_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    offers = EntryPoints([EntryPoint("lab-net", "no_such_lab.net:ARCHITECTURE", catalog.GROUP)])
    monkeypatch.setattr(catalog, "entry_points", lambda **wanted: offers.select(**wanted))

    with pytest.raises(ConfigError, match=r"'lab-net'.*cannot be imported.*no_such_lab"):
        architecture_of("lab-net")
    assert set(model_folders()) >= SHIPPED, "a package that is half removed hides no model"


def test_models_beside_the_architecture_of_another_package_have_their_names(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = copy.parent / "my_lab_of_networks"
    (package / "weights").mkdir(parents=True)
    (package / "__init__.py").write_text("", encoding="utf-8")
    shutil.move(copy, package / "weights" / "lab-model")
    monkeypatch.syspath_prepend(copy.parent)
    offer = EntryPoint("lab-net", "my_lab_of_networks.net:ARCHITECTURE", catalog.GROUP)
    monkeypatch.setattr(
        catalog, "entry_points", lambda **wanted: EntryPoints([offer]).select(**wanted)
    )

    assert find_model("lab-model") == package / "weights" / "lab-model"


@pytest.mark.parametrize("name", sorted(model_folders()))
def test_the_manifest_vouches_for_every_file_beside_it(name: str) -> None:
    folder = find_model(name)
    beside = {path.name for path in folder.iterdir() if path.is_file()} - {"manifest.toml"}

    manifest = load_manifest(folder)

    assert {file.name for file in manifest.files} == beside
