"""``python -m collocode``."""

from .cli.main import app

app(prog_name="collocode")
