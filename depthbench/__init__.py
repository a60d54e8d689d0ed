"""depthbench: does the gradient of a deep network survive, of your own too?

    import depthbench as db

    report = db.probe(model, batch, loss)    # any Flax, Equinox, Haiku or JAX model
    report.table(); report.figure(); report.verdict; report.slope
    watch = db.probe.every(50, model, batch, loss)     # in your own training loop
    db.deepen(make, depths=(4, 16, 64), batch=batch, loss=loss)
    db.run("gradient_flow", depth=(4, 64)).to_pandas()
    db.theory("tanh", 1.7, 0.05)
    db.load("runs/gradient_flow")

`db.every` is `db.probe.every`. `db.probes`, `db.mean_field` and `db.initializers` are the
library's modules, to take one thing from. What cannot be done as asked raises
`db.Mistake`, a ValueError of one line.
Importing this imports nothing else; each name is imported when it is first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from depthbench.deepening import deepen
    from depthbench.networks import theory
    from depthbench.probing import every, probe
    from depthbench.research.catalogues import initializers
    from depthbench.research.catalogues.catalogue import Mistake
    from depthbench.research.report.deepened import DepthsReport
    from depthbench.research.report.history import History
    from depthbench.research.report.loaded import Loaded
    from depthbench.research.report.probed import Report
    from depthbench.research.signal import probes
    from depthbench.research.theory import mean_field
    from depthbench.studies import load, run

__version__ = "0.1.0"

__all__ = [
    "DepthsReport",
    "History",
    "Loaded",
    "Mistake",
    "Report",
    "deepen",
    "every",
    "initializers",
    "load",
    "mean_field",
    "probe",
    "probes",
    "run",
    "theory",
]

# Where each name is: a module's attribute, or the module itself.
PLACES = {
    "DepthsReport": "depthbench.research.report.deepened:DepthsReport",
    "History": "depthbench.research.report.history:History",
    "Loaded": "depthbench.research.report.loaded:Loaded",
    "Mistake": "depthbench.research.catalogues.catalogue:Mistake",
    "Report": "depthbench.research.report.probed:Report",
    "deepen": "depthbench.deepening:deepen",
    "every": "depthbench.probing:every",
    "initializers": "depthbench.research.catalogues.initializers",
    "load": "depthbench.studies:load",
    "mean_field": "depthbench.research.theory.mean_field",
    "probe": "depthbench.probing:probe",
    "probes": "depthbench.research.signal.probes",
    "run": "depthbench.studies:run",
    "theory": "depthbench.networks:theory",
}


def __getattr__(name: str) -> Any:
    if name not in PLACES:
        raise AttributeError(f"module 'depthbench' has no attribute {name!r}")
    import importlib

    module, _, attribute = PLACES[name].partition(":")
    value = importlib.import_module(module)
    value = getattr(value, attribute) if attribute else value
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
