"""Cart and pole: with how little force does a cart swing its pole up?

    (m1 + m2 sin²θ) q'' = u + m2 sin(θ) (l θ'² + g cos(θ)),
    l (m1 + m2 sin²θ) θ'' = -u cos(θ) - m2 l θ'² sin(θ) cos(θ) - (m1 + m2) g sin(θ)

with the cart's place q (m), the pole's angle θ (rad, 0 where it hangs), and the force u (N) on the cart,
|u| ≤ 20 N and |q| ≤ 2 m.  From rest at q = 0, θ = 0 to rest at q = 1 m, θ = π in 2 s, at the least
∫ u² dt.  m1 = 1 kg, m2 = 0.3 kg, l = 0.5 m, g = 9.81 m/s².

Source: M. Kelly, *An introduction to trajectory optimization*, SIAM Review 59 (2017) 849, section 6.
The least effort is 58.8077 N² s by Pontryagin's boundary-value problem, which the tests solve; no bound is
active.
"""

import numpy as np

import collocode as cc

DEFAULTS = {"mesh": 40}
CART, POLE, LENGTH, GRAVITY = 1.0, 0.3, 0.5, 9.81
DISTANCE, DURATION, MOST_FORCE, TRACK = 1.0, 2.0, 20.0, 2.0


def accelerations(angle, speed, force):
    """Of the cart, m/s², and of the pole, rad/s²."""
    sine, cosine = np.sin(angle), np.cos(angle)
    inertia = CART + POLE * sine**2
    cart = force + POLE * sine * (LENGTH * speed**2 + GRAVITY * cosine)
    pole = (
        force * cosine + POLE * LENGTH * speed**2 * sine * cosine + (CART + POLE) * GRAVITY * sine
    )
    return cart / inertia, -pole / (LENGTH * inertia)


def problem() -> cc.Problem:
    """The force over time."""

    def motion(t, x, u, p, nn):
        cart, pole = accelerations(x.angle, x.spin, u.force)
        return {"q": x.v, "angle": x.spin, "v": cart, "spin": pole}

    return cc.Problem(
        cc.Dynamics(motion),
        cc.Window(
            end=DURATION,
            controls={"force": cc.Control(-MOST_FORCE, MOST_FORCE, unit="N")},
            initial={"q": 0.0, "angle": 0.0, "v": 0.0, "spin": 0.0},
            final={"q": DISTANCE, "angle": np.pi, "v": 0.0, "spin": 0.0},
        ),
        states=("q", "angle", "v", "spin"),
        bounds={"q": (-TRACK, TRACK)},
        scaling={"spin": 4.0},
        costs=cc.Lagrange(lambda t, x, u, p, nn: u.force**2, name="effort"),
        name="Cart and pole",
        source="Kelly (2017), section 6",
    )
