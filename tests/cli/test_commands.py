"""The list of commands: each is loaded when it is asked for, by its name."""

from __future__ import annotations

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from collocode.cli.main import app

COMMANDS = list(get_command(app).list_commands(None))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_list_shows_its_help(name):
    found = CliRunner().invoke(app, [name, "--help"])
    assert found.exit_code == 0, found.output
    assert f" {name} " in found.output


def test_a_name_that_is_nearly_one_is_answered_with_the_right_one():
    found = CliRunner().invoke(app, ["sovle"])
    assert found.exit_code == 2
    assert "Did you mean 'solve'?" in found.output
