"""A JAX function as one flat list of equations between numbered values.

Calls that only group equations (jit, remat, …) are replaced by what they call. A rule
of the user's (custom_jvp, custom_vjp) stays one equation, since its derivative is not
that of the equations inside. A scan stays one equation until it is `unrolled`.
"""

import itertools
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import jax
from jax.extend import core
from jax.extend.core import primitives

Tree = Any  # a pytree of arrays
Atom = Any  # the number of a value, or a jax Literal
Iteration = tuple[int, int]  # which scan, and which of its iterations

GROUPS = {
    primitives.jit_p,
    primitives.call_p,
    primitives.closed_call_p,
    primitives.remat_p,
}
CUSTOM = {primitives.custom_jvp_call_p, primitives.custom_vjp_call_p}


class Equation(NamedTuple):
    """One equation: its own variables are replaced by `reads` and `writes`.

    scope: the `jax.named_scope`s that it was traced in, "block_7/mlp".
    iterations: those of unrolled scans that it is part of.
    """

    eqn: core.JaxprEqn
    reads: tuple[Atom, ...]
    writes: tuple[int, ...]
    scope: str
    iterations: tuple[Iteration, ...] = ()


class Listing(NamedTuple):
    """The equations of loss(f(params, x)); values are numbers, the places of `avals`.

    parameters: the leaves of params and their names; inputs: the leaves of x.
    split: how many of the equations are those of f, the others are the loss's.
    carries: what an iteration of an unrolled scan hands on.
    """

    avals: tuple[Any, ...]
    equations: tuple[Equation, ...]
    constants: dict[int, Any]
    parameters: dict[int, str]
    inputs: tuple[int, ...]
    outputs: tuple[Atom, ...]
    loss: Atom
    split: int
    carries: dict[Iteration, tuple[Atom, ...]]

    def reads(self) -> set[int]:
        """All values that an equation reads."""
        return {v for e in self.equations for v in e.reads if isinstance(v, int)}


def listing(f: Callable, params: Tree, x: Tree, loss: Callable) -> Listing:
    """loss(f(params, x)) as a list; raises ValueError where the loss is no scalar."""
    body, shapes = jax.make_jaxpr(f, return_shape=True)(params, x)
    end = jax.make_jaxpr(loss)(shapes)
    if [v.shape for v in end.out_avals] != [()]:
        raise ValueError("the loss is not one scalar")
    recorder = Recorder()
    paths, _ = jax.tree_util.tree_flatten_with_path(params)
    arguments = [recorder.value(a) for a in body.in_avals]
    named = {
        value: jax.tree_util.keystr(path, simple=True, separator="/")
        for value, (path, _) in zip(arguments, paths, strict=False)
    }
    outputs = recorder.closed(body, arguments)
    split = len(recorder.equations)
    (value,) = recorder.closed(end, outputs)
    return recorder.done(
        parameters=named,
        inputs=tuple(arguments[len(paths) :]),
        outputs=tuple(outputs),
        loss=value,
        split=split,
    )


class Recorder:
    """A list in the making; equations are added in the order in which they run."""

    def __init__(self, start: Listing | None = None):
        self.avals = list(start.avals) if start else []
        self.constants = dict(start.constants) if start else {}
        self.carries = dict(start.carries) if start else {}
        self.equations: list[Equation] = []
        self._known = {id(array): value for value, array in self.constants.items()}

    def done(self, **rest: Any) -> Listing:
        """The list."""
        return Listing(
            avals=tuple(self.avals),
            equations=tuple(self.equations),
            constants=self.constants,
            carries=self.carries,
            **rest,
        )

    def value(self, aval: Any) -> int:
        """A new value."""
        self.avals.append(aval)
        return len(self.avals) - 1

    def constant(self, array: Any) -> int:
        """The value of an array that the function closes over."""
        if id(array) not in self._known:
            value = self.value(jax.typeof(array))
            self._known[id(array)] = value
            self.constants[value] = array
        return self._known[id(array)]

    def closed(
        self, jaxpr: Any, reads: Sequence[Atom], scope: str = "", iterations=()
    ) -> list[Atom]:
        """What a jaxpr, closed or open, returns for these values."""
        consts = [self.constant(c) for c in getattr(jaxpr, "consts", ())]
        jaxpr = getattr(jaxpr, "jaxpr", jaxpr)
        variables = (*jaxpr.constvars, *jaxpr.invars)
        values: dict[Any, Atom] = dict(zip(variables, (*consts, *reads), strict=True))

        def atom(a: Any) -> Atom:
            return a if isinstance(a, core.Literal) else values[a]

        for eqn in jaxpr.eqns:
            given = [atom(a) for a in eqn.invars]
            inner = joined(scope, eqn)
            if eqn.primitive in GROUPS:
                made = self.closed(body_of(eqn), given, inner, iterations)
            else:
                made = [self.value(v.aval) for v in eqn.outvars]
                self.equations.append(
                    Equation(eqn, tuple(given), tuple(made), inner, iterations)
                )
            values.update(zip(eqn.outvars, made, strict=True))
        return [atom(a) for a in jaxpr.outvars]

    def unrolled(self, scan: Equation, number: int) -> list[Atom]:
        """What a scan returns, its body listed once for each iteration."""
        params, around = scan.eqn.params, scan.iterations
        length, (first, carried) = params["length"], consts_and_carry(scan.eqn)
        last = first + carried
        consts, carry = scan.reads[:first], list(scan.reads[first:last])
        slices = [self._unstacked(x, length, scan) for x in scan.reads[last:]]
        outputs: list[list[Atom]] = [[]] * length
        order = range(length)
        for index in reversed(order) if params["reverse"] else order:
            now = [each[index] for each in slices]
            results = self.closed(
                params["jaxpr"],
                [*consts, *carry, *now],
                f"{scan.scope}/[{index}]",
                (*around, (number, index)),
            )
            carry, outputs[index] = results[:carried], results[carried:]
            self.carries[number, index] = tuple(carry)
        avals = [v.aval for v in scan.eqn.outvars[carried:]]
        columns = zip(*outputs, strict=True) if length else ([] for _ in avals)
        stacks = [
            self._stacked(list(column), aval, scan)
            for column, aval in zip(columns, avals, strict=True)
        ]
        return [*carry, *stacks]

    def _unstacked(self, stack: Atom, length: int, scan: Equation) -> list[Atom]:
        """One value for each place of the leading axis."""
        aval = self.avals[stack]
        plain = not jax.numpy.issubdtype(aval.dtype, jax.dtypes.extended)

        def unstack(array):
            if not plain:  # random keys
                return [array[index] for index in range(length)]
            # One equation, whose derivative is one concatenation.
            parts = jax.lax.split(array, [1] * length) if length else []
            return [jax.lax.squeeze(part, (0,)) for part in parts]

        shape = jax.ShapeDtypeStruct(aval.shape, aval.dtype)
        made = jax.make_jaxpr(unstack)(shape)
        return self.closed(made, [stack], scan.scope, scan.iterations)

    def _stacked(self, parts: list[Atom], aval: Any, scan: Equation) -> Atom:
        shape = jax.ShapeDtypeStruct(aval.shape[1:], aval.dtype)

        def stack(*arrays):
            if not arrays:
                return jax.numpy.zeros(aval.shape, aval.dtype)
            return jax.lax.concatenate(
                [jax.lax.expand_dims(a, (0,)) for a in arrays], 0
            )

        made = jax.make_jaxpr(stack)(*[shape] * len(parts))
        return self.closed(made, parts, scan.scope, scan.iterations)[0]


def unrolled(start: Listing, places: Collection[int]) -> Listing:
    """The list with the scans at these places unrolled."""
    recorder, renamed = Recorder(start), {}
    numbers = itertools.count(1 + max((n for n, _ in start.carries), default=-1))
    split = 0

    def new(atom: Atom) -> Atom:
        return renamed.get(atom, atom) if isinstance(atom, int) else atom

    for place, equation in enumerate(start.equations):
        equation = equation._replace(reads=tuple(map(new, equation.reads)))
        if place in places:
            made = recorder.unrolled(equation, next(numbers))
            renamed.update(zip(equation.writes, made, strict=True))
        else:
            recorder.equations.append(equation)
        if place < start.split:
            split = len(recorder.equations)
    recorder.carries.update(
        {key: tuple(map(new, carry)) for key, carry in recorder.carries.items()}
    )
    return recorder.done(
        parameters=start.parameters,
        inputs=start.inputs,
        outputs=tuple(map(new, start.outputs)),
        loss=new(start.loss),
        split=split,
    )


def consts_and_carry(scan: core.JaxprEqn) -> tuple[int, int]:
    """How many values a scan reads of the same in each iteration, and hands on."""
    params = scan.params
    if "num_carry" in params:  # until jax 0.10
        return params["num_consts"], params["num_carry"]
    parts = params["ft_in"].update(range(len(scan.invars))).unpack()
    consts, carry, _ = (len(list(part)) for part in parts)
    return consts, carry


def body_of(eqn: core.JaxprEqn) -> Any:
    """The jaxpr that an equation calls."""
    params = eqn.params
    return params["jaxpr"] if "jaxpr" in params else params["call_jaxpr"]


def holds(jaxpr: core.Jaxpr, primitive: core.Primitive) -> bool:
    """Whether an equation is of this primitive, or one inside another is."""
    if any(eqn.primitive is primitive for eqn in jaxpr.eqns):
        return True
    inner = (j for eqn in jaxpr.eqns for j in core.jaxprs_in_params(eqn.params))
    return any(holds(each, primitive) for each in inner)


def joined(scope: str, eqn: core.JaxprEqn) -> str:
    """The scope of an equation that is called within another scope."""
    parts = (scope, str(eqn.source_info.name_stack))
    return "/".join(part for part in parts if part)


def closed_over(
    avals: Sequence[Any],
    equations: Sequence[Equation],
    reads: Sequence[int],
    writes: Sequence[Atom],
) -> core.ClosedJaxpr:
    """The equations as a jaxpr of what they read, which returns what they write."""
    values = {*reads, *(w for e in equations for w in e.writes)}
    variable = {value: core.Var(avals[value]) for value in sorted(values)}

    def atom(a: Atom) -> Any:
        return variable[a] if isinstance(a, int) else a

    eqns = [
        e.eqn.replace(
            invars=[atom(a) for a in e.reads], outvars=[atom(a) for a in e.writes]
        )
        for e in equations
    ]
    effects = frozenset().union(*(e.eqn.effects for e in equations))
    inner, outer = [variable[v] for v in reads], [atom(a) for a in writes]
    sizes = (("in", len(inner)), ("out", len(outer)))
    names = [tuple(f"{kind}{i}" for i in range(n)) for kind, n in sizes]
    about = core.DebugInfo("segment", "segment", *names)
    return core.ClosedJaxpr(core.Jaxpr((), inner, outer, eqns, effects, about), ())
