"""Realistic cascades out of nothing: a self-exciting branching process with every reshare's parent known.

A post of influence r_0 is reshared directly Poisson(r_0) times, a reshare of influence r_i Poisson(r_i)
times; r_0 has a power-law tail, r_i is lognormal with the cascade's own branching ratio as its mean. Delays
follow a power law (Lomax: flat at first, then t^-(1 + memory)), measured not on the wall's clock but on the
audience's: time runs slowly while it sleeps. Each cascade has its own pace and its own branching ratio, which
is where most of the variety of real cascades comes from. The defaults reproduce public Weibo cascades;
``docs/simulator.md`` shows both side by side.

Cascade k depends on the seed and on k alone, whatever the number of cascades asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from graph.events import Event, Kind
from graph.simulation import AudienceClock, Simulation

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Parents = NDArray[np.int32]

FOLLOWERS_PER_INFLUENCE: Final = 600.0
"""An ordinary reshare's expected number of reshares is some 0.05, and its author has some dozens of
followers."""

ROOT_FOLLOWERS_PER_INFLUENCE: Final = 150.0
"""A root's direct reshares against its author's followers: far more of them answer a post than a reshare of
it."""

REPEATED_USER: Final = 0.03
"""Share of reshares made by somebody who is in the cascade already."""


@dataclass(frozen=True, slots=True)
class _Tree:
    """Visible nodes of one cascade in order of age: ages, parents, influence (n,), and the root's time."""

    root_time: float
    ages: Floats
    parents: Parents
    influence: Floats


def simulated_events(simulation: Simulation, cascades: int) -> Iterator[Event]:
    """Events of ``cascades`` cascades, one cascade after another, each in order of time; lay them into one
    stream with `graph.ordering.ordered`."""
    for number in range(cascades):
        yield from simulated_cascade(simulation, number)


def simulated_cascade(simulation: Simulation, number: int) -> list[Event]:
    """All events of cascade ``number``, in order of time."""
    random = _random(simulation, number)
    tree = _grow(simulation, random)
    return _events(simulation, number, tree, random)


def simulated_tree(simulation: Simulation, number: int) -> tuple[Floats, Parents]:
    """Ages (n,) and parents (n,) of the root and the reshares of cascade ``number``, in order of age."""
    tree = _grow(simulation, _random(simulation, number))
    return tree.ages, tree.parents


def _random(simulation: Simulation, number: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((simulation.seed, number))))


def _grow(simulation: Simulation, random: np.random.Generator) -> _Tree:
    """Draw the cascade generation by generation on the audience's clock, then read the wall's."""
    clock = AudienceClock(simulation.rhythm, simulation.utc_offset_hours)
    first, last = clock.inner(np.array([0.0, simulation.hours * 3600.0]) + simulation.start_time)
    root = first + random.random() * (last - first)
    mean, kappa = simulation.branching_ratio, simulation.ratio_concentration
    ratio = random.beta(kappa * mean, kappa * (1.0 - mean)) if mean > 0 else 0.0
    delay = simulation.delay_seconds * math.exp(simulation.pace_spread * random.standard_normal())
    lomax = random.random() ** (-1.0 / simulation.tail) - 1.0
    root_influence = simulation.root_influence * (simulation.tail - 1.0) * lomax
    end = root + simulation.lifetime_hours * 3600.0

    times, parents, influence = [np.array([root])], [np.array([-1])], [np.array([root_influence])]
    total = 1
    while total <= simulation.max_size:
        children = random.poisson(np.minimum(influence[-1], simulation.max_size))
        above = np.repeat(np.arange(total - len(children), total), children)
        born = np.repeat(times[-1], children) + delay * _lomax(random, len(above), simulation.memory)
        alive = born < end
        if not alive.any():
            break
        above, born = above[alive], born[alive]
        draws = random.standard_normal(len(born)) * simulation.influence_spread
        times.append(born)
        parents.append(above)
        influence.append(ratio * np.exp(draws - simulation.influence_spread**2 / 2))
        if total == 1:
            delay *= simulation.reshare_delay_factor
        total += len(born)
    return _in_order(clock, np.concatenate(times), np.concatenate(parents), np.concatenate(influence), simulation)


def _lomax(random: np.random.Generator, count: int, exponent: float) -> Floats:
    return np.asarray(random.random(count) ** (-1.0 / exponent) - 1.0)


def _in_order(clock: AudienceClock, inner: Floats, parents: Ints, influence: Floats, simulation: Simulation) -> _Tree:
    """Nodes by age, whole seconds as platforms tell them, no more than the maximum size of them."""
    times = np.floor(clock.wall(inner))
    order = np.argsort(times, kind="stable")  # generations come in order, so a parent precedes its children
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    order = order[: simulation.max_size + 1]
    above = np.where(parents[order] < 0, -1, rank[parents[order]]).astype(np.int32)
    return _Tree(float(times[0]), times[order] - times[0], above, influence[order])


def _events(simulation: Simulation, number: int, tree: _Tree, random: np.random.Generator) -> list[Event]:
    """Dress the tree with ids, users, followers and kinds; add replies and undos, which have no part in its
    growth."""
    n = len(tree.ages)
    cascade = f"sim{simulation.seed}-{number}"
    ids = [cascade, *(f"{cascade}-{index}" for index in range(1, n))]
    scale = np.where(np.arange(n) > 0, FOLLOWERS_PER_INFLUENCE, ROOT_FOLLOWERS_PER_INFLUENCE)
    followers = (tree.influence * scale * np.exp(0.8 * random.standard_normal(n))).astype(np.int64)
    users = random.integers(0, 2**48, n)
    again = random.random(n) < REPEATED_USER
    users[again] = users[(random.random(n) * np.arange(n)).astype(np.int64)][again]
    quote = random.random(n) < simulation.quotes
    verified = random.random(n) < followers / (followers + 300_000.0)
    times = tree.root_time + tree.ages
    source = "simulator"
    events = [
        Event(
            ids[0],
            cascade,
            Kind.POST,
            float(times[0]),
            f"u{users[0]:x}",
            None,
            int(followers[0]),
            bool(verified[0]),
            None,
            None,
            source,
        )
    ]
    columns = zip(
        ids[1:],
        quote[1:].tolist(),
        times[1:].tolist(),
        users[1:].tolist(),
        tree.parents[1:].tolist(),
        followers[1:].tolist(),
        verified[1:].tolist(),
        strict=True,
    )
    events += [
        Event(
            id_,
            cascade,
            Kind.QUOTE if quoted else Kind.REPOST,
            time,
            f"u{user:x}",
            ids[parent],
            count,
            sign,
            None,
            None,
            source,
        )
        for id_, quoted, time, user, parent, count, sign in columns
    ]
    extras = _replies(simulation, events, random) + _undos(simulation, events, random)
    return sorted(events + extras, key=lambda event: event.time) if extras else events


def _replies(simulation: Simulation, events: list[Event], random: np.random.Generator) -> list[Event]:
    """Replies to anything in the cascade, minutes after it."""
    count = int(random.poisson(simulation.replies * (len(events) - 1)))
    at = random.integers(0, len(events), count)
    delays = np.floor(random.exponential(900.0, count))
    users = random.integers(0, 2**48, count)
    cascade = events[0].cascade
    return [
        Event(f"{cascade}-r{index}", cascade, Kind.REPLY, events[to].time + delay, f"u{user:x}", events[to].id)
        for index, (to, delay, user) in enumerate(zip(at.tolist(), delays.tolist(), users.tolist(), strict=True))
    ]


def _undos(simulation: Simulation, events: list[Event], random: np.random.Generator) -> list[Event]:
    """Second thoughts: some reshares are taken back within hours."""
    taken = 1 + np.flatnonzero(random.random(len(events) - 1) < simulation.undos)
    delays = 1.0 + np.floor(random.exponential(3600.0, len(taken)))
    return [
        Event(
            f"{events[index].id}-x",
            events[index].cascade,
            Kind.UNDO,
            events[index].time + delay,
            events[index].user,
            events[index].id,
        )
        for index, delay in zip(taken.tolist(), delays.tolist(), strict=True)
    ]
