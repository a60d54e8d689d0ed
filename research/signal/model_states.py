"""The states of a user's own model: with names, and nothing that is no parameter."""

from depthbench.research.catalogues.catalogue import Mistake
from depthbench.research.models.functional import Functional
from depthbench.research.signal import naming, segments, states
from depthbench.research.signal.segments import Network
from depthbench.research.signal.states import Progress, StatesMeasured


def network(model: Functional) -> Network:
    """The model in segments. Raises Mistake."""
    try:
        net = segments.network(model.f, model.params, model.x, model.loss)
    except ValueError as error:
        text = str(error)
        if "not depend" in text or "constant" in text:
            raise Mistake(
                "loss: no gradient of it reaches the batch: it does not depend on the "
                "model's outputs, or they not on the inputs"
            ) from None
        raise Mistake(f"model: {text}") from None
    return naming.by_parameters(net, model.rest)


def measured(
    model: Functional, network: Network, progress: Progress | None = None
) -> StatesMeasured:
    """What is measured of the model; of its statistics and keys nothing."""
    whole = states.measured(network, model.params, model.x, progress)
    others = {*model.rest} - {*whole.names}
    return whole._replace(
        log10_parameter_gradient=model.parameters(whole.log10_parameter_gradient),
        without_gradient=model.parameters(whole.without_gradient),
        zeros=tuple(name for name in whole.zeros if name not in others),
    )
