"""Make vorticity.csv and vorticity_test.csv: a flow's first vorticity in, a later one out.

Two-dimensional Navier-Stokes equations of an incompressible fluid on a periodic square [0, 2 pi]^2, in the
vorticity w with stream function psi,

    w_t + u . grad w = 0.1 lap w,    -lap psi = w,    u = (psi_y, -psi_x),

from w(0) = 1.5 sum_k (a_k cos k.x + b_k sin k.x) / |k| with five wave vectors k and standard normal a_k, b_k.
The vorticity at t = 1 is observed at nine points.  Fourier series on 24 x 24 points with the 2/3 rule, classical
Runge-Kutta in 24 steps: 0.5 % from the solution on 72 x 72 points.  Everything is our own choice.

    python models/data/make_vorticity.py
"""

from pathlib import Path

import numpy as np

POINTS, STEPS, END, VISCOSITY = 24, 24, 1.0, 0.1
WAVES = [(1, 0), (0, 1), (1, 1), (1, -1), (2, 0)]
SIZES = {"vorticity.csv": 1300, "vorticity_test.csv": 300}
KX = np.fft.fftfreq(POINTS, 1.0 / POINTS)[:, None]
KY = np.fft.rfftfreq(POINTS, 1.0 / POINTS)
SQUARED = KX**2 + KY**2
KEPT = (abs(KX) < POINTS / 3) & (abs(KY) < POINTS / 3)


def change(w):
    """Time derivative of (n, POINTS, POINTS // 2 + 1) Fourier coefficients of the vorticity."""
    stream = w / np.where(SQUARED > 0.0, SQUARED, 1.0)
    parts = (1j * KY * stream, -1j * KX * stream, 1j * KX * w, 1j * KY * w)
    u, v, along, across = (np.fft.irfft2(part) for part in parts)
    return -np.fft.rfft2(u * along + v * across) * KEPT - VISCOSITY * SQUARED * w


def vorticity(z):
    """(n, POINTS, POINTS) vorticity at the end, for (n, 10) amplitudes a_k, b_k of the first one."""
    x = 2.0 * np.pi * np.arange(POINTS) / POINTS
    X, Y = np.meshgrid(x, x, indexing="ij")
    basis = [f(i * X + j * Y) / np.hypot(i, j) for i, j in WAVES for f in (np.cos, np.sin)]
    w, dt = np.fft.rfft2(1.5 * np.tensordot(z, np.array(basis), 1)), END / STEPS
    for _ in range(STEPS):
        k1 = change(w)
        k2 = change(w + 0.5 * dt * k1)
        k3 = change(w + 0.5 * dt * k2)
        w = w + dt / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + change(w + dt * k3))
    return np.fft.irfft2(w)


def main():
    rng = np.random.default_rng(0)
    names = [f"{part}{k}" for k in range(len(WAVES)) for part in "ab"] + [f"w{k}" for k in range(9)]
    for file, count in SIZES.items():
        rows = []
        for z in np.array_split(rng.standard_normal((count, 2 * len(WAVES))), count // 50):
            rows.append(np.hstack([z, vorticity(z)[:, ::8, ::8].reshape(len(z), -1)]))
        lines = [",".join(f"{v:.5g}" for v in row) for row in np.vstack(rows)]
        (Path(__file__).parent / file).write_text("\n".join([",".join(names), *lines]) + "\n")
        print(f"{file}: {count} rows")


if __name__ == "__main__":
    main()
