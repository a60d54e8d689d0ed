"""What of a folder is compared when it is gone on with, and what its manifest keeps."""

import json

import pytest
from msgspec.structs import replace

from depthbench.research.engine import resumption
from depthbench.research.store.manifest import Event, Foreign, Manifest, plugged
from depthbench.research.study.errors import Refusal
from tests.plugged import restored, written
from tests.study.test_plugins import forget, run, undrawn


def made(plugins=None, **fields):
    plugins = {
        place: Foreign(entries=names.split(), files={place: content})
        for place, (names, content) in (plugins or {}).items()
    }
    base = {"schema": 3, "study": "toy", "code": {}, "environment": {}}
    return Manifest(**{**base, **fields}, plugins=plugins)


def refused(path, before, fresh):
    with pytest.raises(Refusal) as error:
        resumption.joined(before, fresh, False, path)
    return str(error.value)


def test_a_place_is_compared_whatever_its_entries(tmp_path):
    """Rows of one entry are of the same file as those of another."""
    before, fresh = made({"acts.py": ("aa", "1")}), made({"acts.py": ("bb", "2")})
    assert "acts.py: acts.py has changed" in refused(tmp_path, before, fresh)
    accepted = resumption.joined(before, fresh, True, tmp_path)
    assert accepted.plugins == made({"acts.py": ("aa bb", "2")}).plugins
    assert accepted.history == [Event(accepted=["acts.py: acts.py has changed"])]
    same = resumption.joined(before, made({"acts.py": ("bb", "1")}), False, tmp_path)
    assert same.plugins == made({"acts.py": ("aa bb", "1")}).plugins


def test_what_was_moved_is_compared_and_is_where_it_is_now(tmp_path):
    at = lambda place, name, text: {place: Foreign([name], {"a.py": text})}
    before = replace(made(), plugins=at("a.py", "aa", "1"))
    there = replace(made(), plugins=at("b/a.py", "aa", "1"))
    other = replace(made(), plugins=at("b/a.py", "aa", "2"))
    joined = resumption.joined(before, there, False, tmp_path)
    assert joined.plugins == there.plugins
    assert "a.py has changed" in refused(tmp_path, before, other)
    # It is found again, where another entry of the new place has come meanwhile.
    plugins = {**before.plugins, **at("b/a.py", "bb", "2")}
    mixed = replace(before, plugins=plugins)
    both = replace(before, plugins={"b/a.py": Foreign(["aa", "bb"], {"a.py": "2"})})
    assert "a.py has changed" in refused(tmp_path, mixed, both)


def test_a_name_that_two_places_have_is_at_both():
    twice = made({"a.py": ("x", "1"), "b.py": ("x", "2")}).plugins
    assert not plugged(twice, {"a.py": twice["a.py"]})
    assert resumption.both(twice, {"a.py": twice["a.py"]}) == twice


@pytest.mark.parametrize("layout", [None, 3])
def test_accepting_forgets_nothing_of_what_else_is_there(tmp_path, layout):
    """Of a study and of a training: what the command does not lead to stays known."""
    before = made(
        code={"elu": "1", "softplus": "1"},
        data={"a": "1", "b": "1"} if layout is None else {"a": "1"},
        data_dir="there",
        environment={"jax": "1", "cores": 2},
        layout=layout,
        history=[Event(done=2)],
    )
    other = {"b"} & before.data.keys()
    fresh = replace(
        before, code={"elu": "2"}, data={"a": "2"}, data_dir=None, history=[]
    )
    line = refused(tmp_path, before, fresh)
    assert "a has other contents" in line and line.count("\n") == 0
    accepted = resumption.joined(before, fresh, True, tmp_path)
    assert accepted.code == {"elu": "2", "softplus": "1"}
    assert accepted.data == {"a": "2"} | dict.fromkeys(other, "1")
    assert accepted.data_dir == "there"
    assert [event.done for event in accepted.history] == [2, None]
    later = replace(fresh, code={"elu": "2", "softplus": "2"})
    assert "softplus has changed" in refused(tmp_path, accepted, later)


def test_a_training_on_data_of_another_name_can_go_on_with_them(tmp_path):
    before = made(data={"toy:1": "1"}, layout=3)
    fresh = replace(before, data={"toy:2": "1"})
    assert "data were toy:1, are toy:2; go on" in refused(tmp_path, before, fresh)
    accepted = resumption.joined(before, fresh, True, tmp_path)
    assert resumption.joined(accepted, fresh, False, tmp_path).data == {"toy:2": "1"}


ACTS = """
import jax.numpy as jnp
from depthbench.research.catalogues.activations import Activation

def f(x):
    return jnp.tanh({scale} * x)

def g(x):
    return 1.0 * f(x)

ENTRIES = (Activation("aa_own", f, "a test"), Activation("bb_own", g, "a test"))
"""
WORDS = "run gradient_flow --depth 2 --width 4 --batch 4 --seeds 1 --architecture mlp"


@pytest.mark.slow
@pytest.mark.parametrize("names", ["aa_own bb_own", "edited:f edited:g"])
def test_an_edited_module_is_refused_whichever_entry_is_asked_for(
    names, tmp_path, monkeypatch, capsys
):
    undrawn(monkeypatch)
    monkeypatch.chdir(tmp_path)
    words = [*WORDS.split(), "--normalizer", "none", "--initializer", "he_normal"]
    plugin = ["--plugin", "edited.py"] if "own" in names else []

    def asked(name, scale, out):
        written(tmp_path, edited=ACTS.format(scale=scale))
        with restored():
            forget()
            return run(capsys, *words, *plugin, "--activation", name, "--out", out)

    first, second = names.split()
    assert asked(first, "1.0", "r1")[0] == 0
    for name in (second, f"{first},{second}"):
        status, _, err = asked(name, "0.5", "r1")
        assert status == 2 and "edited.py has changed" in err
    assert asked(second, "1.0", "r1")[0] == 0
    assert asked(second, "0.5", "r2")[0] == 0
    status, _, err = run(capsys, "merge", "r1", "r2", "--out", "r3")
    assert status == 2 and "edited.py has changed" in err
    cells = json.loads((tmp_path / "r1" / "run.json").read_text())["cells"]
    assert len(cells) == 2


def test_a_library_counts_where_both_have_recorded_it(tmp_path):
    """Of an earlier version's folder, or of cells that import it not, it is not known."""
    of = lambda **more: made(environment={"jax": "1", **more})
    before, fresh = of(), of(scipy="1.17")
    joined = resumption.joined(before, fresh, False, tmp_path)
    assert joined.environment == fresh.environment
    assert resumption.joined(fresh, before, False, tmp_path) == joined
    later = of(scipy="1.18", mctx="0.1")
    assert "scipy was 1.17, is 1.18" in refused(tmp_path, joined, later)
    accepted = resumption.joined(joined, later, True, tmp_path)
    assert accepted.environment == later.environment
    accepted = resumption.joined(accepted, of(jax="2"), True, tmp_path)
    assert accepted.environment == {"jax": "2", "scipy": "1.18", "mctx": "0.1"}
