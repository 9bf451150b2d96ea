"""Vectors of users: circles of users who reshare each other lie together, strangers have none."""

from __future__ import annotations

import numpy as np
import pytest

from forecasters.dataset import cut
from forecasters.prone import adjacency, prone
from forecasters.user_embedding import UserEmbedding
from graph.identity import hash_of
from tests.forecasters.cascades import cascade_of

DAY = 86_400.0


def two_circles(rng: np.random.Generator) -> np.ndarray:
    """Edges within 0..29 and within 30..59, many, and two between."""
    inside = [rng.choice(30, 2, replace=False) + side for side in (0, 30) for _ in range(200)]
    return np.array([*inside, (0, 30), (5, 40)])


def test_circles_lie_together() -> None:
    vectors = prone(adjacency(two_circles(np.random.default_rng(0)), 60), 8, seed=0)
    assert vectors.shape == (60, 8)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0)
    likeness = vectors @ vectors.T
    within = (likeness[:30, :30].mean() + likeness[30:, 30:].mean()) / 2
    assert within > likeness[:30, 30:].mean() + 0.3


def test_the_same_seed_gives_the_same_vectors() -> None:
    A = adjacency(two_circles(np.random.default_rng(0)), 60)
    np.testing.assert_array_equal(prone(A, 8, seed=1), prone(A, 8, seed=1))


@pytest.fixture(scope="module")
def embedding() -> UserEmbedding:
    rng = np.random.default_rng(0)
    train = []
    for number in range(40):
        users = [f"u{i}" for i in rng.choice(30, 10, replace=False)] + [f"only{number}"]
        ages = [10.0 * i for i in range(10)] + [5000.0]
        train.append(cut(cascade_of(ages, name=f"c{number}", users=users), 3600.0, DAY))
    return UserEmbedding.fit(train, 8)


def test_users_of_one_cascade_and_of_the_future_have_no_vector(embedding: UserEmbedding) -> None:
    known = embedding.of(np.array([hash_of("u3"), hash_of("author")], dtype=np.uint64))
    np.testing.assert_allclose(np.linalg.norm(known, axis=1), 1.0, rtol=1e-5)
    strange = embedding.of(np.array([hash_of("nobody"), hash_of("only7"), 0], dtype=np.uint64))
    assert (strange == 0.0).all()


def test_it_reads_back(embedding: UserEmbedding) -> None:
    back = UserEmbedding.from_tensors(embedding.tensors())
    hashes = np.array([hash_of(f"u{i}") for i in range(30)], dtype=np.uint64)
    np.testing.assert_array_equal(back.of(hashes), embedding.of(hashes))


def test_too_few_users_give_zeros() -> None:
    few = UserEmbedding.fit([cut(cascade_of([1.0, 2.0]), 3600.0, DAY)], 8)
    assert few.width == 8
    assert (few.of(np.array([hash_of("u0")], dtype=np.uint64)) == 0.0).all()
    assert UserEmbedding.fit([], 4).width == 4
