"""Let a predictor learn on once its encoder has learned: from stored embeddings, which no step draws or encodes again.

A step of a small world spends nearly all of its time on pictures, and its prediction is a small part of its loss. With
the encoder's work stored, the predictor is asked many times as many questions in the same time.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from jepakit.collectives import weighted_mean
from jepakit.planning.learning import minimised
from jepakit.random import Stream
from jepakit.recipes.config import Refining, WorldRecipe
from jepakit.recipes.feeds import HELD_OUT
from jepakit.recipes.stored import embedded_trajectories, told_trajectories
from jepakit.storage import Run
from jepakit.training.precision import autocast
from jepakit.types import require

_FIRST = 4 * HELD_OUT
"""First id of the trajectories from which predictors learn on."""


def refine_predictor(method: Any, recipe: WorldRecipe, run: Run) -> None:
    """Let the predictor learn on and keep it in the run's last checkpoint; nothing where the recipe asks for none.

    Where it was kept already, the method was loaded with it, and nothing is done. A call that was killed begins anew.

    Raises:
        UserError: The predictor hears of chance, or trajectories are too short.
    """
    refining = recipe.refining
    if refining is None or (run.checkpoint_state("last") or {}).get("refined"):
        return
    given = method, recipe, refining.num_trajectories, refining.num_frames, _FIRST
    with autocast(recipe.training.precision, next(method.parameters()).device):
        refine(method, embedded_trajectories(*given), told_trajectories(*given), refining, recipe.seed)
    saved = run.load_checkpoint("last")
    assert saved is not None  # training has ended
    weights = {f"model.{name}": tensor for name, tensor in method.state_dict().items()}
    run.save_checkpoint({**saved[0], **weights}, {**saved[1], "refined": True})


def refine(
    method: Any, z: Float[Tensor, "k t *n d"], told: Float[Tensor, "k t1 a"], refining: Refining, seed: int
) -> None:
    """Minimise the mean energy of the method's predictions on clips of stored embeddings, over its predictor alone.

    Clips are as long as the method asks ahead, and every frame of them is a start. Nothing of the encoder changes, the
    last layer that it shares with the predictor included.

    Args:
        method: The method.
        z: Embeddings of trajectories.
        told: What the predictor is told between them.
        refining: How long.
        seed: Of the clips.

    Raises:
        UserError: The predictor hears of chance, which is told by pictures of what came true, or trajectories are
            shorter than a clip.
    """
    num_frames, ids = method.rollout_steps + 1, torch.arange(refining.batch_size, device=z.device)
    require(method.latent is None, "A predictor with a latent variable learns from pictures alone; leave out refining.")
    require(
        z.shape[1] >= num_frames, f"Refining asks {method.rollout_steps} frames ahead, so it needs {num_frames} frames."
    )
    stream, clip = Stream(seed, "refining/clips"), torch.arange(num_frames, device=z.device)

    def missed(step: int) -> Float[Tensor, ""]:
        place, start = stream.uniform(step, ids, 2).double().unbind(1)
        place, start = (place * len(z)).long(), (start * (z.shape[1] - num_frames + 1)).long()
        when = start[:, None] + clip
        asked = method.ahead(z[place[:, None], when], told[place[:, None], when[:, :-1]])
        return weighted_mean(method.objective.energy(asked), asked.weight)

    minimised(method.predictor, missed, refining.num_steps, refining.learning_rate)
    method.zero_grad(set_to_none=True)  # of the shared layer
