"""What all tests rely on: programs are kept, folders made once, slow tests left out."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from tests import slow
from tests.conftest import ROOT, pytest_collection_modifyitems


@pytest.fixture
def kept_in(tmp_path):
    """A folder of its own for compiled programs."""
    usual = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    compilation_cache.reset_cache()
    yield tmp_path
    jax.config.update("jax_compilation_cache_dir", usual)
    compilation_cache.reset_cache()


def tripled() -> float:
    """2 × 3, by a program that is compiled or read."""
    return float(jax.jit(lambda tripled: tripled * np.float32(3))(np.float32(2)))


def test_a_compiled_program_is_kept_and_a_torn_one_does_no_harm(kept_in):
    assert tripled() == 6
    (entry,) = kept_in.glob("*-cache")
    whole = entry.read_bytes()
    for content in (whole, whole[:40], b""):  # killed processes leave the last two
        entry.write_bytes(content)
        assert tripled() == 6
    assert list(kept_in.glob("*-cache")) == [entry]


def test_nothing_is_kept_where_compiling_is_timed(kept_in, compiled_anew):
    assert tripled() == 6
    assert not list(kept_in.glob("*-cache"))


def test_a_shared_folder_is_made_once(once):
    folders = []

    def make(folder):
        folder.mkdir()
        folders.append(folder)

    assert once("folder", make) == once("folder", make)
    assert len(folders) <= 1 and once("folder", make).is_dir()


def test_what_the_list_leaves_out_is_there():
    """A test that was renamed would no longer be left out, and its line would stay."""
    for name in slow.names():
        file, _, function = name.partition("::")
        assert f"def {function}(" in (ROOT / file).read_text("utf-8"), name


def test_all_cases_of_a_listed_test_are_marked():
    marked = []

    def item(nodeid):
        return SimpleNamespace(
            nodeid=nodeid, add_marker=lambda m: marked.append(nodeid)
        )

    listed = min(slow.names())
    pytest_collection_modifyitems(list(map(item, (f"{listed}[a]", listed, "b.py::c"))))
    assert marked == [f"{listed}[a]", listed]
