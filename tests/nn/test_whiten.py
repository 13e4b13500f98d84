import torch
from sklearn.decomposition import PCA

from jepakit.nn.whiten import Whitening


def skewed(b: int = 200, n: int = 3, d: int = 6) -> torch.Tensor:
    """Return tokens that are mostly their position, and of very unlike directions."""
    sizes = torch.logspace(-0.5, 0.5, d)
    turn = torch.linalg.qr(torch.randn(d, d))[0]
    return torch.randn(b, n, d) * sizes @ turn + 50 * torch.randn(n, d)


def test_whitened_tokens_have_mean_zero_at_every_position_and_unit_covariance() -> None:
    white = Whitening(3, 6)(skewed())
    torch.testing.assert_close(white.mean(dim=0), torch.zeros(3, 6), atol=1e-4, rtol=0.0)
    rows = white.flatten(0, 1)
    covariance = rows.T @ rows / len(rows)
    assert float((covariance - torch.eye(6)).abs().max()) < 0.05  # the ridge shrinks the small directions


def test_distances_are_those_of_scikit_learns_whitening() -> None:
    tokens = torch.randn(300, 2, 5) @ torch.randn(5, 5)
    centred = (tokens - tokens.mean(dim=0)).flatten(0, 1)
    expected = torch.from_numpy(PCA(whiten=True).fit_transform(centred.double().numpy())).float()
    ours = Whitening(2, 5)(tokens).flatten(0, 1)
    torch.testing.assert_close(torch.cdist(ours, ours), torch.cdist(expected, expected), rtol=0.05, atol=0.05)


def test_what_all_samples_share_is_nothing() -> None:
    tokens = torch.randn(1, 4, 8).expand(16, 4, 8)  # an encoder that only knows where
    assert float(Whitening(4, 8)(tokens).abs().max()) < 1e-3


def test_in_eval_mode_a_token_does_not_depend_on_its_batch() -> None:
    whitening, tokens = Whitening(3, 6), skewed()
    for _ in range(200):
        in_training = whitening(tokens)
    whitening.eval()
    torch.testing.assert_close(whitening(tokens[:1]), whitening(tokens)[:1], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(whitening(tokens), in_training, rtol=1e-2, atol=1e-2)


def test_no_gradient_passes() -> None:
    tokens = skewed().requires_grad_()
    assert not Whitening(3, 6)(tokens).requires_grad
