"""Two gloo processes against one: started once, each case compared on its own."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from jepakit.collectives import all_reduce_sum, gather, global_count, rank, weighted_mean, world_size
from jepakit.nn.batchnorm import BatchNorm
from jepakit.objectives import Covariance, Scale, SIGReg, Variance, decompose, sliced_epps_pulley
from jepakit.random import Stream

NUM_SAMPLES = 10
SHARES = {"uneven": 7, "empty": NUM_SAMPLES}  # how many samples the first process has; the second has the rest
Result = dict[str, Tensor]


def normal(name: str, dtype: torch.dtype, *shape: int) -> Tensor:
    draws = Stream(0, name).normal(0, torch.arange(shape[0]), torch.Size(shape[1:]).numel())
    return draws.reshape(shape).to(dtype)


def regularizer(term: Callable[[Tensor, int], Tensor]) -> Callable[[slice, torch.dtype], Result]:
    def case(share: slice, dtype: torch.dtype) -> Result:
        z = (0.6 * normal("z", dtype, NUM_SAMPLES, 2, 6) + 0.3)[share].requires_grad_()
        value = term(z, 3)
        value.backward()
        return {"value": value.detach(), "grad/z": z.grad}

    return case


def mean_case(share: slice, dtype: torch.dtype) -> Result:
    x, weight = normal("x", dtype, NUM_SAMPLES)[share].requires_grad_(), normal("w", dtype, NUM_SAMPLES).abs()[share]
    value = weighted_mean(x, weight)
    value.square().backward()
    return {"value": value.detach(), "count": global_count(x), "grad/x": x.grad}


def sum_case(share: slice, dtype: torch.dtype) -> Result:
    x = normal("x", dtype, NUM_SAMPLES, 3)[share].requires_grad_()
    total = all_reduce_sum(x.square().sum(0))
    total.prod().backward()
    return {"value": total.detach(), "grad/x": x.grad}


def decompose_case(share: slice, dtype: torch.dtype) -> Result:
    z = (0.6 * normal("z", dtype, NUM_SAMPLES, 2, 6) + 0.3)[share]
    return decompose(z, SIGReg(num_slices=8).directions(0, z))._asdict()


def batchnorm(*rest: int, momentum: float | None = 0.1, affine: bool = True) -> Callable[[slice, torch.dtype], Result]:
    def case(share: slice, dtype: torch.dtype) -> Result:
        norm = BatchNorm(4, momentum=momentum, affine=affine, dtype=dtype)
        if affine:
            nn.init.uniform_(norm.weight, 1.5, 1.5)
        for step in range(2):
            x = (3 * normal(f"x{step}", dtype, NUM_SAMPLES, 4, *rest) + 20)[share].requires_grad_()
            y = norm(x)
            coefficients = normal("coefficients", dtype, NUM_SAMPLES, 4, *rest)[share]
            energy = (y * coefficients + y.square() * coefficients.square()).flatten(1).sum(1)
            norm.zero_grad()
            weighted_mean(energy, torch.ones_like(energy)).backward()
        grads = {f"summed/{name}": parameter.grad for name, parameter in norm.named_parameters()}
        buffers = {name: buffer.clone() for name, buffer in norm.named_buffers()}
        evaluated = norm.eval()(x.detach())
        return {"rows/y": y.detach(), "rows/eval": evaluated.detach(), "grad/x": x.grad} | grads | buffers

    return case


def model_case(share: slice, dtype: torch.dtype) -> Result:
    """Train a network for three steps, under DistributedDataParallel where there are processes."""
    torch.manual_seed(0)
    model: nn.Module = nn.Sequential(nn.Linear(6, 8), BatchNorm(8), nn.Tanh(), nn.Linear(8, 4)).to(dtype)
    wrapped = model if world_size() == 1 else nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(3):
        x = normal(f"x{step}", dtype, NUM_SAMPLES, 6)[share]
        z = wrapped(x)
        energy = z.square().mean(1)
        terms = SIGReg(num_slices=16)(z[:, None], step) + Variance()(z[:, None], step) + Covariance()(z[:, None], step)
        optimizer.zero_grad()
        (weighted_mean(energy, torch.ones_like(energy)) + terms).backward()
        optimizer.step()
    return {f"weights/{name}": value.clone() for name, value in model.state_dict().items()}


CASES: dict[str, Callable[[slice, torch.dtype], Result]] = {
    "all_reduce_sum": sum_case,
    "weighted_mean": mean_case,
    "sigreg": regularizer(SIGReg(num_slices=16)),
    "variance": regularizer(Variance()),
    "covariance": regularizer(Covariance()),
    "scale": regularizer(Scale()),
    "decompose": decompose_case,
    "batchnorm rows": batchnorm(),
    "batchnorm images": batchnorm(3, 2),
    "batchnorm cumulative plain": batchnorm(momentum=None, affine=False),
    "three steps": model_case,
}


def process(index: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=index, world_size=2)
    assert (rank(), world_size()) == (index, 2)
    assert gather(["skipped"] * index) == [[], ["skipped"]]
    results = {
        (name, share, dtype): case(slice(None, size) if index == 0 else slice(size, None), dtype)
        for share, size in SHARES.items()
        for dtype in (torch.float32, torch.float64)
        for name, case in CASES.items()
    }
    torch.save(results, f"{folder}/{index}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[tuple, Result]]:
    folder = tmp_path_factory.mktemp("gloo")
    torch.multiprocessing.spawn(process, args=(str(folder),), nprocs=2)
    return [torch.load(Path(folder) / f"{index}.pt", weights_only=False) for index in range(2)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("name", CASES)
def test_two_processes_equal_one(two: list[dict[tuple, Result]], name: str, share: str, dtype: torch.dtype) -> None:
    expected = CASES[name](slice(None), dtype)
    first, second = (results[name, share, dtype] for results in two)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    for key, one in expected.items():
        if key.startswith("grad/"):  # DistributedDataParallel would average: each process holds twice its part
            both = torch.cat((first[key], second[key])) / 2
        elif key.startswith("summed/"):
            both = (first[key] + second[key]) / 2
        elif key.startswith("rows/"):
            both = torch.cat((first[key], second[key]))
        else:
            assert torch.equal(first[key], second[key]), key
            both = first[key]
        error = (both - one).double().norm() / one.double().norm().clamp_min(1e-3)
        assert error <= tolerance, f"{key}: {error:.1e}"


def test_a_statistic_of_one_share_alone_would_be_noticed() -> None:
    z = normal("z", torch.float64, NUM_SAMPLES, 2, 6)
    directions = SIGReg(num_slices=16).directions(3, z).double()
    whole, part = sliced_epps_pulley(z, directions), sliced_epps_pulley(z[:7], directions)
    assert abs(part / whole - 1) > 0.1


def test_one_process_is_the_identity() -> None:
    x = torch.arange(3.0)
    assert all_reduce_sum(x) is x
    assert (rank(), world_size(), global_count(x).item()) == (0, 1, 3.0)
    assert gather(x)[0] is x
    assert weighted_mean(x, torch.tensor([1.0, 0.0, 3.0])) == 6 / 4
