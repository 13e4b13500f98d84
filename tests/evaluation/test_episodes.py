"""Episodes are played as told, and success at the end is told apart from success on the way."""

import torch

from jepakit.evaluation.episodes import play, success


class Line:
    """A world of one number; what is seen is the number."""

    def step(self, state: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        return state + action[:, 0]

    def render(self, state: torch.Tensor) -> torch.Tensor:
        return state


def test_the_end_and_the_way_are_told_apart() -> None:
    seen = []

    def act(observation: torch.Tensor) -> torch.Tensor:
        seen.append(observation.clone())
        return torch.tensor([[1.0], [1.0], [0.0]])

    played = play(Line(), torch.tensor([0.0, -3.0, 5.0]), act, 3, lambda state: (state - 1.0).abs())
    assert played.distance.tolist() == [[1, 0, 1, 2], [4, 3, 2, 1], [4, 4, 4, 4]]
    assert [round(float(place[0])) for place in seen] == [0, 1, 2]
    assert played.ends_near(1.5).tolist() == [False, True, False]
    assert played.comes_near(1.5).tolist() == [True, True, False]
    assert played.seconds >= 0
    share = success(played.comes_near(1.5))
    assert abs(share.value - 2 / 3) < 1e-9
    assert 0.2 < share.low < share.value < share.high < 1.0
