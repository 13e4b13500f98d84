"""Infer what chance did between two frames: a few numbers through a narrow channel, drawn from a unit Gaussian in use.

A predictor that is told actions alone must answer a coin's toss with the mean of both sides. Told these numbers too, it
answers with one side, and their prior says how often.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class Latent(nn.Module):
    """Tell the Gaussian of a step's latent numbers u from the embeddings before and after it and what was done.

        u ~ q(u | z_t, a_t, z_{t+1}) = N(mean, std^2);   rate = KL(q || N(0, 1)), what the channel carries in nats

    Nothing but u reaches the predictor, so that at a rate of 0 it learns nothing of the frame to come. Embeddings come
    without gradient: the channel is not to shape what it describes.

    Args:
        embedding_dim: Width of the embeddings; of tokens, whose mean is looked at.
        action_dim: Length of what the predictor is told of actions.
        dim: How many numbers.
        hidden_dim: Width of the hidden layer.

    Source: Denton and Fergus 2018, SVG (arXiv 1802.07687), learned inference with a fixed prior (section 3, SVG-FP),
    where the bottleneck is the KL term; LeCun 2022, A path towards autonomous machine intelligence, section 4.3, for
    the place of a regularised latent in a JEPA. Deviations: from two frames and an action instead of a recurrent
    network over all of them.
    """

    def __init__(self, embedding_dim: int, action_dim: int, dim: int, hidden_dim: int = 128):
        super().__init__()
        self.dim = dim
        self.hidden = nn.Linear(2 * embedding_dim + action_dim, hidden_dim)
        self.out = nn.Linear(hidden_dim, 2 * dim)

    def forward(
        self, z: Float[Tensor, "b t *n d"], action: Float[Tensor, "b t1 a"], noise: Float[Tensor, "b t1 k"]
    ) -> tuple[Float[Tensor, "b t1 k"], Float[Tensor, "b t1"]]:
        """Return u of each step of clips, made of unit noise, and the rate of each."""
        seen = z.detach() if z.ndim == 3 else z.detach().mean(dim=2)
        step = seen[:, 1:] - seen[:, :-1]  # rather than the later frame: most of a frame stays as it was
        hidden = F.relu(self.hidden(torch.cat((seen[:, :-1], step, action.to(seen)), dim=-1)))
        mean, log_std = self.out(hidden).chunk(2, dim=-1)
        std = log_std.exp()
        rate = 0.5 * (mean.square() + std.square() - 1.0 - 2.0 * log_std).sum(dim=-1)
        return mean + std * noise.to(mean), rate
