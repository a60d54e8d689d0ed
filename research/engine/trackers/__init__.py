"""Trackers: programs that show a run's numbers as they come, beside its own folder.

Each has a module here, which imports its package only when it is opened. All write files
below the run's folder; nothing leaves the machine, unless the user's own environment says
so (`WANDB_MODE`, `TRACKIO_SPACE_ID`).
"""

from depthbench.research.catalogues.catalogue import Catalogue
from depthbench.research.engine.trackers.contract import Tracker

TRACKERS: Catalogue[Tracker] = Catalogue(
    "tracker",
    [
        Tracker(
            "tensorboard", "https://www.tensorflow.org/tensorboard", "tensorboardX"
        ),
        Tracker("wandb", "https://docs.wandb.ai", "wandb"),
        Tracker("trackio", "https://huggingface.co/docs/trackio", "trackio"),
        Tracker("mlflow", "https://mlflow.org/docs/latest", "mlflow"),
    ],
)
