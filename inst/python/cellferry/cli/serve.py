"""``cellferry serve``, the job protocol, and ``review``, a live page, on this machine."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import InvalidOptionError
from .console import the_console
from .inputs import let_r_read
from .options import FilePath

if TYPE_CHECKING:
    from ..annotate.review import Review


@click.command()
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder of all jobs and uploads; made when it does not exist.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, help="Port; 0 takes a free one.")
@click.option(
    "--token",
    envvar="CELLFERRY_SERVE_TOKEN",
    help="What clients must send as a bearer token; needed on any address but loopback. Better "
    "given as CELLFERRY_SERVE_TOKEN, because other users see command lines.",
)
@click.option(
    "--allowed-host",
    multiple=True,
    help="A name, beside the address, under which browsers may reach the server. Repeatable.",
)
@click.option(
    "--allow-base-url",
    multiple=True,
    help="An origin that the baseUrl of an LLM config may point to. Repeatable.",
)
@click.option("--max-upload", default="50G", show_default=True, help="Largest vars.h5.")
@click.option("--max-metadata", default="2G", show_default=True, help="Largest obs.duckdb.")
@click.option("--chunk-size", default="32M", show_default=True, help="Size of upload chunks.")
@click.option("--max-body", default="128M", show_default=True, help="Largest job body.")
@click.option("--keep-free", default="1G", show_default=True, help="What stays free on the disk.")
@click.option("--upload-hours", default=24.0, show_default=True, help="When uploads expire.")
@click.option(
    "--keep-days", type=float, help="When finished jobs are deleted; without it they are kept."
)
@click.option(
    "--signed-parts",
    is_flag=True,
    help="Take chunks at signed addresses, as object stores give them, instead of by token.",
)
@click.option(
    "--signed-hours", default=6.0, show_default=True, help="How long a signed address is good."
)
@click.option(
    "--public-url",
    help="What signed addresses begin with, where a proxy stands before the server; for example "
    "https://cells.example.org.",
)
@click.option(
    "--trusted-proxy",
    multiple=True,
    help="Address of a proxy that says by X-Forwarded-Proto whether its clients use TLS; one on "
    "this machine needs no option. Repeatable.",
)
@click.option("--jobs", default=2, show_default=True, help="Jobs worked on at once.")
@click.option("--max-waiting", default=1000, show_default=True, help="Jobs that may wait.")
def serve(**options: Any) -> None:
    """Serve annotation jobs by the CyteType protocol: nothing leaves this machine.

    Clients use it by its address: CyteType(adata, ..., api_url="http://127.0.0.1:8000",
    auth_token="any"). Everything is kept in the data folder; a server that was killed goes on
    with its jobs when it is started again.

    \b
    Examples:
      cellferry serve --data ./jobs
      CELLFERRY_SERVE_TOKEN=... cellferry serve --data ./jobs --host 0.0.0.0
      cellferry serve --data ./jobs --allow-base-url http://localhost:11434
    """
    from ..server import serve as run
    from ..server.settings import Settings

    data: Path = options["data"]
    settings = Settings(
        data,
        host=options["host"],
        port=options["port"],
        token=options["token"],
        allowed_hosts=options["allowed_host"],
        base_urls=options["allow_base_url"],
        chunk_bytes=size_in_bytes(options["chunk_size"], "--chunk-size"),
        vars_h5_bytes=size_in_bytes(options["max_upload"], "--max-upload"),
        obs_duckdb_bytes=size_in_bytes(options["max_metadata"], "--max-metadata"),
        body_bytes=size_in_bytes(options["max_body"], "--max-body"),
        free_bytes=size_in_bytes(options["keep_free"], "--keep-free"),
        upload_hours=options["upload_hours"],
        keep_days=options["keep_days"],
        signed_parts=options["signed_parts"],
        signed_hours=options["signed_hours"],
        public_url=options["public_url"],
        trusted_proxies=options["trusted_proxy"],
        concurrent_jobs=options["jobs"],
        waiting_jobs=options["max_waiting"],
    )
    console = the_console()

    def ready(address: str) -> None:
        console.result(f"cellferry serves {data} at {address}", address=address, data=str(data))

    run(settings, ready)


@click.command()
@click.argument("source", metavar="INPUT", type=FilePath())
@click.option("--key", help="Label column.  [default: the newest]")
@click.option("--coordinates-key", help="Embedding that is shown first, for example X_umap.")
@click.option("--no-browser", is_flag=True, help="Print the address only.")
@click.option(
    "--keep", is_flag=True,
    help="Return at once; the page stays until nobody has used it for eight hours.",
)  # fmt: skip
def review(
    source: Path, key: str | None, coordinates_key: str | None, no_browser: bool, keep: bool
) -> None:
    """Open the live page of INPUT, an .h5ad, zarr folder or .rds that was labelled.

    The page is on this machine only: any gene, any column, tests between chosen cells, and
    decisions that are kept at once, in a folder that it prints. INPUT is never changed:
    cellferry apply FOLDER INPUT --out NAME writes a labelled copy, also while the page is open.
    The page ends with this command, by Ctrl-C, or when somebody says Done.

    \b
    Examples:
      cellferry review pbmc_labelled.h5ad
      cellferry review pbmc_labelled.rds --no-browser --keep
    """
    from ..annotate.review import open_review, show

    let_r_read(source)
    console = the_console()
    page = open_review(
        source, key, coordinates_key=coordinates_key, outlives=keep, progress=not console.quiet
    )
    suffix = source.suffix if source.suffix == ".rds" else ".h5ad"
    line = f"cellferry apply {page.folder} {source} --out labelled"
    console.result(
        f"The page is at {page.address}\nWhat is decided there, as labelled{suffix}: {line}",
        asked_for=True,
        address=page.address,
        folder=str(page.folder),
        key=page.key,
        apply=line,
    )
    show(page.address, False if no_browser else None)
    if not keep:
        _until_done(page)


def _until_done(page: Review) -> None:
    """Wait for Done, for Ctrl-C, or for the end of the page; then end it if it is ours."""
    from ..annotate.review.process import served, wait_for_done, waiting
    from ..runs.reviews import ReviewFolder

    folder = ReviewFolder(page.folder)
    here = served(folder)
    if here is None:
        return
    with contextlib.suppress(KeyboardInterrupt), waiting(folder):
        wait_for_done(folder, here)
    if here.is_own:
        here.stop()


def size_in_bytes(text: str, option: str) -> int:
    """Return a number of bytes from a text with an optional K, M, G or T (powers of 1024).

    Examples
    --------
    >>> size_in_bytes("32M", "--chunk-size")
    33554432
    """
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?)(?:i?B)?\s*", text, re.IGNORECASE)
    if found is None:
        message = f"`{option}` must be a size such as 500M or 2G, not {text!r}."
        raise InvalidOptionError(message, option=option)
    return int(float(found[1]) * 1024 ** " KMGT".index(found[2].upper() or " "))
