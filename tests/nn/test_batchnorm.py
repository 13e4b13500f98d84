import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from jepakit.nn.batchnorm import BatchNorm, convert_batchnorm
from jepakit.types import UserError

SHAPES = {"1d": (6, 5), "1d tokens": (6, 5, 3), "2d": (6, 5, 4, 3), "3d": (6, 5, 2, 3, 4)}
THEIRS = {"1d": nn.BatchNorm1d, "1d tokens": nn.BatchNorm1d, "2d": nn.BatchNorm2d, "3d": nn.BatchNorm3d}


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize(
    "arguments",
    [{}, {"momentum": None, "eps": 1e-3}, {"affine": False}, {"track_running_stats": False}],
    ids=["default", "cumulative", "plain", "untracked"],
)
def test_one_process_is_torchs_batchnorm_bit_for_bit(kind: str, arguments: dict) -> None:
    ours, theirs = BatchNorm(5, **arguments), THEIRS[kind](5, **arguments)
    theirs.load_state_dict(ours.state_dict())
    inputs = [torch.randn(SHAPES[kind], generator=torch.Generator().manual_seed(i)) * 3 + 2 for i in range(3)]
    for is_training in (True, True, False):
        x, their_x = (inputs[0].clone().requires_grad_() for _ in range(2))
        y, their_y = ours.train(is_training)(x), theirs.train(is_training)(their_x)
        assert torch.equal(y, their_y)
        y.square().sum().backward()
        their_y.square().sum().backward()
        assert torch.equal(x.grad, their_x.grad)
        inputs.append(inputs.pop(0))
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for name, value in ours.state_dict().items():
        assert torch.equal(value, theirs.state_dict()[name])


def test_a_shape_with_other_channels_is_refused_in_one_sentence() -> None:
    with pytest.raises(UserError, match=r"5 channels .* got shape \(6, 4\)"):
        BatchNorm(5)(torch.zeros(6, 4))


def test_a_batch_of_one_value_a_channel_is_refused_in_one_sentence() -> None:
    norm = BatchNorm(5)
    for x in (torch.zeros(1, 5), torch.zeros(1, 5, 1, 1)):
        with pytest.raises(UserError, match=r"two values a channel, got shape \(1, 5.*; use a larger batch\.$"):
            norm.train()(x)
        assert torch.equal(norm.eval()(x), x)
    assert norm.train()(torch.zeros(1, 5, 2)).shape == (1, 5, 2)
    with pytest.raises(UserError, match="two values a channel"):
        BatchNorm(5, track_running_stats=False).eval()(torch.zeros(1, 5))


def test_conversion_keeps_function_parameters_and_mode() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Sequential(nn.Flatten(), nn.BatchNorm1d(16)))
    model[1].eval()
    model(torch.randn(8, 3, 2, 2))
    before, parameters = copy.deepcopy(model), list(model.parameters())
    converted = convert_batchnorm(model)
    assert converted is model
    assert isinstance(model[1], BatchNorm)
    assert isinstance(model[2][1], BatchNorm)
    assert not model[1].training
    assert model[2][1].training
    assert all(new is old for new, old in zip(model.parameters(), parameters, strict=True))
    x = torch.randn(8, 3, 2, 2)
    assert torch.equal(model(x), before(x))
    for name, value in model.state_dict().items():
        assert torch.equal(value, before.state_dict()[name])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_in_two_processes_gives_value_gradient_and_statistics_of_one_cpu(tmp_path: Path) -> None:
    x = torch.randn(9, 5, 3)
    expected = _batchnorm_of_a_share(x, slice(None), "cpu")
    torch.multiprocessing.spawn(_share_on_a_gpu, (str(tmp_path / "store"), x, tmp_path), nprocs=2)
    shares = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    for name in ("y", "gradient"):
        torch.testing.assert_close(torch.cat([share[name] for share in shares]), expected[name], rtol=1e-4, atol=1e-5)
    for share in shares:
        torch.testing.assert_close(share["mean"], expected["mean"], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(share["variance"], expected["variance"], rtol=1e-4, atol=1e-5)


def _share_on_a_gpu(rank: int, store: str, x: torch.Tensor, out: Path) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    share = slice(0, 2) if rank == 0 else slice(2, None)
    torch.save(_batchnorm_of_a_share(x, share, "cuda"), out / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def _batchnorm_of_a_share(x: torch.Tensor, share: slice, device: str) -> dict[str, torch.Tensor]:
    norm, x = BatchNorm(5).to(device), x[share].clone().to(device).requires_grad_()
    y = norm(x)
    (y.exp() * torch.arange(5, device=device)[:, None]).sum().backward()
    values = {"y": y.detach(), "gradient": x.grad, "mean": norm.running_mean, "variance": norm.running_var}
    return {name: value.cpu() for name, value in values.items()}


class WithActivation(nn.BatchNorm2d):
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input).relu()


def test_conversion_leaves_a_subclass_with_a_forward_of_its_own() -> None:
    model = nn.Sequential(WithActivation(3))
    before = copy.deepcopy(model)
    x = torch.randn(4, 3, 2, 2)
    assert torch.equal(convert_batchnorm(model)(x), before(x))


def test_conversion_of_a_batchnorm_itself_and_of_torchs_synchronised_one() -> None:
    assert isinstance(convert_batchnorm(nn.BatchNorm1d(3)), BatchNorm)
    converted = convert_batchnorm(nn.Sequential(nn.SyncBatchNorm(3, momentum=0.3, eps=1e-2, affine=False)))[0]
    assert isinstance(converted, BatchNorm)
    assert (converted.momentum, converted.eps, converted.weight) == (0.3, 1e-2, None)
    converted(torch.randn(4, 3))  # where torch's would refuse the CPU
