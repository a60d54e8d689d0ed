"""The report of a probe: right numbers, the answer first, and nothing lost on the way."""

import math
import re
from html.parser import HTMLParser

import flax.linen as nn
import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import pytest

import depthbench as db
from depthbench.research.report import notebook, probed
from tests.depthbench.models import WIDTH, Sigmoids, W, X, plain, rotations


@pytest.fixture(scope="module")
def vanishing():
    return db.probe(Sigmoids(70), X)


def row(state, gradient=0.0, length=0.0, apart=1.0):
    keys = ("state", "log10_gradient", "log10_length", "decorrelation")
    return dict(zip(keys, (state, gradient, length, apart), strict=True))


def made(gradients, lengths=None, apart=None, loss=1.0, zeros=()):
    names = ("input", *(f"block_{i}/mlp" for i in range(len(gradients) - 1)))
    lengths = lengths or [0.0] * len(gradients)
    apart = apart or [1.0] * len(gradients)
    columns = zip(names, gradients, lengths, apart, strict=True)
    return probed.report([row(*each) for each in columns], {}, zeros, {}, loss)


def test_numbers_are_autodiffs():
    report = db.probe(Sigmoids(3), X, lambda out: jnp.mean(out**2))
    params = Sigmoids(3).init({"params": jax.random.key(0)}, X)

    def loss(params, x):
        return jnp.mean(Sigmoids(3).apply(params, x) ** 2)

    value, (at_params, at_input) = jax.value_and_grad(loss, (0, 1))(
        params, jnp.asarray(X)
    )
    log = lambda a: float(jnp.log10(jnp.linalg.norm(a.ravel())))
    assert report.loss == pytest.approx(float(value), rel=1e-6)
    assert report.rows[0]["log10_gradient"] == pytest.approx(log(at_input), abs=1e-5)
    for layer, arrays in at_params["params"].items():
        for name, array in arrays.items():
            ours = report.parameters[f"{layer}/{name}"]
            assert ours == pytest.approx(log(array), abs=1e-5)


def test_what_vanishes_is_said_in_a_sentence(vanishing):
    gradient = vanishing.column("log10_gradient")
    assert vanishing.verdict == "vanishes" and np.isfinite(gradient).all()
    assert vanishing.slope == pytest.approx(
        np.polyfit(np.arange(71), gradient, 1)[0] * -1
    )
    assert vanishing.log10_ratio == pytest.approx(gradient[0] - gradient[-1])
    decades, steps = f"{-vanishing.log10_ratio:.1f}", f"{-vanishing.slope:.2f}"
    assert vanishing.answer.startswith(
        f"The gradient vanishes: {decades} decades from `Dense_69` to the input, "
        f"{steps} a layer; float32 would show 0 from `Dense_"
    )
    tiny = math.log10(np.finfo(np.float32).tiny)
    zero = [r["state"] for r in vanishing.rows if r["log10_gradient"] < tiny]
    assert f"from `{zero[-1]}` down" in vanishing.answer and len(zero) > 3
    place = [r["state"] for r in vanishing.rows].index(vanishing.first_bad)
    assert gradient[-1] - gradient[place] > 3 >= gradient[-1] - gradient[place + 1]


def test_what_survives_and_what_explodes():
    model = rotations(30, jax.random.key(0))
    report = db.probe(model, X)
    assert report.verdict == "survives" and abs(report.slope) < 1e-6
    assert report.first_bad is None and report.lost_at is None
    assert report.answer.startswith("The gradient survives: within 0.0 decades")
    report = db.probe(model[0], X, params=3.0 * model[1])
    assert report.verdict == "explodes"
    assert report.slope == pytest.approx(math.log10(3), abs=1e-3)


def test_a_gradient_of_0_is_named_and_no_number():
    def dead(params, x):
        return jax.nn.relu(plain(params, x) - 5.0) @ params["w"]

    report = db.probe(dead, X, params=W)
    assert report.verdict == "vanishes" and "input" in report.zeros
    assert "Gradient exactly 0: " in report.table()
    assert "all decades" in report.answer


def test_what_has_no_gradient_is_named():
    def half(params, x):
        return plain(params, x) @ jax.lax.stop_gradient(params["fixed"])

    report = db.probe(half, X, params={**W, "fixed": W["w"]})
    assert set(report.without_gradient) == {"fixed"}
    assert "Without a gradient: fixed" in report.table()


@pytest.mark.parametrize("train", [False, True])
def test_statistics_are_no_parameters(train):
    """Whether they are read, or written and not read."""

    class Normed(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.BatchNorm(use_running_average=not train)(nn.Dense(WIDTH)(x))

    report = db.probe(Normed(), X)
    assert set(report.parameters) == {
        *("BatchNorm_0/bias", "BatchNorm_0/scale", "Dense_0/bias", "Dense_0/kernel")
    }
    assert "batch_stats" not in repr(report.without_gradient) + str(report.zeros)


def test_overflow_is_said_and_where():
    def growing(params, x):
        for _ in range(5):
            x = jnp.exp(x @ params["w"])
        return x

    report = db.probe(growing, X, params=W)
    assert report.verdict == "overflow"
    assert report.lost_at is not None and report.lost_at[1] == "overflow"
    assert "not finite from `w" in report.answer
    report.table(), report.figure(), report._repr_html_()


SENTENCES = {
    "survives": (made([-1.0, 0.0, 0.5]), "survives: within 1.5 decades"),
    "vanishes": (made([-10.0, -5.0, 0.0]), "vanishes: 10.0 decades from `block_1/mlp`"),
    "explodes": (made([50.0, 20.0, 0.0]), "float32 would show inf at `input`"),
    "nothing": (made([-np.inf, -np.inf, -np.inf]), "The gradient is 0"),
    "zero": (made([-np.inf, -5.0, 0.0]), "all decades"),
    "lost": (made([0.0] * 3, apart=[1.0, 0.0, 0.0]), "cannot be told apart in float32"),
    "0 on the way": (
        made([0.0] * 3, [0.0, -np.inf, 0.0]),
        "exactly 0 from `block_0/mlp`",
    ),
    "nan": (made([np.nan] * 3, [0.0, np.inf, np.inf], loss=np.nan), "cannot be told: "),
    "one state": (made([0.0]), "one state"),
    "no axis of examples": (made([0.0] * 2, apart=[np.nan] * 2), "survives"),
}


@pytest.mark.parametrize("kind", SENTENCES)
def test_every_end_is_a_sentence_a_table_and_a_picture(kind):
    report, words = SENTENCES[kind]
    assert words in report.answer and report.answer.endswith(".")
    assert "nan" not in report.answer and ": ." not in report.answer
    assert repr(report).startswith(report.answer)
    for text in (report.table(80), notebook_text(report._repr_html_())):
        assert "nan" not in text.replace("not finite", "")
    report.figure()


def notebook_text(html):
    """What of HTML is read, without its style."""
    parts = []

    class Reader(HTMLParser):
        inside = ""

        def handle_starttag(self, tag, attrs):
            self.inside = tag

        def handle_data(self, data):
            if self.inside != "style":
                parts.append(data)

    Reader().feed(html)
    return " ".join(" ".join(parts).split())


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_table_fits_and_shows_what_is_bad(width):
    gradients = list(np.linspace(-400, 0, 1000))
    report = made(gradients, apart=[1.0] * 300 + [0.0] * 700)
    lines = report.table(width).splitlines()
    assert max(map(len, lines)) <= width and len(lines) < 40
    text = report.table(width)
    assert text.startswith("The gradient vanishes: 400.0 decades")
    assert report.first_bad in text and text.count("←") == 2 and "more" in text
    assert width < 80 or ("← first bad" in text and "← lost: correlated" in text)
    assert "input" in text and "block_998/mlp" in text


def test_at_a_prompt_a_table_is_text(vanishing):
    table = vanishing.table()
    assert isinstance(table, str) and repr(table) == str(table)


def test_a_notebook_sees_the_answer_first_and_no_tags_of_names():
    report = made([-9.0, 0.0])
    name = '<script>alert("x")</script>$x$'
    rows = [{**report.rows[0], "state": name}, report.rows[1]]
    report = report._replace(rows=rows, first_bad=name)
    html = report._repr_html_()
    assert "<script>" not in html and "&lt;script&gt;" in html
    assert notebook_text(html).startswith("The gradient vanishes: 9.0 decades")
    assert html.index('class="answer"') < html.index("<img") < html.index("<table")


def test_a_picture_is_turned_over_in_a_dark_notebook_alone():
    rules = re.findall(r"([^{}]+)\{([^{}]*)\}", notebook.STYLE)
    (selectors,) = [names for names, body in rules if "filter:" in body]
    for selector in selectors.split(","):
        assert "dark" in selector or 'light="false"' in selector, selector


def test_pictures_change_no_settings_of_the_users(vanishing, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "template")
    with matplotlib.rc_context({"font.size": 17.0}):
        before = dict(matplotlib.rcParams)
        figure = vanishing.figure()
        assert dict(matplotlib.rcParams) == before
    assert figure._repr_png_().startswith(b"\x89PNG")
    gradient, length = figure.axes
    drawn = gradient.lines[0].get_ydata()
    np.testing.assert_array_equal(drawn, vanishing.column("log10_gradient"))
    assert len(length.lines[0].get_ydata()) == len(vanishing.rows)


def test_rows_are_a_frame(vanishing):
    frame = vanishing.to_pandas()
    assert type(frame).__name__ == "DataFrame"
    assert list(frame["state"]) == [r["state"] for r in vanishing.rows]


def test_large_states_are_said_before(monkeypatch, capsys):
    from depthbench import measuring

    monkeypatch.setattr(measuring, "LARGE", 1)
    db.probe(plain, X, params=W)
    assert "the states take" in capsys.readouterr().err


def test_what_takes_long_is_said_meanwhile(monkeypatch, capsys):
    from depthbench import measuring

    db.probe(plain, X, params=W)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(measuring, "PATIENCE", 0.0)
    db.probe(plain, X, params=W)
    assert "depthbench: probing: 1 of " in capsys.readouterr().err


def test_out_of_memory_is_a_line(monkeypatch):
    from depthbench import measuring

    def full(*given):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes")

    monkeypatch.setattr(measuring.states, "measured", full)
    with pytest.raises(db.Mistake, match="batch: out of memory"):
        db.probe(plain, X, params=W)


def test_decades_of_rounding_are_no_minus_0():
    assert notebook.decades(-0.001) == "0.00"
