"""What all tests rely on: compiled programs are kept, and folders are made once."""

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache


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
