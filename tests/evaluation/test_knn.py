import numpy as np
import pytest
import torch

from jepakit.evaluation.knn import predict_knn
from jepakit.random import Stream
from jepakit.types import UserError

TRAIN = Stream(0, "test").normal(0, torch.arange(90), 5)
LABELS = torch.arange(90) % 4
QUERIES = Stream(1, "test").normal(0, torch.arange(37), 5)


@pytest.mark.parametrize("k", [1, 7, 20])
def test_votes_match_scikit_learn(k):
    from sklearn.neighbors import KNeighborsClassifier

    theirs = KNeighborsClassifier(k, metric="cosine", weights=lambda distance: np.exp(-distance / 0.07))
    expected = theirs.fit(TRAIN.numpy(), LABELS.numpy()).predict(QUERIES.numpy())
    np.testing.assert_array_equal(predict_knn(TRAIN, LABELS, QUERIES, 4, k=k).numpy(), expected)


def test_blocks_change_nothing():
    whole = predict_knn(TRAIN, LABELS, QUERIES, 4)
    assert bool((predict_knn(TRAIN, LABELS, QUERIES, 4, block_size=5) == whole).all())


def test_a_near_neighbour_outvotes_many_far_ones():
    train = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.1, 1.0], [-0.1, 1.0]])
    labels = torch.tensor([1, 0, 0, 0])
    query = torch.tensor([[1.0, 0.2]])
    assert predict_knn(train, labels, query, 2, k=4, temperature=0.07).tolist() == [1]
    assert predict_knn(train, labels, query, 2, k=4, temperature=100.0).tolist() == [0]


def test_more_neighbours_than_items_is_all_items():
    assert len(predict_knn(TRAIN[:3], LABELS[:3], QUERIES, 4, k=20)) == len(QUERIES)


def test_no_neighbour_is_refused():
    with pytest.raises(UserError, match="k = 0"):
        predict_knn(TRAIN, LABELS, QUERIES, 4, k=0)
