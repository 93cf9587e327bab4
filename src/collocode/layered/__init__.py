"""Layered networks: residual networks as discretized control problems, batched over samples.

`LayeredNetwork` describes one, `Objective` is its loss on `Samples` with an exact gradient, `train`
minimises it by any of the trainers; `bisect` and `insert` make it deeper.  Reached as
``collocode.layered``; ``import collocode`` does not load it.
"""

from ..model.activations import Activation as Activation
from ..model.activations import activation as activation
from ..model.activations import activation_names as activation_names
from .blocks import ResidualBlock as ResidualBlock
from .blocks import RungeKuttaBlock as RungeKuttaBlock
from .continuous import ContinuousObjective as ContinuousObjective
from .continuous import gradient_gap as gradient_gap
from .datasets import dataset as dataset
from .datasets import donut1d as donut1d
from .datasets import donut2d as donut2d
from .datasets import spiral2d as spiral2d
from .datasets import squares2d as squares2d
from .depth import bisect as bisect
from .depth import insert as insert
from .depth import weight_basis as weight_basis
from .forward import forward as forward
from .forward import predict as predict
from .losses import LogisticLoss as LogisticLoss
from .losses import RegressionLoss as RegressionLoss
from .losses import SampleLoss as SampleLoss
from .losses import SoftmaxLoss as SoftmaxLoss
from .losses import SquaredLoss as SquaredLoss
from .losses import accuracy as accuracy
from .losses import loss_named as loss_named
from .losses import relative_error as relative_error
from .network import LayeredNetwork as LayeredNetwork
from .objective import LayeredProblem as LayeredProblem
from .objective import Objective as Objective
from .objective import Regularisation as Regularisation
from .program import layered_program as layered_program
from .refinement.prolong import Prolongation as Prolongation
from .refinement.prolong import prolong as prolong
from .samples import Samples as Samples
from .samples import Scaling as Scaling
from .samples import scale_parts as scale_parts
from .samples import split_samples as split_samples
from .stable_blocks import AntisymmetricBlock as AntisymmetricBlock
from .stable_blocks import HamiltonianBlock as HamiltonianBlock
from .stable_blocks import LeapfrogBlock as LeapfrogBlock
from .stable_blocks import block as block
from .tables import read_arrays as read_arrays
from .tables import read_samples as read_samples
from .trainers.descent import LBFGS as LBFGS
from .trainers.descent import Adam as Adam
from .trainers.descent import SteepestDescent as SteepestDescent
from .trainers.gauss_newton import GaussNewton as GaussNewton
from .trainers.run import Limits as Limits
from .trainers.train import Simultaneous as Simultaneous
from .trainers.train import train as train
from .trainers.training import Step as Step
from .trainers.training import Training as Training
from .trainers.training import load_training as load_training
