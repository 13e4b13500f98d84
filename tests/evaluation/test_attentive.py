import pytest
import torch

from jepakit.evaluation.attentive import AttentiveConfig, fit_attentive
from jepakit.random import Stream
from jepakit.types import UserError

FAST = AttentiveConfig(num_heads=2, num_epochs=12, batch_size=32, learning_rate=3e-3)


def hidden_marks(num: int, seed: int = 0):
    """Return tokens of which one, at a random place, tells the class while the mean token hardly does."""
    labels = torch.arange(num) % 2
    tokens = Stream(seed, "test").normal(0, torch.arange(num), 6 * 8).view(num, 6, 8)
    place = Stream(seed, "place").integers(0, torch.arange(num), 1, 6)[:, 0]
    mark = torch.where(labels[:, None] == 1, 1.0, -1.0) * torch.tensor([0.0, 2.0, 0, 0, 0, 0, 0, 0])
    mark[:, 0] = 6.0
    tokens[torch.arange(num), place] = mark
    return 100.0 * tokens + 30.0, labels


def test_it_finds_the_one_token_that_tells():
    tokens, labels = hidden_marks(384)
    test, test_labels = hidden_marks(100, seed=1)
    probe = fit_attentive(tokens, labels, 2, FAST)
    assert float((probe.predict(test) == test_labels).double().mean()) > 0.9


def test_equal_seeds_give_equal_probes_and_the_global_generator_is_left_alone():
    tokens, labels = hidden_marks(64)
    short = AttentiveConfig(num_heads=2, num_epochs=2, batch_size=32)
    before = torch.get_rng_state()
    first, again, other = (fit_attentive(tokens, labels, 2, short, seed) for seed in (0, 0, 1))
    assert bool((torch.get_rng_state() == before).all())
    for a, b in zip(first.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert not torch.equal(first.head.weight, other.head.weight)


def test_training_works_where_gradients_are_off():
    tokens, labels = hidden_marks(32)
    with torch.no_grad():
        probe = fit_attentive(tokens, labels, 2, AttentiveConfig(num_heads=2, num_epochs=1))
    assert not any(p.requires_grad for p in probe.parameters())


def test_wrong_settings_and_labels_are_refused():
    tokens, labels = hidden_marks(32)
    with pytest.raises(UserError, match="num_epochs"):
        AttentiveConfig(num_epochs=0)
    with pytest.raises(UserError, match="32 rows and 31 labels"):
        fit_attentive(tokens, labels[:-1], 2, FAST)
    with pytest.raises(UserError, match="heads"):
        fit_attentive(tokens, labels, 2, AttentiveConfig(num_heads=3))
