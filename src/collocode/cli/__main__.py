"""``python -m collocode.cli``."""

from .main import app

app(prog_name="collocode")
