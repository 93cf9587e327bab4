"""Draw ``docs/img/refinement_mesh.png``: the adaptive mesh of a relaxation oscillation.

python docs/figures/make_refinement_picture.py
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import collocode as cc
from collocode.plots import mesh_density, save_figure
from models import van_der_pol_stiff

if __name__ == "__main__":
    found = cc.refine(van_der_pol_stiff.problem(), 1e-4, "parameter:mu", mesh=60)
    target = Path(__file__).parents[1] / "img" / "refinement_mesh.png"
    print(f"wrote {save_figure(mesh_density(found), target)}: {found}")
