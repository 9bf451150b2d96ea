"""Cascades of a file are parted as Kafka parts them."""

from __future__ import annotations

from aiokafka.partitioner import murmur2 as kafka_murmur2
from hypothesis import given
from hypothesis import strategies as st

from streams.kafka.partitioner import murmur2, partition_of


@given(st.binary(max_size=40))
def test_agrees_with_the_clients_own_hash(key: bytes) -> None:
    assert murmur2(key) == kafka_murmur2(key) & 0xFFFFFFFF


@given(st.text(max_size=20), st.integers(1, 64))
def test_a_partition_there_is(cascade: str, partitions: int) -> None:
    assert 0 <= partition_of(cascade, partitions) < partitions
