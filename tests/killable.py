"""A small training that another process may kill at any moment; imported once by a server that forks it."""

from collections.abc import Iterator

import torch
import torch._dynamo  # an optimizer imports it: once here, not in each process
from small_methods import batch, build

from jepakit.storage import Run
from jepakit.training import Trainer, TrainingConfig
from jepakit.types import ImageBatch

NUM_STEPS = 24
CONFIG = TrainingConfig(
    num_steps=NUM_STEPS, batch_size=8, learning_rate=1e-2, precision="fp32", log_every=1, save_every_s=0.0
)


def batches(step: int) -> Iterator[tuple[int, ImageBatch]]:
    """Give the batches from a step on."""
    while True:
        yield step, batch(8, start=8 * (step % 3))
        step += 1


def work(folder: str) -> None:
    """Train to the end, from wherever the last checkpoint is; a checkpoint is written after every step."""
    torch.set_num_threads(1)
    Trainer(build("ijepa", num_steps=NUM_STEPS), CONFIG, Run(folder), batches).fit()
