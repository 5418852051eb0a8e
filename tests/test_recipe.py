"""What is published: metadata that an index takes, and a recipe that follows `pyproject.toml`."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
RECIPE = yaml.safe_load((ROOT / "recipe" / "recipe.yaml").read_text(encoding="utf-8"))
OTHER_NAMES = {"pyside6-essentials": "pyside6"}
"""What conda-forge calls otherwise."""


def least_versions(requirements: list[str]) -> dict[str, str]:
    """Return the least version by the name of the package; empty where any will do."""
    found = {}
    for requirement in requirements:
        plain = requirement.partition(";")[0].replace(" ", "")
        name = re.match(r"[\w.-]+", plain)
        assert name is not None, requirement
        least = re.search(r">=([\w.]+)", plain)
        found[OTHER_NAMES.get(name[0].lower(), name[0].lower())] = least[1] if least else ""
    return found


def test_the_recipe_needs_what_the_project_needs() -> None:
    wanted = least_versions(PROJECT["project"]["dependencies"])
    wanted["python"] = PROJECT["project"]["requires-python"].removeprefix(">=")

    assert least_versions(RECIPE["requirements"]["run"]) == wanted


def test_the_recipe_builds_what_the_project_builds() -> None:
    project = PROJECT["project"]

    assert RECIPE["context"] == {"name": project["name"], "version": project["version"]}
    assert RECIPE["about"]["license"] == project["license"]
    scripts = [f"{name} = {target}" for name, target in project["scripts"].items()]
    assert RECIPE["build"]["python"]["entry_points"] == scripts
    needed = least_versions(PROJECT["build-system"]["requires"])
    assert needed.items() <= least_versions(RECIPE["requirements"]["host"]).items()


def test_the_script_is_called_as_the_package_so_that_uvx_finds_it() -> None:
    assert PROJECT["project"]["name"] in PROJECT["project"]["scripts"]


def test_the_metadata_name_no_host_that_there_is_not() -> None:
    project = PROJECT["project"]

    assert "urls" not in project  # none is known yet; an address that is made up helps no one
    assert {c.partition(" :: ")[0] for c in project["classifiers"]} >= {
        "Development Status", "Intended Audience", "Programming Language", "Topic",
    }  # fmt: skip
    assert not any(c.startswith("License ::") for c in project["classifiers"])  # stated by SPDX
    versions = [c.rpartition(" ")[2] for c in project["classifiers"] if "Python :: 3." in c]
    assert versions[0] == project["requires-python"].removeprefix(">=")
