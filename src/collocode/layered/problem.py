"""A layered network with its samples: what a model file's ``problem()`` returns for one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from ..errors import InputError
from .losses import SampleLoss, SquaredLoss
from .network import LayeredNetwork
from .objective import Objective, Regularisation
from .samples import Samples


@dataclass(frozen=True, eq=False)
class LayeredProblem:
    """What is trained on what, and what it is judged by.

    Parameters
    ----------
    network : the first network; `refine_layers` and other verbs make it deeper.
    samples : to train with.
    loss, regularisation : as for `Objective`.
    validation : samples that choose the weights, the depth, and when to stop; None if there are none.
    test : samples that choose nothing.
    name, source : for titles and reports.

    Raises
    ------
    InputError
        Samples of either part that do not fit the network or the loss.

    Examples
    --------
    >>> from collocode import Mesh
    >>> from collocode.layered import LogisticLoss, donut2d
    >>> samples, validation = donut2d(n=100)
    >>> network = LayeredNetwork(inputs=2, outputs=1, width=2, mesh=Mesh.uniform(0, 4, 2))
    >>> LayeredProblem(network, samples, LogisticLoss(), validation=validation, name="Donut")
    LayeredProblem('Donut': 2 -> 2 -> 1, 2 layers, 15 weights; samples 100 + 100 validation)
    """

    network: LayeredNetwork
    samples: Samples
    loss: SampleLoss = SquaredLoss()
    regularisation: Regularisation = Regularisation()
    validation: Samples | None = None
    test: Samples | None = None
    name: str = "layered network"
    source: str = ""

    def __post_init__(self) -> None:
        for part, samples in self.parts.items():
            try:
                Objective(self.network, samples, self.loss, self.regularisation)
            except InputError as error:
                raise InputError(f"{part}: {error}") from error

    @property
    def parts(self) -> dict[str, Samples]:
        """The samples that there are, by the name of their part."""
        every = {"training": self.samples, "validation": self.validation, "test": self.test}
        return {name: samples for name, samples in every.items() if samples is not None}

    @cached_property
    def objective(self) -> Objective:
        """The function of the weights that training minimises."""
        return Objective(self.network, self.samples, self.loss, self.regularisation)

    def with_network(self, network: LayeredNetwork) -> LayeredProblem:
        """Return the same problem for another network."""
        return replace(self, network=network)

    def __repr__(self) -> str:
        net = self.network
        sizes = [f"{len(self.samples)}"]
        sizes += [f"{len(s)} {name}" for name, s in self.parts.items() if name != "training"]
        return (
            f"LayeredProblem({self.name!r}: {net.inputs} -> {net.width} -> {net.outputs}, "
            f"{net.layers} layers, {net.n_weights} weights; samples {' + '.join(sizes)})"
        )
