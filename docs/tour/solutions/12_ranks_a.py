"""The greedy walk against all combinations: five layers with six candidates each."""

from itertools import product

import numpy as np

from lowrank_sr.lowrank.ranks import allocate

rng = np.random.default_rng(0)
layers = np.arange(5)
combinations = np.array(list(product(range(6), repeat=5)))  # (7776, 5)
gaps = []
for _ in range(100):
    cost = np.cumsum(rng.uniform(0.1, 1, (5, 6)), axis=1)  # more FLOPs ...
    loss = np.cumsum(rng.uniform(0.1, 1, (5, 6))[:, ::-1], axis=1)[:, ::-1]  # ... lose less
    budget = rng.uniform(cost[:, 0].sum(), cost[:, -1].sum())
    within = cost[layers, combinations].sum(1) <= budget
    best = loss[layers, combinations].sum(1)[within].min()
    greedy = loss[layers, allocate(cost, loss, budget)].sum()
    largest_step = (loss[:, 0] - loss[:, -1]).max()  # a step exchanges one candidate of one layer for another
    assert best - 1e-12 <= greedy <= best + largest_step  # 1e-12: the sums are rounded
    gaps.append(greedy / best - 1)

print(
    f"the greedy loss is {100 * np.median(gaps):.1f} % above the optimum in the median, {100 * max(gaps):.1f} % at most"
)
print(f"it is the optimum in {sum(gap < 1e-12 for gap in gaps)} of {len(gaps)} cases")
print("with 49 layers a single step is a small part of the whole, and so is the gap")
