"""``cellferry reannotate``: one cluster asked again, with what a person remarks."""

from __future__ import annotations

from pathlib import Path

import click

from .annotate import engine_options_of
from .console import the_console
from .known import complete_options_of_run
from .options import FilePath
from .runs import resume


@click.command()
@click.argument("run")
@click.option("--cluster", required=True, help="The cluster that is asked again.")
@click.option("--remark", required=True, help="What its answer missed, for the model.")
@click.option(
    "--input", "input_file", type=FilePath(),
    help="The object or marker table that was annotated.  [default: the file that the run read]",
)  # fmt: skip
@click.option("--out", type=FilePath(), help="Base name of the files.  [default: that of the run]")
@click.option("--overwrite", is_flag=True, help="Replace files and columns of other origin.")
@click.option("--allow-upload", is_flag=True, help="Let an engine send expression or metadata.")
@click.option(
    "--option", "options", multiple=True, callback=engine_options_of, metavar="NAME=VALUE",
    shell_complete=complete_options_of_run,
    help="An option of the engine in place of that of the run; may be given again.",
)  # fmt: skip
@click.pass_context
def reannotate(  # noqa: PLR0917 - click passes every option by name
    context: click.Context,
    run: str,
    cluster: str,
    remark: str,
    input_file: Path | None,
    out: Path | None,
    overwrite: bool,
    allow_upload: bool,
    options: dict[str, object],
) -> None:
    """Ask the model or CyteType service of RUN (an id or a folder) about one cluster again.

    The question is the earlier one with your remark. All other clusters keep their answers and
    cost nothing; the files and labels of the run are written anew. Where the cluster gets no
    answer, the earlier one stays.

    \b
    Example:
      cellferry reannotate pbmc_run --cluster 3 --remark "Sorted for CD138: plasma cells."
    """
    from ..annotate.reannotate import ask_again
    from ..runs.progress import progress_events
    from ..runs.run import Run

    opened = Run.open(run)
    console = the_console()
    with progress_events(show=not console.quiet, line=console.note) as on_event:
        ask_again(
            opened, cluster, remark, options=options, allow_upload=allow_upload, on_event=on_event
        )
    context.invoke(
        resume,
        run=run,
        input_files=() if input_file is None else (input_file,),
        out=out,
        overwrite=overwrite,
        allow_upload=allow_upload,
        options=options,
    )
