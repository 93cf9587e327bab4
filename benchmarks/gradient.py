"""Seconds for one exact gradient of a layered network: 12 layers of width 15, growing samples.

OMP_NUM_THREADS=1 python benchmarks/gradient.py
"""

import time

import numpy as np

from collocode import Mesh
from collocode.layered import LayeredNetwork, LogisticLoss, Objective, Samples

for count in (1000, 3000, 10_000, 30_000):
    rng = np.random.default_rng(0)
    network = LayeredNetwork(15, 1, 15, Mesh.uniform(0, 12, 12))
    samples = Samples(rng.standard_normal((count, 15)), np.arange(count) % 2)
    objective, theta = Objective(network, samples, LogisticLoss()), network.initial()
    seconds = []
    for _ in range(9):
        began = time.perf_counter()
        objective.gradient(theta)
        seconds.append(time.perf_counter() - began)
    print(f"{count:6d} samples  {np.median(seconds) * 1e3:7.1f} ms")
