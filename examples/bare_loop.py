"""Use an objective, a mask and the health report inside a training loop of your own: nothing else of jepakit runs.

python examples/bare_loop.py
"""

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from jepakit.health import diagnose, measure
from jepakit.masking import RandomMask
from jepakit.nn import MaskedPredictor, ViT
from jepakit.objectives import SIGReg


def train(num_steps: int = 100, batch_size: int = 128) -> tuple[nn.Module, Tensor]:
    """Learn digits by masked prediction with SIGReg; returns the encoder and the images."""
    torch.manual_seed(0)
    images = torch.tensor(load_digits().images, dtype=torch.float32).unsqueeze(1) / 8 - 1  # (n, 1, 8, 8)
    encoder = ViT(image_size=8, patch_size=2, dim=48, depth=2, num_heads=4, in_channels=1)
    predictor = MaskedPredictor(embedding_dim=48, grid=encoder.grid, dim=32, depth=1, num_heads=4)
    mask = RandomMask(grid=encoder.grid, target_fraction=0.5)
    sigreg = SIGReg(num_slices=64)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *predictor.parameters()], lr=1e-3)
    for step in range(num_steps):
        ids = torch.randint(len(images), (batch_size,))
        x, hidden = images[ids], mask(ids, step)
        tokens = encoder(x)  # (b, n, d): targets, from the same weights
        z = tokens.gather(1, hidden.target_idx[:, 0, :, None].expand(-1, -1, tokens.shape[-1]))
        z_hat = predictor(encoder(x, hidden.context_idx), hidden.context_idx, hidden.target_idx)[:, 0]
        loss = (z_hat - z).square().mean() + 10.0 * sigreg(tokens[:, :4], step)  # four positions, each across samples
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return encoder, images


if __name__ == "__main__":
    encoder, images = train()
    with torch.no_grad():
        verdict = diagnose(measure({"encoder": encoder(images[:512])}))
    print(verdict.sentence)
