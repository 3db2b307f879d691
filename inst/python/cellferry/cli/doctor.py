"""``cellferry doctor``: what is installed and how to fix what is wrong."""

from __future__ import annotations

import click


@click.command()
def doctor() -> None:
    """Print Python, packages and R with their versions, and the line that fixes a fault.

    \b
    Example:
      cellferry doctor
    """
    from ..doctor import examine
    from .output import aligned

    found = examine()
    rows = [[f.name, f.found, "ok" if f.ok else f.fix] for f in found]
    click.echo(aligned(("what", "found", "fix"), rows))
    if not all(f.ok for f in found):
        raise click.exceptions.Exit(1)
