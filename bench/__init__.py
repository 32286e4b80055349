"""Numbers with the command that makes them: `python -m bench` runs all, `python -m bench.<name>` one."""
