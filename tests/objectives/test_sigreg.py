import dataclasses
import json
import math
import subprocess
import sys

import pytest
import torch

from jepakit.objectives import Scale, SIGReg, decompose, mse, sliced_epps_pulley, weight_from
from jepakit.random import Stream
from jepakit.types import UserError


def normal(b: int, g: int, d: int, name: str = "z") -> torch.Tensor:
    return Stream(0, name).normal(0, torch.arange(b), g * d).reshape(b, g, d)


def textbook(z: torch.Tensor, directions: torch.Tensor, num_knots: int = 17, t_max: float = 3.0) -> torch.Tensor:
    """Return the statistic times N of each group and slice, as LeJEPA's MINIMAL.md states it."""
    t = torch.linspace(0, t_max, num_knots, dtype=z.dtype)
    weights = torch.full((num_knots,), 2 * t_max / (num_knots - 1), dtype=z.dtype)
    weights[[0, -1]] = t_max / (num_knots - 1)
    phi = (-t.square() / 2).exp()
    angle = torch.einsum("bgd,sd->bgs", z, directions).unsqueeze(-1) * t
    error = (angle.cos().mean(0) - phi).square() + angle.sin().mean(0).square()
    return (error @ (weights * phi)) * len(z)


def population(mean: float, std: float) -> float:
    """Return the integral over the whole line for N(mean, std²), in closed form."""
    cross = 2 / math.sqrt(2 + std**2) * math.exp(-(mean**2) / (2 * (2 + std**2)))
    return math.sqrt(2 * math.pi) * (1 / math.sqrt(1 + 2 * std**2) - cross + 1 / math.sqrt(3))


def quantiles(num: int, mean: float, std: float) -> torch.Tensor:
    u = (torch.arange(num, dtype=torch.float64) + 0.5) / num
    return (mean + std * torch.special.ndtri(u))[:, None, None]


@pytest.mark.parametrize(("mean", "std"), [(0, 1), (0.7, 1), (0, 0.4), (0, 3), (-1.5, 0.5), (0, 0), (2, 0)])
def test_value_of_a_gaussian_is_the_integral_in_closed_form(mean: float, std: float) -> None:
    one = torch.ones(1, 1, dtype=torch.float64)
    value = sliced_epps_pulley(quantiles(4096, mean, std), one, num_knots=65, t_max=8.0)
    assert value.item() == pytest.approx(population(mean, std), abs=2e-4)


def test_documented_values() -> None:
    regularizer = SIGReg(num_slices=256)
    assert regularizer(torch.zeros(64, 2, 16), 0).item() == pytest.approx(0.402, abs=1e-3)
    assert regularizer(torch.ones(64, 2, 16), 0).item() == pytest.approx(1.07, abs=0.05)
    assert regularizer(10 * normal(2048, 1, 16), 0).item() == pytest.approx(1.15, abs=0.01)
    for num in (128, 1024):
        value = torch.stack([regularizer(normal(num, 8, 16, f"z{i}"), i) for i in range(4)]).mean()
        assert num * value.item() == pytest.approx(1.05, rel=0.1)


@pytest.mark.parametrize(("num_knots", "t_max"), [(17, 3.0), (10, 5.0)])
def test_value_and_gradient_are_the_textbooks(num_knots: int, t_max: float) -> None:
    z = (normal(50, 3, 8).double() * 0.7 + 0.2).requires_grad_()
    directions = SIGReg(num_slices=20).directions(1, z).double()
    ours = sliced_epps_pulley(z, directions, num_knots=num_knots, t_max=t_max)
    theirs = textbook(z, directions, num_knots, t_max).mean() / 50
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)
    gradients = [torch.autograd.grad(value, z)[0] for value in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-15)


def test_gradcheck() -> None:
    z = normal(5, 2, 3).double().requires_grad_()
    directions = SIGReg(num_slices=4).directions(0, z).double()
    assert torch.autograd.gradcheck(lambda z: sliced_epps_pulley(z, directions), (z,))


def test_value_does_not_grow_with_the_batch() -> None:
    z = normal(200, 2, 8) * 0.5
    regularizer = SIGReg(num_slices=64)
    assert regularizer(z, 0).item() == pytest.approx(regularizer(torch.cat((z, z)), 0).item(), rel=1e-5)


def test_groups_are_tested_apart() -> None:
    positional = normal(1, 196, 16).expand(32, 196, 16)  # says where, never what
    regularizer = SIGReg(num_slices=64)
    assert regularizer(positional, 0) > 0.4
    pooled = positional.reshape(-1, 1, 16)
    assert regularizer(pooled, 0) < 0.02


def test_each_group_counts_equally() -> None:
    z = normal(40, 3, 8) * torch.tensor([0.3, 1.0, 2.0])[:, None]
    regularizer = SIGReg(num_slices=64)
    alone = torch.stack([regularizer(z[:, i : i + 1], 5) for i in range(3)])
    torch.testing.assert_close(regularizer(z, 5), alone.mean())


def test_directions_are_unit_isotropic_and_a_function_of_the_step() -> None:
    z = torch.zeros(2, 1, 16)
    regularizer = SIGReg(num_slices=4000, seed=3)
    directions = regularizer.directions(7, z)
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(4000))
    second_moment = directions.T @ directions * 16 / 4000
    assert (second_moment - torch.eye(16)).abs().max() < 0.15
    assert torch.equal(directions, SIGReg(num_slices=4000, seed=3).directions(7, z))
    assert torch.equal(directions[:10], SIGReg(num_slices=10, seed=3).directions(7, z))
    for other in (regularizer.directions(8, z), SIGReg(num_slices=4000, seed=4).directions(7, z)):
        assert (directions * other).sum(1).abs().mean() < 0.3


def test_float32_inside_and_under_autocast() -> None:
    z = normal(64, 2, 8).to(torch.bfloat16).requires_grad_()
    exact = z.detach().float().requires_grad_()
    regularizer = SIGReg(num_slices=32)
    expected = regularizer(exact, 0)
    expected.backward()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = regularizer(z, 0)
        value.backward()
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(z.grad.float(), exact.grad, rtol=1e-2, atol=1e-7)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gives_the_same_directions_value_and_gradient() -> None:
    results = []
    for device in ("cpu", "cuda"):
        z = (normal(300, 3, 16) * 0.7).to(device).requires_grad_()
        value = SIGReg(num_slices=64)(z, 2)
        value.backward()
        results.append((SIGReg(num_slices=64).directions(2, z).cpu(), value.detach().cpu(), z.grad.cpu()))
    for on_cpu, on_gpu in zip(*results, strict=True):
        torch.testing.assert_close(on_cpu, on_gpu, rtol=1e-4, atol=1e-7)


def test_compiled_in_one_graph_it_is_the_same() -> None:
    script = """
import torch
from jepakit.objectives import SIGReg, sliced_epps_pulley
torch.manual_seed(0)
z = torch.randn(20, 2, 8, dtype=torch.float64, requires_grad=True)
directions = SIGReg(num_slices=12).directions(0, z).double()
compiled = torch.compile(sliced_epps_pulley, backend="aot_eager", fullgraph=True)
for f in (sliced_epps_pulley, compiled):
    value = f(z, directions)
    print(value.item(), *torch.autograd.grad(value, z)[0].flatten().tolist())
"""
    done = subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    eager, compiled = (torch.tensor([float(x) for x in line.split()]) for line in done.stdout.splitlines())
    torch.testing.assert_close(eager, compiled, rtol=1e-9, atol=1e-15)


def test_a_config_survives_json_and_refuses_nonsense() -> None:
    regularizer = SIGReg(num_slices=8, num_knots=9, t_max=5.0, seed=2)
    assert SIGReg(**json.loads(json.dumps(dataclasses.asdict(regularizer)))) == regularizer
    for wrong in ({"num_slices": 0}, {"num_knots": 1}, {"t_max": 0.0}, {"t_max": math.inf}):
        with pytest.raises(UserError, match=next(iter(wrong))):
            SIGReg(**wrong)


class TestDecompose:
    directions = SIGReg(num_slices=128).directions(0, torch.zeros(1, 1, 8))

    @pytest.mark.parametrize("shift", [0.0, 0.5])
    @pytest.mark.parametrize("scale", [0.2, 1.0, 4.0])
    def test_parts_add_up(self, shift: float, scale: float) -> None:
        z = normal(256, 2, 8) * scale + shift
        parts = decompose(z, self.directions)
        torch.testing.assert_close(parts.total, sliced_epps_pulley(z, self.directions))
        torch.testing.assert_close(parts.location + parts.scale + parts.shape, parts.total)

    def test_each_fault_shows_in_its_own_part(self) -> None:
        z = normal(2048, 1, 8)
        z = (z - z.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(z[:, 0].T))).T
        noise = 2 / 2048
        healthy = decompose(z, self.directions)
        assert all(abs(part) < noise for part in healthy)
        shifted = decompose(z + 0.5, self.directions)
        assert shifted.location > 0.05
        assert abs(shifted.scale) < noise
        assert abs(shifted.shape) < noise
        shrunk = decompose(0.3 * z, self.directions)
        assert shrunk.scale.item() == pytest.approx(population(0, 0.3), rel=0.05)
        assert abs(shrunk.location) < noise
        assert abs(shrunk.shape) < noise
        signs = decompose(z.sign()[..., :1] * torch.eye(8)[0], torch.eye(8)[:1])
        assert signs.shape > 0.05
        assert abs(signs.location) < noise
        assert abs(signs.scale) < 2 * noise

    @pytest.mark.parametrize("constant", [0.0, 1.0, 300.0])
    def test_a_constant_has_no_shape(self, constant: float) -> None:
        parts = decompose(torch.full((64, 2, 8), constant), self.directions)
        assert parts.shape == 0
        assert parts.scale.item() == pytest.approx(0.402, abs=1e-3)
        assert parts.location.item() == pytest.approx(parts.total.item() - parts.scale.item(), abs=1e-6)

    def test_gaussian_parts_are_differences_of_closed_forms(self) -> None:
        one = torch.ones(1, 1, dtype=torch.float64)
        parts = decompose(quantiles(4096, 0.8, 2.0), one, num_knots=65, t_max=8.0)
        assert parts.location.item() == pytest.approx(population(0.8, 2) - population(0, 2), abs=3e-4)
        assert parts.scale.item() == pytest.approx(population(0, 2), abs=3e-4)
        assert parts.shape.item() == pytest.approx(0, abs=3e-4)


class TestWeightFrom:
    views, num_samples, weight = 3, 32, 0.05
    z = normal(32, 3, 8) * 0.7 + 0.1
    directions = SIGReg(num_slices=16).directions(0, z)

    def ours(self, source: str, z: torch.Tensor, weight: float) -> torch.Tensor:
        weights = weight_from(source, weight, self.num_samples, self.views)
        centre = self.z.mean(1, keepdim=True).expand_as(self.z)
        prediction = mse(centre.reshape(-1, 8), self.z.reshape(-1, 8)).mean()
        return weights.prediction * prediction + weights.sigreg * sliced_epps_pulley(z, self.directions)

    @property
    def invariance(self) -> torch.Tensor:
        return (self.z.mean(1, keepdim=True) - self.z).square().mean()

    @pytest.mark.parametrize("source", ["lejepa", "minimal", "lightly"])
    def test_mixing_sources(self, source: str) -> None:
        statistic = torch.stack([textbook(self.z[:, v : v + 1], self.directions).mean() for v in range(self.views)])
        theirs = (1 - self.weight) * self.invariance + self.weight * statistic.mean()
        torch.testing.assert_close(self.ours(source, self.z, self.weight), theirs)

    def test_spt_pools_views(self) -> None:
        pooled = self.z.transpose(0, 1).reshape(-1, 1, 8)
        theirs = self.invariance + 0.02 * textbook(pooled, self.directions).mean()
        torch.testing.assert_close(self.ours("spt", pooled, 0.02), theirs)

    @pytest.mark.parametrize(("scale", "shift", "rtol"), [(1.0, 0.0, 0.01), (0.1, 0.0, 0.01), (3.0, 0.5, 0.12)])
    def test_eb_jepa_integrates_over_fewer_knots(self, scale: float, shift: float, rtol: float) -> None:
        z = normal(256, 2, 8) * scale + shift
        t = torch.linspace(-3, 3, 10)
        phi = (-0.5 * t**2).exp()
        statistic = []
        for view in z.unbind(1):
            characteristic = (1j * (view @ self.directions.T)[..., None] * t).exp().mean(0)
            statistic.append(torch.trapezoid(phi * (characteristic - phi).abs() ** 2, t, dim=1).mean())
        theirs = 10 * torch.stack(statistic).mean()
        assert weight_from("eb_jepa", 10.0, 256, 2).prediction == 1
        ours = weight_from("eb_jepa", 10.0, 256, 2).sigreg * sliced_epps_pulley(z, self.directions)
        torch.testing.assert_close(ours, theirs, rtol=rtol, atol=0)

    def test_refusals_name_what_was_got(self) -> None:
        with pytest.raises(UserError, match=r"\[0, 1\), got 10.0"):
            weight_from("lightly", 10.0, 128)


def test_near_collapse_its_gradient_shrinks_where_the_scale_terms_stays() -> None:
    base = normal(512, 1, 64)
    sizes = {"sigreg": [], "scale": []}
    for std in (0.3, 0.01, 0.001):
        for name, regularizer in (("sigreg", SIGReg(num_slices=256)), ("scale", Scale())):
            z = (base * std).requires_grad_()
            regularizer(z, 0).backward()
            sizes[name].append(z.grad.norm().item())
    assert sizes["sigreg"][1] / sizes["sigreg"][2] == pytest.approx(10, rel=0.02)
    assert sizes["sigreg"][0] > 10 * sizes["sigreg"][1]
    assert sizes["scale"][1] / sizes["scale"][2] == pytest.approx(1, rel=0.02)
