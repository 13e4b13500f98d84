"""Put a JEPA into a scikit-learn pipeline: fit without labels, transform images into embeddings."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from jepakit.data import Arrays, ImageDecoder, read_all
from jepakit.hub import Model
from jepakit.recipes import ImageRecipe, find_recipe
from jepakit.recipes.pipeline import train_in_memory
from jepakit.types import UserError


class JEPATransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Learn from images without labels, then map images to embeddings.

    Args:
        recipe: A recipe's name, or `path/to/file.py:function`. It decides at which size and in how many channels images
            are looked at; larger ones are made smaller.
        num_steps: Training steps; None takes the recipe's.
        batch_size: Images a step; None takes the recipe's, or the number of images where there are fewer.
        image_shape: (height, width), (channels, height, width) or (height, width, channels) of flat rows; None for
            images that are not flat.
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
            UserError: The images are no uint8 images, or too few; or the recipe is not one of images.
        """
        images, recipe = self._images(X), find_recipe(self.recipe)()
        if not isinstance(recipe, ImageRecipe):
            raise UserError(f"The recipe {self.recipe!r} learns a world; JEPATransformer takes those of images.")
        method = train_in_memory(
            recipe, Arrays(images), seed=self.seed, num_steps=self.num_steps, batch_size=self.batch_size
        )
        self.n_features_in_ = int(np.prod(images.shape[1:]))
        self.model_ = Model(method.eval(), {"recipe": self.recipe, "stored_size": recipe.data.stored_size})
        self._n_features_out = int(method.encoder.embedding_dim)
        return self

    def transform(self, X: Any) -> NDArray[Any]:
        """Return embeddings (n, d) in float32.

        Raises:
            UserError: The images are not like those of `fit`.
            NotFittedError: Nothing was fitted yet.
        """
        check_is_fitted(self)
        images = self._images(X)
        if int(np.prod(images.shape[1:])) != self.n_features_in_:
            raise UserError(
                f"Images of {' x '.join(map(str, images.shape[1:]))} were given, but fit saw images of "
                f"{self.n_features_in_} numbers; give images of the same size."
            )
        size = self.model_.description["stored_size"]
        pixels, _, _ = read_all(ImageDecoder(Arrays(images), self.model_.preprocess.channels, size), num_workers=0)
        z: NDArray[Any] = self.model_.encode(pixels).cpu().numpy()
        return z

    def _images(self, X: Any) -> NDArray[Any]:
        """Return images as an array of pixels, flat rows in their shape."""
        array = X.detach().cpu().numpy() if isinstance(X, torch.Tensor) else np.asarray(X)
        if array.dtype != np.uint8:
            raise UserError(f"Images must be uint8 pixels from 0 to 255, got {array.dtype}; scale and convert them.")
        array = np.require(array, requirements="W")  # torch warns of arrays that it could not write to
        if array.ndim != 2:
            return array
        if self.image_shape is None:
            raise UserError(f"Flat rows of {array.shape[1]} numbers need image_shape=(height, width).")
        if array.shape[1] != np.prod(self.image_shape):
            raise UserError(f"Flat rows of {array.shape[1]} numbers are no images of image_shape={self.image_shape}.")
        return array.reshape(len(array), *self.image_shape)

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn's own checks that images are taken, and float32 is given."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []
        return tags
