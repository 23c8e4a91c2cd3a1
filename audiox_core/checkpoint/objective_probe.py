"""What a backbone was trained to predict, by its answer to pure noise.

At t = 1 a rectified flow answers noise - data, which lies along the noise; v-prediction answers
-data, which does not.
"""

import logging
from functools import partial

import torch

from ..config import AudioXConfig
from ..models import backbone
from ..models.dit import rename_norms
from .layout import DIT, check_layout
from .modules import load_module
from .weight_file import WeightFile

logger = logging.getLogger(__name__)

# share of the noise in the answer, half way between v-prediction's 0 and rectified flow's 1
THRESHOLD = 0.5


def probe_objective(file: WeightFile, config: AudioXConfig) -> str:
    """The objective of the backbone in a file; loads it."""
    logger.info("%s does not name its variant: probing the model's output", file.path.name)
    return objective_of(noise_share(file, config))


def objective_of(share: float) -> str:
    """The objective that a `noise_share` belongs to."""
    return "rectified_flow" if share > THRESHOLD else "v"


def noise_share(file: WeightFile, config: AudioXConfig) -> float:
    """The share of the noise in a backbone's answer to pure noise at t = 1; loads the backbone.

    Args:
        file: holds the backbone.
        config: its sizes.

    Raises:
        WeightsError: the backbone is not whole.
    """
    check_layout(file, config, "backbone")
    model = load_module(file, DIT, partial(backbone, config.dit), canonical=rename_norms)
    draw = torch.Generator("cpu").manual_seed(0)
    # as ever where another pack has set another default dtype or device
    kind = {"dtype": torch.float32, "device": "cpu"}
    shape = (1, config.latent.channels, config.latent.window)
    noise = torch.randn(shape, generator=draw, **kind)
    with torch.inference_mode():
        answer = model(noise, torch.ones(1, **kind))
    return ((answer * noise).sum() / noise.square().sum()).item()
