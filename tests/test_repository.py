"""Files at the root agree: an image with README, the hooks with the pins."""

import fnmatch
import json
import re
import shlex
import subprocess
import tomllib

import pytest

from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
IGNORED = [
    line
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
README = (ROOT / "README.md").read_text(encoding="utf-8")
INSTALLATION, STUDY = re.findall(r"```\n(.+\n.+\n)```", README)[0].splitlines()


def instructions() -> list[tuple[str, str]]:
    """The image's steps and what they are given, without comments."""
    lines = [line for line in DOCKERFILE.splitlines() if line and line[0] != "#"]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


STEPS = instructions()


def only(word: str) -> str:
    """What the one step of a name is given."""
    (given,) = [rest for name, rest in STEPS if name == word]
    return given


def test_the_images_steps_are_in_order():
    names = [name for name, _ in STEPS]
    assert names == "ARG FROM ARG ENV WORKDIR COPY RUN CMD".split()
    arguments = dict(rest.split("=") for name, rest in STEPS if name == "ARG")
    assert arguments["EXTRA"] == '""' and only("FROM") == "${BASE}"
    supported = README.partition("needs Python ")[2].replace(",", "")
    version = re.fullmatch(r"python:(3\.\d+)-slim", arguments["BASE"])
    assert version and version[1] in supported.split(" ")


@pytest.mark.parametrize("extra", ["", "cuda13"])
def test_the_image_is_installed_as_readme_says(extra):
    """Its RUN, with the extra that the shell puts in, is README's command."""
    made, _, installed = only("RUN").partition(" && ")
    words = subprocess.run(
        ["sh", "-f", "-c", f"printf '%s\\n' {installed}"],
        env={"EXTRA": extra},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    if extra:
        (line,) = re.findall(rf"^\.venv/bin/pip .*\[{extra}\]'$", README, re.MULTILINE)
    else:
        environment, _, line = INSTALLATION.partition(" && ")
        assert made == environment
    assert words == shlex.split(line)


def test_the_image_runs_readmes_study():
    assert json.loads(only("CMD")) == shlex.split(STUDY)


def test_extras_that_the_image_names_are_there():
    named = re.findall(r"EXTRA=(\w+)", DOCKERFILE)
    assert named and set(named) <= set(PROJECT["optional-dependencies"])


def test_the_image_has_all_that_its_installation_reads():
    assert only("COPY") == ". ."
    pinned = re.findall(r"-c (\S+)", only("RUN"))
    needed = ("pyproject.toml", "README.md", "LICENSE", "depthbench/__init__.py")
    needed += ("research", "experiments", "benchmarks/results/cpu", *pinned)
    for name in needed:
        assert (ROOT / name).exists()
        parents = [name, *(name[:i] for i, sign in enumerate(name) if sign == "/")]
        for pattern in IGNORED:
            assert not any(
                fnmatch.fnmatch(part, pattern.removeprefix("**/")) for part in parents
            ), f"{pattern} leaves out {name}"


def test_what_git_ignores_is_in_no_image():
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {line.rstrip("/") for line in lines} <= {
        pattern.removeprefix("**/") for pattern in IGNORED
    }


def test_commits_are_linted_as_ci_does():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    (pinned,) = re.findall(r"^ruff==(\S+)$", pins, re.MULTILINE)
    (rev,) = re.findall(r"^    rev: (\S+)", hooks, re.MULTILINE)
    assert rev == f"v{pinned}"
    assert re.findall(r"- id: (\S+)", hooks) == ["ruff-check", "ruff-format"]
    assert "astral-sh/ruff-pre-commit\n" in hooks
