"""`probe(model, batch, loss)`: the states of a user's own model, and their gradients."""

from collections.abc import Callable, Mapping
from typing import Any

from depthbench import measuring
from depthbench.measuring import Tree
from depthbench.research.catalogues.catalogue import Mistake
from depthbench.research.models.functional import functional
from depthbench.research.report.probed import Report
from depthbench.research.signal import model_states
from depthbench.watching import Watch

Loss = Callable[..., Any]


class Probe:
    """Probes a model: `probe(model, batch, loss)`, and `probe.every(k, model, …)`.

    What the arguments may be is the same for both, and for `deepen`:

    model: a Flax module (Linen or NNX), an Equinox one, what Haiku's transforms give, or
      a function f(params, x), then with `params=`, or as the pair (f, params). A module
      is looked at as it is, in training or inference. Nothing of it is changed.
    batch: arrays, the model's inputs: a tuple's parts are arguments by place, a
      dictionary's by name. Two examples or more on the first axis. Where the loss takes
      outputs and targets, the batch is (inputs, targets).
    loss: from outputs, or outputs and targets, to one number. Without it, the outputs'
      products with fixed random numbers, summed.
    params: trained ones, in the place of those that are drawn: a tree of the model's own
      form, all of a Linen module's variables, a module of the same form, a list of
      leaves, or the path of a folder that Orbax has written.
    seed: of drawn parameters and of dropout's keys.
    kwargs: further arguments of the model's call, such as {"train": True}.

    Raises Mistake, a ValueError of one line that names the argument.
    """

    def __call__(
        self,
        model: Any,
        batch: Tree,
        loss: Loss | None = None,
        *,
        params: Tree = None,
        seed: int = 0,
        kwargs: Mapping[str, Any] | None = None,
    ) -> Report:
        """The report of one pass: gradient, length and correlation at every state.

        A state is a place at which one value is all that the loss still depends on: the
        end of a layer or of a residual block. Exact, as autodiff is, and in log scale:
        what float32 would show as 0 is a number.

        >>> import jax.numpy as jnp
        >>> f = lambda params, x: jnp.tanh(x @ params["w"])
        >>> probe(f, jnp.eye(2), jnp.sum, params={"w": jnp.eye(2)}).verdict
        'survives'
        """
        fn = functional(model, batch, loss, params, seed, kwargs)
        return measuring.report(fn)

    def every(
        self,
        k: int,
        model: Any,
        batch: Tree,
        loss: Loss | None = None,
        *,
        params: Tree = None,
        seed: int = 0,
        kwargs: Mapping[str, Any] | None = None,
    ) -> Watch:
        """A watch to be called in the user's own loop: `watch(step, params)`.

        It probes at every k-th step, with those parameters, on this batch, and collects
        a History. `watch.arrays(params)` is the same as a pure function of arrays, for
        jit, scan, and vmap over seeds.

        >>> import jax.numpy as jnp
        >>> f = lambda params, x: jnp.tanh(x @ params["w"])
        >>> w = {"w": jnp.eye(2)}
        >>> watch = probe.every(50, f, jnp.eye(2), jnp.sum, params=w)
        >>> for step in range(101):
        ...     watch(step, w)
        >>> watch.history.steps
        (0, 50, 100)
        """
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise Mistake(f"k: {k!r}: must be a whole number of steps of at least 1")
        fn = functional(model, batch, loss, params, seed, kwargs)
        return Watch(k, fn, model_states.network(fn))


probe = Probe()
every = probe.every
