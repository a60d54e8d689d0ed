"""What looks like an activation: an elementwise function of one value, with a bend.

A group of equations is one where each of its numbers depends on one number of one value
z, in the same place: tanh(z), z·σ(βz), where(z > 0, z, ez − 1). Whatever else it reads is
the same for all elements: literals, a learned slope. It has a bend: a tanh, a maximum, a
choice by z and their like. Squares, roots, exponentials, logarithms and quotients alone
are not, since normalisers and softmaxes are made of them; nor is a function of
statistics, as max(variance, 0). What is inside a loop is not looked at.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend import core
from jax.extend.core import primitives

from depthbench.research.signal.equality import is_float
from depthbench.research.signal.equations import (
    CUSTOM,
    GROUPS,
    Equation,
    Listing,
    body_of,
    holds,
)
from depthbench.research.signal.liveness import Flow

BENDS = set(
    "tanh logistic erf erfc sin cos atan asinh max min clamp abs log1p expm1 sign floor "
    "ceil round".split()
)
ELEMENTWISE = BENDS | set(
    "add sub mul div neg exp exp2 log tan asin acos acosh atanh sinh cosh erf_inv sqrt "
    "rsqrt cbrt pow integer_pow square select_n convert_element_type copy eq ne lt le gt "
    "ge and or not xor is_finite stop_gradient reduce_precision add_any".split()
)
SPREADING = {"broadcast_in_dim", "reshape", "squeeze"}
SATURATED = 0.01  # a slope below this share of the steepest is saturated
SMALL = 2.0**-14  # a cotangent that no rule clips, and that float16 holds
GRID = 1601  # arguments in [-8, 8] among which the steepest slope is looked for


class Nonlinearity(NamedTuple):
    """An elementwise function: its equations (their places in the list).

    reads: z, and what is the same for all elements.
    """

    places: tuple[int, ...]
    reads: tuple[int, ...]
    output: int


def nonlinearities(listing: Listing, flow: Flow) -> Iterator[Nonlinearity]:
    """All groups that look like an activation, in the order in which they end."""
    groups = _Groups(listing, flow)
    for value in groups.ends():
        places, given = groups.behind(value)
        outside = (v for v in given if v != groups.root[value])
        reads = (groups.root[value], *outside)
        yield Nonlinearity(tuple(places), reads, value)


class _Groups:
    """Of each value the one that it is an elementwise function of, its root."""

    def __init__(self, listing: Listing, flow: Flow):
        self.listing = listing
        self.equations = listing.equations
        self.main = [place for place in flow.needed if place in flow.main]
        self.writer = {w: p for p in self.main for w in self.equations[p].writes}
        self.depending = {*flow.active, *listing.inputs, *self.writer}
        self.uniform = _uniform(listing, flow)
        self.root: dict[int, int] = {}
        self.bent: set[int] = set()
        self.statistics: set[int] = set()
        for place in self.main:
            self._add(self.equations[place])

    def _parts(self, e: Equation) -> tuple[list[int], list[Any]]:
        """(what it reads that depends on the input, what does not)."""
        values = [a for a in e.reads if isinstance(a, int)]
        moving = [v for v in values if v in self.depending]
        return moving, [v for v in values if v not in self.depending]

    def _add(self, e: Equation) -> None:
        moving, fixed = self._parts(e)
        name = e.eqn.primitive.name
        shapes = {self._shape(v) for v in (*moving, *e.writes)}
        roots = {self.root.setdefault(v, v) for v in moving}
        if len(roots) == 1 and len(shapes) == 1 and len(e.writes) == 1:
            (root,), (made,) = roots, e.writes
            if is_elementwise(e.eqn) and all(v in self.uniform for v in fixed):
                self.root[made] = root
                if self._bends(e) or not self.bent.isdisjoint(moving):
                    self.bent.add(made)
                if root in self.statistics:
                    self.statistics.add(made)
                return
        self.root.update((w, w) for w in e.writes)
        reduced = name.startswith(("reduce_", "arg", "cum")) and "window" not in name
        plain = name in SPREADING or is_elementwise(e.eqn)
        if reduced or (plain and moving and self.statistics.issuperset(moving)):
            self.statistics.update(e.writes)

    def _shape(self, value: int) -> Any:
        return getattr(self.listing.avals[value], "shape", None)

    def _bends(self, e: Equation) -> bool:
        if e.eqn.primitive.name == "select_n":
            return e.reads[0] in self.depending
        return bends(e.eqn)

    def ends(self) -> Iterator[int]:
        """Values that a group hands on; what is made of another end is left out."""
        outer = {self.listing.loss}
        for place in self.main:
            e = self.equations[place]
            roots = {self.root[w] for w in e.writes}
            outer.update(v for v in self._parts(e)[0] if self.root[v] not in roots)
        outer.update(v for v in self.listing.outputs if isinstance(v, int))
        behind: set[int] = set()
        for place in self.main:
            for made in self.equations[place].writes:
                if self.root[made] == made:
                    continue
                if not behind.isdisjoint(self._parts(self.equations[place])[0]):
                    behind.add(made)
                elif made in self.bent and made in outer and self._counts(made):
                    behind.add(made)
                    yield made

    def _counts(self, value: int) -> bool:
        return self.root[value] not in self.statistics and is_float(
            self.listing.avals[value]
        )

    def behind(self, value: int) -> tuple[list[int], list[int]]:
        """(places of the equations that lead from the root to it, what these read)."""
        root, places, given, new = self.root[value], set(), {}, [value]
        while new:
            v = new.pop()
            if v == root or self.writer[v] in places:
                continue
            places.add(self.writer[v])
            moving, fixed = self._parts(self.equations[self.writer[v]])
            new += moving
            given.update(dict.fromkeys(fixed))
        return sorted(places), list(given)


def _uniform(listing: Listing, flow: Flow) -> set[int]:
    """Values all elements of which are equal."""
    same = {
        value
        for value in range(len(listing.avals))
        if getattr(listing.avals[value], "size", 0) == 1
    }
    for place in flow.needed:
        e = listing.equations[place]
        alike = e.eqn.primitive.name in SPREADING or is_elementwise(e.eqn)
        if alike and all(a in same for a in e.reads if isinstance(a, int)):
            same.update(e.writes)
    return same


def _inner(eqn: core.JaxprEqn) -> Any:
    if eqn.primitive in GROUPS or eqn.primitive in CUSTOM:
        body = body_of(eqn)
        return getattr(body, "jaxpr", body)
    return None


def is_elementwise(eqn: core.JaxprEqn) -> bool:
    """Whether an output's number depends on the numbers in its place alone."""
    inner = _inner(eqn)
    if inner is None:
        return eqn.primitive.name in ELEMENTWISE
    shapes = {v.aval.shape for v in inner.invars if v.aval.size != 1}
    return len(shapes) <= 1 and all(
        is_elementwise(e)
        or (e.primitive.name in SPREADING and e.invars[0].aval.size == 1)
        for e in inner.eqns
    )


def bends(eqn: core.JaxprEqn) -> bool:
    """Whether an elementwise equation looks like an activation's."""
    inner = _inner(eqn)
    if inner is None:
        return eqn.primitive.name in BENDS
    return any(bends(e) or e.primitive.name == "select_n" for e in inner.eqns)


def shares(
    closed: core.ClosedJaxpr, given: Sequence[Any], batch: int | None
) -> tuple[Any, Any]:
    """(share of saturated units, share of dead ones), nan without an axis of the batch.

    closed: z [batch, …] and what is the same for all elements -> φ(z). A unit is an
    element of an example. Saturated: |φ′| is below 1 % of the steepest on [-8, 8] for
    every example; dead: φ′ is 0 for every example.
    """
    z, *fixed = given
    if not z.ndim or z.shape[0] != batch:
        return jnp.nan, jnp.nan
    run = core.jaxpr_as_fun(closed)
    out, pull = jax.vjp(lambda z: run(z, *fixed)[0], z)
    # A rule may clip what it is given, as gradients are; it is given little.
    given = SMALL if holds(closed.jaxpr, primitives.custom_vjp_call_p) else 1.0
    slope = jnp.abs(pull(jnp.full_like(out, given))[0]) / given
    none = jnp.all(slope == 0, axis=0)
    few = jnp.all(slope < SATURATED * steepest(closed, z.dtype, fixed), axis=0) | none
    return jnp.mean(few, dtype=jnp.float32), jnp.mean(none, dtype=jnp.float32)


def steepest(closed: core.ClosedJaxpr, dtype: Any, fixed: Sequence[Any]) -> Any:
    """The largest |φ′| on [-8, 8], of φ as its equations say and not its rule."""
    z = (jnp.linspace(-8.0, 8.0, GRID) + 0.0025).astype(dtype)  # not on a kink
    same = [jnp.reshape(v, -1)[0] for v in fixed]
    run = lambda z: _on_grid(closed, [z, *same])[0]
    return jnp.max(jnp.abs(jax.jvp(run, (z,), (jnp.ones_like(z),))[1]))


def _on_grid(jaxpr: Any, reads: Sequence[Any]) -> list[Any]:
    """What elementwise equations give for arrays [GRID] and numbers, of any shape."""
    consts = [jnp.reshape(c, -1)[0] for c in getattr(jaxpr, "consts", ())]
    jaxpr = getattr(jaxpr, "jaxpr", jaxpr)
    known = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *reads), strict=True))

    def value(a: Any) -> Any:
        if isinstance(a, core.Var):
            return known[a]
        return jnp.reshape(jnp.asarray(a.val, a.aval.dtype), -1)[0]

    for eqn in jaxpr.eqns:
        given = [value(a) for a in eqn.invars]
        inner = _inner(eqn)
        if inner is not None:
            made = _on_grid(body_of(eqn), given)
        elif eqn.primitive.name in SPREADING:
            made = given[:1]
        else:
            given = [jnp.broadcast_to(a, (GRID,)) for a in given]
            made = [eqn.primitive.bind(*given, **eqn.params)]
        known.update(zip(eqn.outvars, made, strict=True))
    return [value(a) for a in jaxpr.outvars]
