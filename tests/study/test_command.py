"""`rwe --help` tells what every command, argument and option is for."""

from __future__ import annotations

import typer.main

from pipeline.cli import app


def test_every_command_and_option_explains_itself() -> None:
    commands = typer.main.get_group(app).commands
    assert {"demo", "build", "compare", "sql", "patient"} <= set(commands)
    for name, command in commands.items():
        assert command.help and command.help.strip().endswith("."), name
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{name} {parameter.name}"
