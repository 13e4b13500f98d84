"""Step matrices along the nearest orthogonal matrix to their momentum: Muon, in the weights' own precision.

torch.optim.Muon takes two-dimensional weights alone and orthogonalises in bfloat16, which CPUs without bf16 units do
slowly; this one takes convolutions too, and leaves everything as it is after a step that was not finite.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_NUM_ITERATIONS = 5
_UPDATE_RMS = 0.2


class Muon:
    """Step matrices and convolution kernels (one row an output channel) by orthogonalised Nesterov momentum.

    The root mean square of an update is 0.2 times the learning rate, about AdamW's, so that AdamW's learning rate and
    weight decay carry over.

    Args:
        parameters: Weights of at least two axes.
        momentum: Decay of the momentum.

    Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks" (kellerjordan.github.io);
    scale after Liu et al. 2025, "Muon is scalable for LLM training" (arXiv 2502.16982), equation 4. Deviations:
    float32 on CPU.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], momentum: float = 0.9):
        self.parameters = list(parameters)
        self.momentum = momentum
        self.buffers = [torch.zeros_like(parameter) for parameter in self.parameters]

    @torch.no_grad()
    def step(self, learning_rate: float, weight_decay: float, found_inf: Float[Tensor, ""]) -> None:
        """Update every weight; with `found_inf` above 0 nothing changes, and the device is not asked."""
        is_bad = found_inf > 0
        for parameter, buffer in zip(self.parameters, self.buffers, strict=True):
            if parameter.grad is None:
                continue
            gradient = torch.where(is_bad, 0.0, parameter.grad)
            buffer.copy_(torch.where(is_bad, buffer, self.momentum * buffer + gradient))
            direction = orthogonalise((gradient + self.momentum * buffer).flatten(1))
            rate = torch.where(is_bad, 0.0, learning_rate)
            parameter.mul_(1.0 - rate * weight_decay)
            parameter.sub_(rate * _UPDATE_RMS * max(direction.shape) ** 0.5 * direction.view_as(parameter))


def orthogonalise(matrix: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows columns"]:
    """Return about U V^T of the matrix U S V^T: its singular values become 0.7 to 1.2, a zero matrix stays zero.

    On GPUs the products are computed in bfloat16, which the iteration forgives.
    """
    x = matrix.to(torch.bfloat16) if matrix.is_cuda else matrix
    is_tall = x.shape[0] > x.shape[1]
    x = x.T if is_tall else x
    x = x / (x.norm() + 1e-7)
    a, b, c = _COEFFICIENTS
    for _ in range(_NUM_ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if is_tall else x).to(matrix.dtype)
