"""Train anything that follows the `Method` protocol: one short loop, exact checkpoints, health on the way."""

from jepakit.training.config import TrainingConfig as TrainingConfig
from jepakit.training.loop import NonFiniteError as NonFiniteError
from jepakit.training.loop import Trainer as Trainer
from jepakit.training.loop import TrainingResult as TrainingResult
