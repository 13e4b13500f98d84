"""Train a jepakit method with the Hugging Face Trainer: the method is an ordinary module, the Trainer owns the loop.

pip install transformers accelerate && python examples/with_hugging_face_trainer.py
"""

import tempfile
from typing import Any

import torch
from torch import nn
from transformers import Trainer, TrainerCallback, TrainingArguments

from jepakit.data import Digits
from jepakit.recipes import find_recipe
from jepakit.types import ImageBatch


class TrainableJEPA(nn.Module):
    """Give a method the form that the Trainer calls: keyword tensors in, a dictionary with `loss` out."""

    def __init__(self, recipe: str = "digits-ijepa-sigreg", num_steps: int = 100):
        super().__init__()
        self.method: Any = find_recipe(recipe)().method.build(seed=0, num_steps=num_steps)
        self.step = 0

    def forward(self, image: torch.Tensor, id: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the loss of one batch."""
        return {"loss": self.method(ImageBatch(image, id), self.step).loss}


class FollowSteps(TrainerCallback):
    """Count optimizer steps for the draws, and let a moving target follow."""

    def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
        """Move on after an optimizer step."""
        model = rest["model"]
        model.method.after_step(model.step)
        model.step += 1


def train(num_steps: int = 100) -> TrainableJEPA:
    """Train on the bundled digits."""
    digits = Digits()
    rows = [{"image": image, "id": torch.tensor(index)} for index, image in enumerate(digits.images)]
    model = TrainableJEPA(num_steps=num_steps)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            max_steps=num_steps,
            per_device_train_batch_size=128,
            learning_rate=1e-3,
            report_to=[],
            save_strategy="no",
            use_cpu=True,
            disable_tqdm=True,
        )
        Trainer(model=model, args=arguments, train_dataset=rows, callbacks=[FollowSteps()]).train()
    return model


if __name__ == "__main__":
    model = train()
    embeddings = model.method.eval().encode(model.method.preprocess(Digits().images))
    print(f"embedded {len(embeddings)} digits in {embeddings.shape[1]} dimensions")
