"""Put a JEPA into a scikit-learn pipeline: fit without labels, transform images into embeddings."""

from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from jepakit.data import Arrays
from jepakit.hub import Model
from jepakit.recipes import find_recipe
from jepakit.recipes.pipeline import train_in_memory
from jepakit.types import UserError


class JEPATransformer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Learn from images without labels, then map images to embeddings.

    Args:
        recipe: A recipe's name, or `path/to/file.py:function`.
        num_steps: Training steps; None takes the recipe's.
        batch_size: Images a step; None takes the recipe's, or the number of images where there are fewer.
        image_shape: (height, width) or (channels, height, width) of flat rows; None for images that are not flat.
        seed: Seed of weights and of every draw.

    Attributes:
        model_: The trained model.
        n_features_in_: Numbers in one image.

    Example:
        >>> from sklearn.datasets import load_digits
        >>> images = (load_digits().images * 15.9).astype("uint8")
        >>> jepa = JEPATransformer("digits-transform", num_steps=2, batch_size=64)
        >>> jepa.fit_transform(images).shape[0]
        1797
    """

    def __init__(
        self,
        recipe: str = "digits-transform",
        num_steps: int | None = None,
        batch_size: int | None = None,
        image_shape: tuple[int, ...] | None = None,
        seed: int = 0,
    ):
        self.recipe = recipe
        self.num_steps = num_steps
        self.batch_size = batch_size
        self.image_shape = image_shape
        self.seed = seed

    def fit(self, X: Any, y: Any = None) -> "JEPATransformer":
        """Train on images; `y` is ignored.

        Args:
            X: uint8 images (n, h, w), (n, c, h, w) or (n, h, w, c), or flat rows together with `image_shape`.
            y: Ignored.

        Raises:
            UserError: The images are no uint8 images.
        """
        images = self._images(X)
        self.n_features_in_ = int(np.prod(images.shape[1:]))
        method = train_in_memory(
            find_recipe(self.recipe)(),
            Arrays(images),
            seed=self.seed,
            num_steps=self.num_steps,
            batch_size=self.batch_size,
        )
        self.model_ = Model(method.eval(), {"recipe": self.recipe})
        return self

    def transform(self, X: Any) -> np.ndarray[Any, Any]:
        """Return embeddings (n, d) in float32."""
        check_is_fitted(self)
        z: np.ndarray[Any, Any] = self.model_.encode(self._images(X)).cpu().numpy()
        return z

    def _images(self, X: Any) -> np.ndarray[Any, Any]:
        array = X.numpy() if isinstance(X, torch.Tensor) else np.asarray(X)
        if array.ndim == 2:
            if self.image_shape is None:
                raise UserError(f"Flat rows of {array.shape[1]} numbers need image_shape=(height, width).")
            array = array.reshape(len(array), *self.image_shape)
        if array.dtype != np.uint8:
            raise UserError(f"Images must be uint8 pixels from 0 to 255, got {array.dtype}; scale and convert them.")
        return array
