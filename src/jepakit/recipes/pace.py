"""Say at what pace small recipes learn: what they share, so that each names only what it does otherwise."""

from typing import Any

from jepakit.training import TrainingConfig


def small_training(num_steps: int, batch_size: int, **own: Any) -> TrainingConfig:
    """Return a training of minutes: Muon for matrices, a tenth of the steps to warm up, health five times.

    Args:
        num_steps: Updates.
        batch_size: Samples of each.
        own: Settings of `TrainingConfig` that differ.
    """
    shared: dict[str, Any] = {
        "optimizer": "muon",
        "muon_ratio": 4.0,
        "learning_rate": 2e-3,
        "warmup_steps": num_steps // 10,
        "weight_decay": 0.02,
        "health_every": num_steps // 5,
    }
    return TrainingConfig(num_steps=num_steps, batch_size=batch_size, **(shared | own))
