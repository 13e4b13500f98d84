"""Learn from time alone what planning asks for: a head that tells steps to go, a policy that tells what to do first.

Both read stored embeddings of trajectories, (trajectories, frames, d), and no label: pairs of frames, and the steps (or
the actions) in between. Gaps are drawn so that every octave is seen as often, up to the largest.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from jepakit.nn.policy import GoalPolicy, GoalPolicyConfig, policy_loss
from jepakit.nn.reachability import ReachabilityConfig, ReachabilityHead, reachability_loss
from jepakit.random import Stream, seeded_init
from jepakit.types import require


def learn_reachability(
    z: Float[Tensor, "k t d"],
    config: ReachabilityConfig,
    *,
    num_steps: int = 2000,
    batch_size: int = 512,
    learning_rate: float = 1e-3,
    far_share: float = 0.25,
    seed: int = 0,
) -> ReachabilityHead:
    """Train a head on pairs within trajectories, labelled by their gap, and on pairs that are far.

    Far are pairs across trajectories and, where trajectories are longer than the largest gap, as many within one.

    Args:
        z: Embeddings of the frames of trajectories.
        config: The head; `max_gap` below the number of frames.
        num_steps: Updates.
        batch_size: Pairs of each.
        learning_rate: Of AdamW; it falls to zero along half a cosine.
        far_share: Share of pairs that are far.
        seed: Seed of weights and pairs.

    Raises:
        UserError: Trajectories are too short or too few, or of another width than the head.
    """
    _require_trajectories(z, config.embedding_dim, config.max_gap)
    require(len(z) >= 2, "Reachability is learned from at least two trajectories, as pairs across them are far; got 1.")
    with seeded_init(seed, "reachability"):
        head = config.build().to(z.device)

    longest, num_far = z.shape[1] - 1, round(far_share * batch_size)

    def loss(step: int) -> Tensor:
        ids = torch.arange(batch_size, device=z.device)
        stream = Stream(seed, "reachability/pairs")
        drawn = stream.uniform(step, ids, 6)
        place, start, other, when = drawn[:, 2:].double().unbind(1)
        is_far = ids < num_far
        is_apart = is_far & (ids % 2 == 0) if longest > config.max_gap else is_far
        beyond = config.max_gap + 1 + (other * (longest - config.max_gap)).long()
        gap = torch.where(is_far & ~is_apart, beyond, octave_gaps(drawn[:, :2], config.max_gap))
        place, start = (place * len(z)).long(), (start * (z.shape[1] - gap)).long()
        elsewhere = (place + 1 + (other * (len(z) - 1)).long()) % len(z)
        goal_place = torch.where(is_apart, elsewhere, place)
        goal_time = torch.where(is_apart, (when * z.shape[1]).long(), start + gap)
        gap = torch.where(is_apart, config.max_gap + 1, gap)
        return reachability_loss(head, z[place, start].float(), z[goal_place, goal_time].float(), gap)

    minimised(head, loss, num_steps, learning_rate)
    return head


def learn_policy(
    z: Float[Tensor, "k t d"],
    actions: Float[Tensor, "k t1 a"],
    config: GoalPolicyConfig,
    *,
    max_gap: int,
    num_steps: int = 2000,
    batch_size: int = 512,
    learning_rate: float = 1e-3,
    seed: int = 0,
) -> GoalPolicy:
    """Train a policy to tell, from two frames of a trajectory, what was done first on the way.

    Args:
        z: Embeddings of the frames of trajectories.
        actions: What was done between each and the next.
        config: The policy.
        max_gap: Most steps between two frames.
        num_steps: Updates.
        batch_size: Pairs of each.
        learning_rate: Of AdamW; it falls to zero along half a cosine.
        seed: Seed of weights and pairs.

    Raises:
        UserError: Trajectories are too short, or of another width than the policy.
    """
    _require_trajectories(z, config.embedding_dim, max_gap)
    wanted = (z.shape[0], z.shape[1] - 1, config.action_dim)
    require(tuple(actions.shape) == wanted, f"The policy needs actions of shape {wanted}, got {tuple(actions.shape)}.")
    with seeded_init(seed, "policy"):
        policy = config.build().to(z.device)
    ahead = torch.arange(config.num_actions, device=z.device)

    def loss(step: int) -> Tensor:
        ids = torch.arange(batch_size, device=z.device)
        stream = Stream(seed, "policy/pairs")
        drawn = stream.uniform(step, ids, 4)
        gap = octave_gaps(drawn[:, :2], max_gap).clamp_min(1)
        place, start = drawn[:, 2:].double().unbind(1)
        place, start = (place * len(z)).long(), (start * (z.shape[1] - gap)).long()
        told = policy(z[place, start].float(), z[place, start + gap].float(), gap.float())
        taken = actions[place[:, None], (start[:, None] + ahead).clamp_max(actions.shape[1] - 1)]
        return policy_loss(told, taken.float(), ahead < gap[:, None])

    minimised(policy, loss, num_steps, learning_rate)
    return policy


def octave_gaps(u: Float[Tensor, "b 2"], max_gap: int) -> Int[Tensor, " b"]:
    """Return gaps from 0 to the largest, of which 0, 1, 2, 3-4, 5-8 ... come as often, from uniform draws."""
    edges = torch.tensor(ReachabilityConfig(embedding_dim=1, max_gap=max_gap).edges, device=u.device)
    octave = (u[:, 0] * len(edges)).long()
    high = edges[octave]
    low = torch.where(octave == 0, 0, edges[(octave - 1).clamp_min(0)] + 1)
    return low + (u[:, 1] * (high - low + 1)).long()


def minimised(module: nn.Module, loss: Callable[[int], Tensor], num_steps: int, learning_rate: float) -> None:
    """Minimise a loss by AdamW, and leave the module as planning uses it."""
    optimizer = torch.optim.AdamW(module.parameters(), lr=learning_rate)
    for step in range(num_steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * 0.5 * (1.0 + math.cos(math.pi * step / num_steps))
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss(step))
        optimizer.step()
        torch.clear_autocast_cache()  # a caller's autocast would go on with narrow copies of the weights as they were
    module.eval().requires_grad_(False)


def _require_trajectories(z: Tensor, embedding_dim: int, max_gap: int) -> None:
    """Refuse trajectories from which such gaps cannot be learned."""
    require(
        len(z) >= 1 and z.shape[1] > max_gap, f"Gaps of up to {max_gap} need longer trajectories than {z.shape[1]}."
    )
    require(z.shape[2] == embedding_dim, f"The embeddings have width {z.shape[2]}, not {embedding_dim}.")
