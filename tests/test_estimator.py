"""The transformer keeps scikit-learn's contract, as far as a taker of images can."""

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from tiny_runs import tiny

from jepakit import JEPATransformer, estimator
from jepakit.types import UserError

DIGITS = load_digits()
IMAGES = np.rint(DIGITS.images * 15.9375).astype(np.uint8)[:200]
LABELS = DIGITS.target[:200]


@pytest.fixture(autouse=True)
def tiny_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimator, "find_recipe", lambda name: lambda: tiny(name))


def test_it_clones_with_its_parameters_and_without_its_weights() -> None:
    jepa = JEPATransformer("digits-ijepa", num_steps=2, batch_size=16, seed=3).fit(IMAGES[:32])
    copy = clone(jepa)
    assert copy.get_params() == jepa.get_params()
    assert copy.get_params()["recipe"] == "digits-ijepa"
    assert not hasattr(copy, "model_")
    assert copy.set_params(seed=4).seed == 4
    with pytest.raises(NotFittedError):
        copy.transform(IMAGES)


@pytest.mark.parametrize("recipe", ["digits-transform", "digits-ijepa"])
def test_fitting_and_transforming_are_deterministic(recipe: str) -> None:
    one, two = (JEPATransformer(recipe, num_steps=3, batch_size=16).fit(IMAGES) for _ in range(2))
    z = one.transform(IMAGES)
    assert z.shape == (200, 16)
    assert z.dtype == np.float32
    np.testing.assert_array_equal(z, two.transform(IMAGES))
    other = JEPATransformer(recipe, num_steps=3, batch_size=16, seed=1).fit(IMAGES)
    assert np.abs(z - other.transform(IMAGES)).max() > 1e-3
    np.testing.assert_allclose(z[50:60], one.transform(IMAGES[50:60]), rtol=1e-4, atol=1e-5)


def test_it_stands_in_a_pipeline_and_in_cross_validation() -> None:
    pipeline = make_pipeline(
        JEPATransformer(num_steps=2, batch_size=32, image_shape=(8, 8)),
        StandardScaler(),
        LogisticRegression(max_iter=500),
    )
    rows = IMAGES.reshape(200, 64)
    assert pipeline.fit(rows[:150], LABELS[:150]).score(rows[150:], LABELS[150:]) > 0.5
    assert cross_val_score(pipeline, rows, LABELS, cv=2).min() > 0.4


@pytest.mark.parametrize("name", ["num_steps", "batch_size"])
def test_nothing_is_not_the_recipe_s(name: str) -> None:
    with pytest.raises(UserError, match=f"{name} must be at least 1, got 0"):
        JEPATransformer(**{name: 0}).fit(IMAGES)


def test_labels_are_never_looked_at() -> None:
    with_labels = JEPATransformer(num_steps=2, batch_size=16).fit(IMAGES, LABELS)
    without = JEPATransformer(num_steps=2, batch_size=16).fit(IMAGES)
    np.testing.assert_array_equal(with_labels.transform(IMAGES), without.transform(IMAGES))


def test_flat_rows_channels_and_tensors_are_the_same_images() -> None:
    jepa = JEPATransformer(num_steps=2, batch_size=16, image_shape=(8, 8)).fit(IMAGES)
    z = jepa.transform(IMAGES[:9])
    forms = [IMAGES[:9].reshape(9, 64), IMAGES[:9, None], IMAGES[:9, ..., None], torch.as_tensor(IMAGES[:9])]
    for form in forms:
        np.testing.assert_array_equal(jepa.transform(form), z)
    assert jepa.n_features_in_ == 64
    assert list(jepa.get_feature_names_out()[:2]) == ["jepatransformer0", "jepatransformer1"]


def test_larger_images_are_made_as_small_as_the_recipe_wants_them() -> None:
    large = IMAGES.repeat(2, axis=1).repeat(2, axis=2)
    jepa = JEPATransformer(num_steps=2, batch_size=16).fit(large)
    assert jepa.transform(large[:4]).shape == (4, 16)
    assert jepa.n_features_in_ == 256


@pytest.mark.parametrize(
    ("images", "settings", "sentence"),
    [
        (IMAGES.reshape(200, 64), {}, "Flat rows of 64 numbers need image_shape"),
        (IMAGES.reshape(200, 64), {"image_shape": (8, 9)}, r"64 numbers are no images of image_shape=\(8, 9\)"),
        (DIGITS.images, {}, "must be uint8 pixels from 0 to 255, got float64"),
        (IMAGES[:8], {"batch_size": 16}, "A batch of 16 is more than the 8 samples"),
    ],
)
def test_what_cannot_be_fitted_is_one_sentence(images: Any, settings: Any, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        JEPATransformer(num_steps=1, **settings).fit(images)


def test_images_of_another_size_than_fitted_are_refused() -> None:
    jepa = JEPATransformer(num_steps=1, batch_size=16).fit(IMAGES)
    with pytest.raises(UserError, match="Images of 8 x 7 were given, but fit saw images of 64 numbers"):
        jepa.transform(IMAGES[:, :, :7])


def test_an_interrupted_fit_is_no_fitted_transformer(monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import signal

    from jepakit.training import Trainer

    update = Trainer._update

    def interrupted(self: Trainer, *arguments: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return update(self, *arguments)

    monkeypatch.setattr(Trainer, "_update", interrupted)
    jepa = JEPATransformer(num_steps=5, batch_size=16)
    with pytest.raises(KeyboardInterrupt):
        jepa.fit(IMAGES)
    assert not hasattr(jepa, "model_")


def test_a_fitted_transformer_can_be_pickled() -> None:
    jepa = JEPATransformer(num_steps=2, batch_size=16).fit(IMAGES)
    again = pickle.loads(pickle.dumps(jepa))
    np.testing.assert_array_equal(again.transform(IMAGES[:5]), jepa.transform(IMAGES[:5]))


# The other checks of scikit-learn fit on random float rows without a shape, which are no images: `fit` refuses them. One
# (check_do_not_raise_errors_in_init_or_set_params) hands -1 to every parameter, which the annotation hook refuses.
CHECKS = (
    "check_estimator_cloneable",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_estimators_unfitted",
    "check_mixin_order",
    "check_transformers_unfitted",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
    "check_fit1d",
)


@pytest.mark.parametrize("check", CHECKS)
def test_it_passes_scikit_learns_own_check(check: str) -> None:
    getattr(estimator_checks, check)("JEPATransformer", JEPATransformer(num_steps=1, batch_size=8))
