"""Delta III: how much mass does the launcher bring into its transfer orbit?

    r' = v,   v' = -μ r/|r|³ + (T u - ½ ρ C A |w| w)/m,   m' = -c,   w = v - ω × r

with place r (m) and velocity v (m/s) in axes that do not turn with the Earth, mass m (kg), the unit
vector u of the thrust's direction, and air of density 1.225 exp(-h/7200 m) kg/m³.  Six of nine boosters
burn with the first stage for 75.2 s and are dropped, then the other three, then the first stage alone
until 261 s, then the second, for a time that is free.  Thrust T (N) and flow c (kg/s) are given inputs,
constant in every phase; the mass at the start of every phase is given too.
From rest on the launch pad at 28.5° north to the orbit of semi-major axis 24361.14 km, eccentricity
0.7308, inclination 28.5°, ascending node 269.8°, argument of the perigee 130.5°; the final mass is
maximised.

Source: J. T. Betts, *Practical Methods for Optimal Control and Estimation Using Nonlinear Programming*,
2nd ed., 2010, section 6.15; D. A. Benson, thesis, MIT, 2005: largest final mass 7529.71 kg.
"""

from itertools import pairwise

import casadi as ca
import numpy as np

import collocode as cc

DEFAULTS = {"mesh": 12}
MU, RADIUS, TURN = 3.986012e14, 6378145.0, 7.29211585e-5  # m³/s², m, rad/s
DRAG, SCALE_HEIGHT, GRAVITY = 0.5 * 1.225 * 0.5 * 4.0 * np.pi, 7200.0, 9.80665
# thrust N, specific impulse s, mass kg, of which propellant kg, burning time s
BOOSTER = (628500.0, 283.33364, 19290.0, 17010.0, 75.2)
FIRST = (1083100.0, 301.68, 104380.0, 95550.0, 261.0)
SECOND = (110094.0, 467.21, 19300.0, 16820.0, 700.0)
PAYLOAD = 4164.0
ORBIT = {"a": 24361140.0, "e": 0.7308, "i": 28.5, "node": 269.8, "perigee": 130.5}
STATES = ("x", "y", "z", "vx", "vy", "vz", "m")


def flow(stage) -> float:
    """Mass that a stage burns, kg/s."""
    return stage[0] / (GRAVITY * stage[1])


# phase: thrust (N), flow (kg/s), mass at its start (kg), where spent stages have been dropped
ENDS = (0.0, 75.2, 150.4, 261.0, 961.0)
UPPER = SECOND[2] + PAYLOAD
SHARE = BOOSTER[4] / FIRST[4]  # of the first stage's propellant, in each of the first two phases
PHASES = {
    "six boosters": (
        6 * BOOSTER[0] + FIRST[0],
        6 * flow(BOOSTER) + flow(FIRST),
        9 * BOOSTER[2] + FIRST[2] + UPPER,
    ),
    "three boosters": (
        3 * BOOSTER[0] + FIRST[0],
        3 * flow(BOOSTER) + flow(FIRST),
        3 * BOOSTER[2] + FIRST[2] - SHARE * FIRST[3] + UPPER,
    ),
    "first stage": (FIRST[0], flow(FIRST), FIRST[2] - 2 * SHARE * FIRST[3] + UPPER),
    "second stage": (SECOND[0], flow(SECOND), UPPER),
}


def frame():
    """Unit vectors of the orbit: to its perigee, and a right angle ahead of it."""
    i, node, w = (np.deg2rad(ORBIT[k]) for k in ("i", "node", "perigee"))
    ci, si, cn, sn, cw, sw = np.cos(i), np.sin(i), np.cos(node), np.sin(node), np.cos(w), np.sin(w)
    perigee = np.array([cn * cw - sn * sw * ci, sn * cw + cn * sw * ci, sw * si])
    ahead = np.array([-cn * sw - sn * cw * ci, -sn * sw + cn * cw * ci, cw * si])
    return perigee, ahead


def on_orbit(anomaly: float) -> np.ndarray:
    """Place and velocity at a true anomaly."""
    perigee, ahead = frame()
    p = ORBIT["a"] * (1.0 - ORBIT["e"] ** 2)
    c, s = np.cos(anomaly), np.sin(anomaly)
    place = p / (1.0 + ORBIT["e"] * c) * (c * perigee + s * ahead)
    return np.append(place, np.sqrt(MU / p) * (-s * perigee + (ORBIT["e"] + c) * ahead))


def invariants(x):
    """Angular momentum (3) and eccentricity vector (3) of the orbit that a state lies on."""
    r, v = ca.vertcat(x.x, x.y, x.z), ca.vertcat(x.vx, x.vy, x.vz)
    momentum = ca.cross(r, v)
    return momentum, ca.cross(v, momentum) / MU - r / ca.norm_2(r)


def orbit():
    """What holds at the end, five equations: momentum and eccentricity are those of the orbit.

    The eccentricity vector is normal to the momentum, so one of the six would be too many.
    """
    perigee, ahead = frame()
    size = np.sqrt(MU * ORBIT["a"] * (1.0 - ORBIT["e"] ** 2))
    momentum = size * np.cross(perigee, ahead)
    wanted = [*(("momentum", j, momentum[j] / size) for j in range(3))]
    wanted += [("to perigee", perigee, ORBIT["e"]), ("ahead", ahead, 0.0)]

    def value(which):
        def function(t, x, u, p, nn):
            h, e = invariants(x)
            return h[which] / size if isinstance(which, int) else ca.dot(ca.DM(which), e)

        return function

    return [
        cc.PathConstraint(
            f"{name} {k}", value(which), target, target, at="end", windows="second stage"
        )
        for k, (name, which, target) in enumerate((w[0], w[1], w[2]) for w in wanted)
    ]


def problem() -> cc.Problem:
    """The direction of the thrust over time."""

    def flight(t, x, u, p, nn):
        r, v = ca.vertcat(x.x, x.y, x.z), ca.vertcat(x.vx, x.vy, x.vz)
        wind = v - TURN * ca.vertcat(-x.y, x.x, 0.0)
        distance = ca.norm_2(r)
        density = ca.exp(-(distance - RADIUS) / SCALE_HEIGHT)
        # the speed is 0 on the pad, where its root has no derivative
        drag = DRAG * density * ca.sqrt(ca.sumsqr(wind) + 1e-6) * wind
        push = u.thrust * ca.vertcat(u.ux, u.uy, u.uz)
        a = -MU * r / distance**3 + (push - drag) / x.m
        return [x.vx, x.vy, x.vz, a[0], a[1], a[2], -u.flow]

    pad = RADIUS * np.array([np.cos(np.deg2rad(28.5)), 0.0, np.sin(np.deg2rad(28.5))])
    start = np.append(pad, np.cross([0.0, 0.0, TURN], pad))
    target = on_orbit(-0.46)
    windows = []
    for number, (name, (thrust, burnt, mass)) in enumerate(PHASES.items()):
        first, last = ENDS[number], ENDS[number + 1]
        line = start + (target - start) * np.array([[first], [last]]) / ENDS[-1]
        after = mass - burnt * (last - first)
        guess = {s: cc.Signal([first, last], line[:, j]) for j, s in enumerate(STATES[:-1])}
        windows.append(
            cc.Window(
                name=name,
                start=first,
                end=last,
                end_bounds=(500.0, 961.0) if name == "second stage" else None,
                inputs={"thrust": cc.Signal([0.0], [thrust]), "flow": cc.Signal([0.0], [burnt])},
                controls={
                    axis: cc.Control(-1.0, 1.0, start=begin)
                    for axis, begin in (("ux", 0.1), ("uy", 0.99), ("uz", 0.0))
                },
                initial={"m": mass} if number else dict(zip(STATES, [*start, mass], strict=True)),
                guess={**guess, "m": cc.Signal([first, last], [mass, after])},
            )
        )

    return cc.Problem(
        cc.Dynamics(flight),
        windows,
        states=STATES,
        scaling={s: size for s, size in zip(STATES, 3 * [6e6] + 3 * [5e3] + [1e5], strict=True)},
        constraints=[
            cc.PathConstraint("unit", lambda t, x, u, p, nn: u.ux**2 + u.uy**2 + u.uz**2, 1.0, 1.0),
            *orbit(),
        ],
        links=[cc.Link(before, after, states=STATES[:-1]) for before, after in pairwise(PHASES)],
        costs=-cc.Mayer(lambda t, x, u, p, nn: x.m, windows="second stage", name="mass"),
        name="Delta III launch",
        source="Betts (2010), section 6.15",
    )
