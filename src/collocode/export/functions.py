r"""NLPs and trained models as CasADi Functions, in files and as C code, and as functions for JAX.

The functions of an NLP, all of (x, p): ``nlp`` -> (f, g), as ``casadi.nlpsol`` takes it;
``nlp_grad_f``, ``nlp_jac_g`` and ``nlp_hess_l`` (upper triangle; also of lam_f, lam_g), which
``nlpsol`` takes as options; and ``nlp_data`` () -> (x0, p, lbx, ubx, lbg, ubg).
A trained right-hand side is ``rhs`` (t, x, u) -> dx with weights and parameters put in; with algebraic
variables (t, x, u, z) -> (dx, g).

JAX's jit, grad and vmap apply to its functions; they compute in the precision that it is set to: for
float64 call ``jax.config.update("jax_enable_x64", True)`` first.

Reading a ``.casadi`` file is CasADi's business: it may load libraries that the file names, and
crash on a corrupt one.  Read those only that you trust; a saved fit (``.npz``) is safe.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import casadi as ca

from ..checks import check_path, listed
from ..errors import FileError, InputError
from ..files import read_bytes, replacing, write_text
from ..kinds import check_type
from ..model.activations import jax_operations
from ..results.doors import model_of, network_of, program_of
from ..results.model import TrainedModel
from ..results.network import TrainedNetwork
from ..results.program_solution import ProgramSolution
from ..results.solution import Solution
from ..transcription.program import Program
from ..transcription.tape import NAMES, Tape, jax_tape_operations
from .operations import require

LARGEST = 2**31  # bytes
_C_OPTIONS = {"with_header": False, "verbose": False, "casadi_int": "long long int"}


def nlp_functions(program: Program | Solution | ProgramSolution) -> dict[str, ca.Function]:
    """Return the functions of an NLP by name; see the module docstring."""
    program = program_of("nlp_functions", program)
    x, p = ca.MX.sym("x", program.columns), ca.MX.sym("p", len(program.p))
    f = program.functions
    both = [f.objective(x, p), f.constraints(x, p)]
    bounds = (program.lower, program.upper, program.row_lower, program.row_upper)
    data = [ca.MX(ca.DM(v.tolist())) for v in (program.start, program.p, *bounds)]
    names = ["x0", "p", "lbx", "ubx", "lbg", "ubg"]
    return {
        "nlp": ca.Function("nlp", [x, p], both, ["x", "p"], ["f", "g"]),
        "nlp_grad_f": f.gradient,
        "nlp_jac_g": f.jacobian,
        "nlp_hess_l": f.hessian,
        "nlp_data": ca.Function("nlp_data", [], data, [], names),
    }


def save_functions(functions: Mapping[str, ca.Function], path: str | Path) -> None:
    """Write functions into one file; ``casadi.FileDeserializer(path).unpack()`` reads them too.

    Raises
    ------
    FileError
        The folder cannot be written.
    """
    check_type("save_functions", functions, Mapping)
    for function in functions.values():
        check_type("save_functions", function, ca.Function)
    with replacing(Path(path)) as (aside,):
        serializer = ca.FileSerializer(str(aside))
        serializer.pack(list(functions.values()))
        del serializer  # closes the file


def load_functions(path: str | Path) -> dict[str, ca.Function]:
    """Read what `save_functions` wrote, by name; only from a source that you trust.

    Raises
    ------
    FileError
        Missing, or not such a file as far as CasADi notices.
    """
    check_path("load_functions", path)
    source = Path(path)
    if not read_bytes(source, LARGEST, "CasADi functions"):
        raise FileError(f"{source} is empty.")
    try:
        found = ca.FileDeserializer(str(source)).unpack()
    except Exception as error:  # CasADi raises what its C++ code happened to throw
        raise FileError(f"{source} holds no CasADi functions that can be read.") from error
    functions = found if isinstance(found, list) else [found]
    if not all(isinstance(f, ca.Function) for f in functions):
        raise FileError(f"{source} holds something else than CasADi functions.")
    return {f.name(): f for f in functions}


def write_c(functions: Sequence[ca.Function] | Mapping[str, ca.Function], path: str | Path) -> None:
    """Write functions as one C file without dependencies, callable through ``casadi.external``.

    Compile it by ``cc -O2 -fPIC -shared model.c -o model.so -lm``.

    Raises
    ------
    FileError
        The folder cannot be written.
    """
    check_type("write_c", functions, Mapping, list, tuple)
    listed = list(functions.values() if isinstance(functions, Mapping) else functions)
    for function in listed:
        check_type("write_c", function, ca.Function)
    target = Path(path)
    generator = ca.CodeGenerator(target.name, _C_OPTIONS)
    for function in listed:
        generator.add(function)
    # CasADi adds an offset to a null pointer where a mapped argument is empty; GCC 14 refuses that
    code = re.sub(r"\b0\+ ?i\*0\b", "0", generator.dump())
    write_text(target, code)


def jax_network(network: TrainedNetwork | TrainedModel | Solution) -> Callable[[Any], Any]:
    """Return z -> N(z) for (inputs,) or (samples, inputs) arrays.

    Raises
    ------
    MissingDependency
        JAX is not installed.
    """
    network = network_of("jax_network", network)
    operations = jax_operations()
    import jax.numpy as jnp

    theta = jnp.asarray(network.weights)

    def evaluate(z: Any) -> Any:
        return network.network(jnp.asarray(z).T, theta, operations).T

    return evaluate


def jax_rhs(model: TrainedModel | Solution) -> Callable[..., Any]:
    """Return (t, x, u=()) -> dx of a trained model, weights and parameters put in.

    Raises
    ------
    MissingDependency
        JAX is not installed.
    InputError
        An operation that JAX lacks.
    """
    model = model_of("jax_rhs", model)
    if model.algebraics:
        raise InputError(
            f"jax_rhs is for ordinary differential equations, and this model has algebraic variables "
            f"({listed(model.algebraics)}); write_c and trained_function take them."
        )
    operations = jax_tape_operations()
    import jax.numpy as jnp

    tape = Tape.of(model.trained_function())
    require({NAMES[c] for c in tape.code.tolist()}, operations, "the right-hand side")

    def rhs(t: Any, x: Any, u: Any = ()) -> Any:
        states, inputs = jnp.asarray(x), jnp.asarray(u)
        arguments = ([t], list(states), list(inputs))
        return jnp.stack([jnp.asarray(v) for v in tape.replay(arguments, operations)[0]])

    return rhs
