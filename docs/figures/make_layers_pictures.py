"""Draw ``docs/img/layers_regions.png`` and ``layers_mesh.png``: a network that unwinds a spiral.

python docs/figures/make_layers_pictures.py
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import collocode as cc
from collocode.plots import decision_regions, layer_mesh, save_figure
from models import spiral2d

if __name__ == "__main__":
    found = cc.refine_layers(spiral2d.problem())
    folder = Path(__file__).parents[1] / "img"
    for name, draw in (("layers_regions", decision_regions), ("layers_mesh", layer_mesh)):
        print(f"wrote {save_figure(draw(found), folder / f'{name}.png')}: {found}")
