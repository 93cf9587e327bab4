"""A quarter of a vehicle: what do its spring and its damper do, from a ride over a rough road?

    z_b' = v_b,   v_b' = -F/m_b,   z_w' = v_w,   v_w' = (F + k (r(t) - z_w))/m_w
    0 = S - spring(z_b - z_w),   0 = D - damper(v_b - v_w),   0 = F - S - D

Body (b, 300 kg) and wheel (w, 40 kg) move by z (cm) at v (cm/s) around their rest; the tyre has the
stiffness k = 160 kN/m, and r(t) (cm) is the road.  The forces S and D (kN) of spring and damper are
algebraic variables, each the output of a network of its own; the true ones are progressive,
0.16 d + 0.004 d³, and degressive, 0.015 v/√(1 + (v/30)²).  Travels and speeds of body and wheel are
measured every 10 ms for 2 s (noise 0.02 cm and 0.5 cm/s), and so is the force F on the body's mount
(noise 0.02 kN).  Only the sum of the two laws shows, so the damper's is zero at rest.

The data are made here.  Along the ride both laws are found within 3 % of their rms values.

Source: the quarter vehicle of Langenkamp, Hannebohm and Bachmann, arXiv 2505.03552, 2025, written with
forces as algebraic variables; the numbers are our own.
"""

import numpy as np
from scipy.integrate import solve_ivp

import collocode as cc

BODY, WHEEL, TYRE = 3e-3, 4e-4, 1.6  # kN s²/cm and kN/cm
NOISE = {"zb": 0.02, "vb": 0.5, "zw": 0.02, "vw": 0.5, "F": 0.02}
STATES, END = ("zb", "vb", "zw", "vw"), 2.0
DEFAULTS = {"mesh": 100}


def road(t):
    """Height of the road, cm."""
    return 2.0 * np.sin(7.0 * t) + 1.0 * np.sin(17.0 * t) + 0.5 * np.sin(37.0 * t)


def true_spring(d):
    """Force of the spring, kN."""
    return 0.16 * d + 0.004 * d**3


def true_damper(v):
    """Force of the damper, kN."""
    return 0.015 * v / np.sqrt(1.0 + (v / 30.0) ** 2)


def true_run(times):
    """(N, 5) states and force at times."""

    def force(x):
        return true_spring(x[0] - x[2]) + true_damper(x[1] - x[3])

    def rhs(t, x):
        return [x[1], -force(x) / BODY, x[3], (force(x) + TYRE * (road(t) - x[2])) / WHEEL]

    run = solve_ivp(rhs, (0.0, END), np.zeros(4), t_eval=times, rtol=1e-9, atol=1e-11)
    return np.vstack([run.y, force(run.y)]).T


def problem(noise: float = 1.0, seed: int = 0, hidden: int = 6) -> cc.Problem:
    """Learn the laws of spring and damper.

    noise: factor of the standard deviations of the measurements
    seed: of the noise
    hidden: units in each hidden layer
    """
    t = np.linspace(0.0, END, 201)
    sigma = {name: max(noise, 1e-3) * size for name, size in NOISE.items()}
    scatter = np.random.default_rng(seed).standard_normal((len(t), 5)) * list(sigma.values())
    fine = np.linspace(0.0, END, 1001)

    def motion(t, x, u, p, nn):
        return {
            "zb": x.vb,
            "vb": -x.F / BODY,
            "zw": x.vw,
            "vw": (x.F + TYRE * (u.road - x.zw)) / WHEEL,
        }

    def forces(t, x, u, p, nn):
        return {
            "spring": x.S - nn.spring(x.zb - x.zw),
            "damper": x.D - nn.damper(x.vb - x.vw),
            "mount": x.F - x.S - x.D,
        }

    return cc.Problem(
        cc.Dynamics(
            motion,
            # travel within 4 cm, speed within 80 cm/s, forces within 1 and 0.5 kN
            networks={
                "spring": cc.MLP((1, hidden, 1)).normalised([0.0], [4.0], [0.6]),
                "damper": cc.MLP((1, hidden, 1)).normalised([0.0], [60.0], [0.4]),
            },
            algebraics={"S": 0.1, "D": 0.1, "F": 0.1},
            residuals=forces,
        ),
        cc.Experiment(
            t,
            true_run(t) + scatter,
            (*STATES, "F"),
            inputs={"road": cc.Signal(fine, road(fine), "spline")},
            name="rough road",
        ),
        states=STATES,
        loss=cc.LeastSquares(sigma),
        constraints=[
            cc.PointConstraint(
                "rest", lambda z, p, nn: nn.damper(z[0]), np.array([0.0]), lower=0.0, upper=0.0
            )
        ],
        name="Quarter vehicle",
        source="after arXiv 2505.03552; simulated data",
    )
