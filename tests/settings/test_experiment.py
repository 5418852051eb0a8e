"""Sample, operator and notes: as typed in the files, and safe in the name of a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtsmlm.files.run.folder import RunFolder
from rtsmlm.settings.experiment import ExperimentSettings, folder_label
from rtsmlm.settings.load import load
from rtsmlm.settings.names import check_folder_name


@pytest.mark.parametrize(
    ("sample", "label"),
    [("COS-7 tubulin", "COS-7-tubulin"), ("../../etc", "etc"), ("a/b\\c:d", "a-b-c-d"), ("α β", ""),
     ("x" * 90, "x" * 40), ("CON", "CON"), (" . ", "")],
)  # fmt: skip
def test_the_name_of_a_folder_carries_the_sample_as_every_system_takes_it(
    tmp_path: Path, sample: str, label: str
) -> None:
    settings = load(overrides=[f"results.out={tmp_path.as_posix()}"])
    experiment = ExperimentSettings(sample=sample)
    folder = RunFolder.create_for(settings.model_copy(update={"experiment": experiment}))
    folder.release()

    assert folder_label(sample) == label
    assert folder.path.parent == tmp_path
    assert folder.path.name.endswith(f"_{label}" if label else "")
    check_folder_name(folder.path.name)


def test_a_given_name_of_the_folder_is_kept(tmp_path: Path) -> None:
    texts = [f"results.out={tmp_path.as_posix()}", "results.name=cell_3", 'experiment.sample="a"']
    assert RunFolder.create_for(load(overrides=texts)).path == tmp_path / "cell_3"


def test_control_characters_of_a_sample_cannot_act_on_a_terminal() -> None:
    settings = ExperimentSettings(sample="a\x1b[31m b\n c", notes=" one \n\x07two\n")

    assert settings.sample.isprintable()
    assert settings.notes.splitlines()[0].strip() == "one"
    assert "\x07" not in settings.notes
    assert ExperimentSettings(operator="Ada").stated() == {"operator": "Ada"}
