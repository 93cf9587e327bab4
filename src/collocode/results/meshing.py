"""How the mesh of a fit was chosen, and how good it is: what `mesh="auto"` leaves with a solution."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..checks import counted
from .status import Outcome, Termination

MESHING = {  # its form in an archive
    "termination": Termination,
    "message": str,
    "elements": [int],
    "iterations": [int],
    "gaps": [float],
    "shares": {"*": float},
    "error?": float,
    "sampled?": int,
    "seconds": float,
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Meshing(Outcome):
    """The meshes that a fit went through, and the word at their end.

    Attributes
    ----------
    termination, message : ``CONVERGED`` if the last mesh is fine enough; else which limit was reached.
    elements, iterations, gaps : of every mesh, the first one first.  The gap is the root mean square of
        (simulated - collocated outputs), in standard deviations of the noise: the largest of all outputs
        and experiments, inf where the simulation breaks down.
    shares : by reported parameter the estimated discretization error (exact - discrete) over the
        standard error; nan where the data do not determine it.
    error : estimated discretization error (exact - discrete) of the cost of a problem that decides, which
        is judged by nothing else; nan for fits of data, and where there is no estimate.
    sampled : elements that one stage a sample would make, of data; a long record begins with fewer, if those resolve
        what smoothing leaves of it.
    seconds : wall time of all meshes, the first solve included.
    """

    elements: tuple[int, ...]
    iterations: tuple[int, ...]
    gaps: tuple[float, ...]
    shares: Mapping[str, float] = field(default_factory=dict)
    error: float = float("nan")
    sampled: int = 0
    seconds: float = 0.0

    @property
    def meshes(self) -> int:
        """Number of meshes that were solved on."""
        return len(self.elements)

    @property
    def gap(self) -> float:
        """Gap on the last mesh."""
        return self.gaps[-1]

    @property
    def success(self) -> bool:
        """Whether the last mesh is fine enough for what is reported."""
        return self.termination is Termination.CONVERGED

    def then(self, later: Meshing) -> Meshing:
        """Return the record that goes on with another one, which began on this one's last mesh."""
        return replace(
            later,
            elements=self.elements + later.elements[1:],
            iterations=self.iterations + later.iterations[1:],
            gaps=self.gaps[:-1] + later.gaps,
            seconds=self.seconds + later.seconds,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and text, for files and reports."""
        return {
            "termination": self.termination.name,
            "message": self.message,
            "elements": list(self.elements),
            "iterations": list(self.iterations),
            "gaps": list(self.gaps),
            "shares": dict(self.shares),
            **({} if math.isnan(self.error) else {"error": self.error}),
            **({"sampled": self.sampled} if self.sampled else {}),
            "seconds": self.seconds,
        }

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Meshing:
        """Return what `to_dict` took apart."""
        return cls(
            termination=Termination[tree["termination"]],
            message=str(tree["message"]),
            elements=tuple(int(n) for n in tree["elements"]),
            iterations=tuple(int(n) for n in tree["iterations"]),
            gaps=tuple(float(g) for g in tree["gaps"]),
            shares={str(k): float(v) for k, v in tree["shares"].items()},
            error=float(tree.get("error", "nan")),
            sampled=int(tree.get("sampled", 0)),
            seconds=float(tree["seconds"]),
        )

    def __str__(self) -> str:
        last = counted(self.elements[-1], "element")
        sizes = " -> ".join([*map(str, self.elements[:-1]), last])
        if self.elements[0] < self.sampled // 2:
            sizes += f"; one stage a sample would make {self.sampled}"
        if math.isnan(self.gap) and math.isnan(self.error):
            return f"{self.status} ({sizes})"
        if math.isnan(self.gap):
            return f"{self.status} ({sizes}), error of the cost {self.error:.1e}"
        return f"{self.status} ({sizes}), gap {self.gap:.2g} of the noise"

    def __repr__(self) -> str:
        if math.isnan(self.gap):
            return f"Meshing({self})"
        worst = max((abs(v) for v in self.shares.values() if v == v), default=0.0)
        return (
            f"Meshing({self.status}, elements={' -> '.join(map(str, self.elements))}, "
            f"gap={self.gap:.2g}, largest share={worst:.2g})"
        )
