"""How far is contrastive divergence from the likelihood that it stands for?

Source: Hinton 2002, Neural Computation 14:1771 (contrastive divergence); Tieleman 2008,
ICML (chains that go on); Bengio & Delalleau 2009, Neural Computation 21:1601 (even
where its bias is large, one sweep mostly has the right sign).

With 12 hidden units the likelihood is a sum over 4,096 states, and so is its gradient:
each estimator is judged by what it is an estimate of, and beside the exact gradient. All
learn without momentum, at a rate that falls to 0 linearly: chains that go on have to keep
up with the weights, and at a constant rate with momentum they end 3 nats behind one sweep
from the data. Bits are pixels with more ink than the training part's mean. Rates are
chosen on held-out images.
"""

import functools

from depthbench.experiments import comparisons, score_panels, scores
from depthbench.experiments.once import once
from depthbench.experiments.scores import Scoring
from depthbench.experiments.training import costs, nets, pairs
from depthbench.experiments.training.pairs import whole
from depthbench.experiments.unsupervised import montage
from depthbench.research.catalogues.catalogue import choices
from depthbench.research.datasets import readable
from depthbench.research.lazy import lazily
from depthbench.research.learning.selection import half
from depthbench.research.report import figures
from depthbench.research.study.axes import Axis
from depthbench.research.study.claims import Claim
from depthbench.research.study.declaration import (
    Figure,
    Measured,
    Study,
)
from depthbench.research.study.doubts import after_steps, of_sides, upward
from depthbench.research.study.estimates import above, mean
from depthbench.research.study.headlines import counted, measured

with lazily():
    import jax
    import jax.numpy as jnp
    import numpy as np

    from depthbench.research.learning import (
        feed,
        fits,
        held_out,
        mixture,
        rbm,
        sweeps,
    )

ESTIMATORS = choices(
    "estimator",
    cd1="the model's side after one sweep from the data",
    cd5="after five",
    pcd="chains that go on from step to step",
    exact="the likelihood's own gradient",
)
TAUGHT = {"cd1": "CD-1", "cd5": "CD-5", "pcd": "PCD", "exact": "the exact gradient"}
SCORING = Scoring(
    system="restricted Boltzmann machine",
    noun="nats a test image",
    trivial="independent pixels",
    strong="Bernoulli mixture",
    by=("estimator",),
    axis="hidden",
    higher=False,
    form=".2f",
    naming=lambda row, _: (
        f"{counted(row['hidden'], 'hidden unit')} by {TAUGHT[row['estimator']]}"
    ),
)
MOST = 16  # hidden units, whose states are gone through
SHOWN = 10
PROTOCOL = (
    "digits of 64 bits, 2,000 steps of 64 at a rate that falls to 0, 3 seeds, each at its "
    "best rate on held-out images; nats are exact"
)


def measure(cells, shared, memory):
    """One Measured for each cell."""
    return [likelihoods(cell) for cell in cells]


@functools.cache
def bits(dataset, data_dir):
    """(train, valid, test), [examples, bits] each, of pixels above the training mean."""
    parts = held_out.parts(dataset, data_dir=data_dir)
    flat = [part.x.reshape(len(part.x), -1) for part in parts[:3]]
    middle = flat[0].mean(axis=0)
    return tuple((x > middle).astype(np.float32) for x in flat)


def likelihoods(cell):
    """Exact nats an image at the best rate, beside the baselines'."""
    asked = cell["dataset"], cell.get("data_dir")
    train, valid, test = bits(*asked)
    kind, data = rbm.VISIBLE["binary"], {"inputs": train}
    system = rbm.system(
        *(train.shape[1], cell["hidden"], "binary", cell["estimator"]),
        schedule="linear",
    )
    problem = sweeps.Problem(system, feed.drawn(64), data, {}, {})
    steps = cell["steps"]

    def lost(run, x):
        each = rbm.log_likelihood(run.state.tree.params, jnp.asarray(x), kind)
        return -np.asarray(each, np.float64)

    def nats(run, x):
        return float(np.mean(lost(run, x)))

    def of_rate(rate, steps=steps):
        numbers, seeds = hyper(rate, steps), range(cell["seeds"])
        runs = [sweeps.Run(seed, numbers) for seed in seeds]
        return sweeps.ended(problem, runs, steps, capacity=cell["steps"])

    def by_rate(rates):
        return [of_rate(rate) for rate in rates]

    held = fits.chosen_by(lambda run: nats(run, valid), "loss")
    most = cell["further_rates"]
    sooner = lambda rate: of_rate(rate, half(steps))
    grid = nets.rates(cell)
    tuned = fits.tuned(by_rate, grid, "loss", held, most=most, sooner=sooner)
    best = mixture_of(*asked)
    each = np.array([lost(run, test) for run in tuned.runs])
    apart = -mixture.fit(train, 1).log_likelihood(test)
    values = scores.values(
        score=each.mean(axis=1),
        valid=float(np.mean([nats(run, valid) for run in tuned.runs])),
        trivial=np.mean(apart),
        strong=nats_of(best, test),
        before=begun(system, cell, train),
        tuned=tuned,
        higher=False,
    )
    values |= comparisons.of_averages(each, -best.log_likelihood(test))
    values |= {
        "components": len(best.weights),
        "trivial_test_se": comparisons.of_means(each, apart),
        **beside_mixtures(cell, train, test, each),
    }
    drawn = fantasies(tuned.runs[0].state.tree.params, kind)
    likely = best.ones[np.argsort(-best.weights, kind="stable")][:SHOWN]
    show = {"fantasies": drawn, "data": test[:SHOWN], "mixture": likely}
    return Measured("ok", "", values, show)


def beside_mixtures(cell, train, test, each):
    """Mixtures of as many components as the machine has hidden units, as columns.

    each: what the machines lose [seeds, examples].
    """
    fitted = [mixture.fit(train, cell["hidden"], n) for n in range(cell["seeds"])]
    alike = np.array([-one.log_likelihood(test) for one in fitted])
    error = comparisons.of_means(each, alike)
    return {**scores.spread("alike", alike.mean(axis=1)), "alike_test_se": error}


def hyper(rate, steps):
    """The numbers of a machine's learning: chains that go on cannot bear momentum."""
    return rbm.RULE.hyper(learning_rate=rate, momentum=0.0, steps=steps)


def nats_of(fitted, x):
    return -float(np.mean(fitted.log_likelihood(x)))


@once
def mixture_of(dataset, data_dir):
    """The Bernoulli mixture whose number of components is best on held-out images."""
    train, valid, _ = bits(dataset, data_dir)
    fitted, count = [mixture.fit(train, 5)], 10
    # Doubled as long as that helps, and once more.
    while count <= len(train) // 4:
        fitted.append(mixture.fit(train, count))
        if nats_of(fitted[-1], valid) > nats_of(fitted[-2], valid):
            break
        count *= 2
    return min(fitted, key=lambda one: nats_of(one, valid))


def begun(system, cell, train):
    """The fresh machine's exact gradient, and what a step costs."""
    kind, gradients = rbm.VISIBLE["binary"], []
    numbers = hyper(0.0, cell["steps"])
    programs = sweeps.programs(system, feed.drawn(64), 1)
    for seed in range(cell["seeds"]):
        state = programs.init(*sweeps.arguments([sweeps.Run(seed, numbers)]))
        machine = state.tree.params
        ours = rbm.statistics(machine, jnp.asarray(train), kind)
        gradient = rbm.difference(rbm.model_statistics(machine, kind), ours)
        gradients.append(float(jnp.log10(jnp.linalg.norm(gradient.kernel))))
    cost = fits.step_mflop(system, 64, state, numbers, {"inputs": train})
    return fits.Beforehand(float(np.mean(gradients)), None, cost)


def fantasies(machine, kind):
    """What the model makes, drawn from all of its hidden states: P(v = 1) [SHOWN, bits]."""
    states = jnp.asarray(rbm.hidden_states(len(machine.hidden)))
    summed = kind.summed(machine.down(states), machine.visible)
    log_weights = states @ machine.hidden + summed
    chosen = jax.random.categorical(jax.random.key(0), log_weights, shape=(SHOWN,))
    return np.asarray(kind.mean(machine.down(states[chosen])))


def against(one, other):
    """From rows to those of one estimator, by how many nats it is better than another."""
    return comparisons.against(
        {"estimator": one}, {"estimator": other}, ("hidden",), higher=False
    )


def over(name):
    """By how many nats a row's machine is better than this column's model."""

    def of(row):
        value = None if row["score"] is None else row[name] - row["score"]
        # A model's own seeds, where it has some, are no machine's.
        errors = [row["score_se"], row.get(f"{name}_se", 0.0)]
        of_tests = row.get(f"{name}_test_se")
        return mean(value, comparisons.united(errors), row["seeds"], of_tests)

    return of


def figures_of(rows, profiles):
    caption = (
        "Left: exact nats a test image by hidden units, lower is better, 95 % intervals "
        "over seeds; dashed the Bernoulli mixture, dotted independent pixels. Middle: "
        "the same against what a step costs. Right: images of the data, means of the "
        "mixture's likeliest components, and what each machine of most hidden units "
        "makes, drawn exactly."
    )
    return [Figure("figure", caption, lambda: draw(rows, profiles))]


def draw(rows, profiles):
    done = measured(rows)
    figure = figures.new(12.6, 3.5)
    panels = figure.subplots(1, 3, width_ratios=(1, 1, 1.4))
    lines = {}
    for row in sorted(done, key=lambda row: row["hidden"]):
        lines.setdefault(row["estimator"], []).append(row)
    score_panels.scores(SCORING, panels[0], lines)
    for place, (name, those) in enumerate(lines.items()):
        cost = [row["step_mflop"] for row in those]
        level = [row["score"] for row in those]
        panels[1].plot(cost, level, "o-", ms=3, lw=1.3, color=f"C{place}", label=name)
    panels[1].axhline(done[0]["strong"], color="black", lw=1, ls="--")
    panels[1].set_xscale("log")
    panels[1].set_xlabel("Mflop a step")
    panels[1].set_title("nats a test image against cost", loc="left")
    panels[1].grid(alpha=0.25, lw=0.5)
    draw_samples(panels[2], lines, profiles)
    return figure


def draw_samples(axes, lines, profiles):
    """Images of the data, of the mixture, and of each estimator's largest machine."""
    held = {name: profiles(those[-1]) for name, those in lines.items()}
    first = next(iter(held.values()))
    strips = [("data", first["data"]), ("mixture", first["mixture"])]
    strips += [(name, one["fantasies"]) for name, one in held.items()]
    count = min(len(strip) for _, strip in strips)
    shown = [(name, montage.square(strip[:count])) for name, strip in strips]
    montage.show(axes, shown, "what each model makes", cmap="Greys", alike=True)


PAIR = {"doubt": after_steps, "protocol": PROTOCOL, "label": ("estimator", "hidden")}


def layers(cell):
    """Of a step by its samples, or exactly, by all states of the hidden units."""
    return 2 ** cell["hidden"] / 1024 if cell["estimator"] == "exact" else 1


def held(cell):
    """Bytes of what all states of the hidden units give for 784 visible ones."""
    return cell["seeds"] * 2 ** cell["hidden"] * 784 * 4


STUDY = Study(
    name="energy_models",
    kind="experiment",
    question="How far is contrastive divergence from the likelihood that it stands for?",
    source="Hinton 2002, Neural Computation 14:1771; Tieleman 2008, ICML",
    axes={
        "estimator": Axis(
            "where the model's side of the gradient comes from",
            tuple(ESTIMATORS),
            ESTIMATORS,
        ),
        "hidden": Axis("hidden units", (4, 12), None, "integer", 1, MOST),
        "dataset": readable.axis(readable.classified),
        "steps": whole("steps of 64 images", (2000,)),
        "seeds": whole("runs of each rate", (3,)),
        **nets.rate_axes(0.1, 1.0, 3),
    },
    sizes={
        "smoke": {
            "estimator": ("cd1", "exact"),
            "hidden": (2,),
            "steps": (30,),
            "rates": (1,),
        },
        "full": {
            "hidden": (4, 8, 12, 16),
            "dataset": ("fashion_mnist",),
            "steps": (10000,),
            "seeds": (5,),
        },
    },
    plan=costs.plan(compiling=3.0, layer=7.5e-5, layers=layers, held=held),
    fit=nets.fit,
    measure="depthbench.experiments.unsupervised.energy_models:measure",
    columns=(
        *("estimator", "hidden"),
        *scores.COLUMNS,
        *("components", "alike", "alike_se", "alike_low", "alike_high"),
    ),
    claims=(
        Claim(
            "hinton2002.cd-climbs-likelihood",
            "a machine that one sweep of contrastive divergence has trained is at least "
            "1 nat an image better than independent pixels",
            "Hinton 2002, Neural Computation 14:1771",
            estimate=over("trivial"),
            allows=above(1.0),
            moves=upward,
            differs="16 × 16 digits of 256 levels, 500 hidden units",
            scope=lambda row: row["estimator"] == "cd1",
            **PAIR,
        ),
        Claim(
            "bengio2009.one-sweep-is-enough",
            "one sweep of contrastive divergence ends within 1 nat an image of the exact "
            "gradient",
            "Bengio & Delalleau 2009, Neural Computation 21:1601",
            estimate=pairs.gap,
            allows=above(-1.0),
            moves=of_sides,
            differs="signs of the gradient's entries, of machines on toy data",
            scope=lambda row: True,
            of=against("cd1", "exact"),
            **PAIR,
        ),
        Claim(
            "tieleman2008.chains-beat-cd1",
            "chains that go on give a higher likelihood than one sweep from the data",
            "Tieleman 2008, ICML",
            estimate=pairs.gap,
            allows=above(0.0),
            moves=of_sides,
            differs="MNIST and others, more hidden units, at equal time",
            scope=lambda row: True,
            of=against("pcd", "cd1"),
            **PAIR,
        ),
        Claim(
            "hinton2002.product-beats-mixture",
            "a machine is better than a mixture of as many components as it has hidden "
            "units",
            "Hinton 2002, Neural Computation 14:1771",
            estimate=over("alike"),
            allows=above(0.0),
            moves=upward,
            differs="an argument: a product of experts is sharper than any of them",
            scope=lambda row: row["estimator"] == "exact",
            **PAIR,
        ),
    ),
    headline=lambda rows: SCORING.headline(rows),
    tables=lambda rows: [SCORING.table(rows, more=("components", "alike"))],
    figures=figures_of,
    shows=("restricted Boltzmann machine",),
    summary=SCORING.summary,
    compile_seconds=2.0,
)

if __name__ == "__main__":
    from depthbench.research.cli.main import script

    script(STUDY.name)
