"""Train a jepakit method with Lightning: the method is an ordinary module, Lightning owns the loop.

pip install lightning && python examples/with_lightning.py
"""

from typing import Any

import lightning
import torch
from torch.utils.data import DataLoader

from jepakit.data import Digits
from jepakit.recipes import find_recipe
from jepakit.types import ImageBatch


class LightningJEPA(lightning.LightningModule):
    """Step a method: its forward gives the loss, its `after_step` follows the optimizer."""

    def __init__(self, recipe: str = "digits-ijepa", num_steps: int = 100):
        super().__init__()
        self.method: Any = find_recipe(recipe)().method.build(seed=0, num_steps=num_steps)

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> torch.Tensor:
        """Return the loss of one batch of (uint8 images, sample ids)."""
        images, ids = batch
        return self.method(ImageBatch(images, ids), self.global_step).loss

    def on_train_batch_end(self, *args: Any) -> None:
        """Let a moving target follow."""
        self.method.after_step(self.global_step - 1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Give the method's groups their weight decay."""
        groups = [{"params": g["params"], "weight_decay": 0.05 * g["decay"]} for g in self.method.param_groups()]
        return torch.optim.AdamW(groups, lr=1e-3)


def train(num_steps: int = 100) -> LightningJEPA:
    """Train on the bundled digits."""
    digits = Digits()
    loader = DataLoader(list(zip(digits.images, range(len(digits)), strict=True)), batch_size=128, shuffle=True)
    module = LightningJEPA(num_steps=num_steps)
    trainer = lightning.Trainer(
        max_steps=num_steps,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, loader)
    return module


if __name__ == "__main__":
    module = train()
    embeddings = module.method.eval().encode(module.method.preprocess(Digits().images))
    print(f"embedded {len(embeddings)} digits in {embeddings.shape[1]} dimensions")
