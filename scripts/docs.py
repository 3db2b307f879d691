"""Make the site of both languages in ``site/``: run by ``make docs``.

One generator, Sphinx, reads Markdown from four places: the pages of ``docs/``, the vignettes as
they ran (scripts/vignettes), R's help as R's own tools render it, and what is told by the Python
package itself: its docstrings, the commands, the OpenAPI document, the codes of the errors.
Nothing of the site asks another machine for anything, and its search works from a folder.
"""

import argparse
import ast
import contextlib
import functools
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "inst" / "python" / "cellferry"
WORK = ROOT / ".setup" / "docs"
PAGES = ROOT / ".setup" / "vignettes" / "pages"
sys.path.insert(0, str(ROOT / "inst" / "python"))
FILES = "https://github.com/cellferry/cellferry/blob/main/"

COMING_FROM = ("cytetype", "cassia", "cell-atlas", "celltypist", "singler", "azimuth")
VIGNETTES = (
    "get-started", "look-and-decide", "decide", "engines", "consensus", "annotating-cells",
    "markers", "seurat-and-python", "llm-annotation", "cytetype-and-self-hosting",
    "artifacts-and-large-data", "beyond-one-machine", "how-the-local-engine-decides",
)  # fmt: skip
CSS = """\
table { display: block; overflow-x: auto; max-width: 100%; }
pre { overflow-x: auto; }
h1, h2, h3, dt { overflow-wrap: anywhere; }
img { max-width: 100%; height: auto; }
"""


def write(path: str, text: str) -> None:
    target = WORK / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


def tree(*pages: str, caption: str = "", hidden: bool = False) -> str:
    """Return a table of contents of pages."""
    options = [f":caption: {caption}"] if caption else []
    options += [":hidden:"] if hidden else [":maxdepth: 1"]
    return "\n".join(["```{toctree}", *options, "", *pages, "```", ""])


# --- pages and vignettes ----------------------------------------------------------------------


def front_page() -> None:
    """The README, whose links to vignettes lead to their pages here."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"\(vignettes/([\w-]+)\.Rmd\)", r"(vignettes/\1.md)", text)
    text = re.sub(r"\(docs/errors\.md\)", "(errors/index.md)", text)
    text = re.sub(r"\(docs/([\w/-]+\.md)\)", r"(\1)", text)
    text = re.sub(r"\((recipes?/[\w./-]+|Dockerfile)\)", rf"({FILES}\1)", text)
    text = re.sub(r"\((ARCHITECTURE|CONTRIBUTING)\.md\)", r"(\1.md)", text)
    contents = [
        tree("which-matrix", "which-engine", "editors", "platforms",
             *(f"coming-from/{name}" for name in COMING_FROM), caption="Begin", hidden=True),
        tree(*(f"vignettes/{name}" for name in VIGNETTES), caption="Vignettes", hidden=True),
        tree("reference/r", "reference/python", "reference/command-line", "reference/server",
             "errors/index", caption="Reference", hidden=True),
        tree("NEWS", "ARCHITECTURE", "CONTRIBUTING", caption="Project", hidden=True),
    ]  # fmt: skip
    write("index.md", text + "\n" + "\n".join(contents))
    for name in ("NEWS", "ARCHITECTURE", "CONTRIBUTING"):
        text = (ROOT / f"{name}.md").read_text(encoding="utf-8")
        write(f"{name}.md", text if name != "NEWS" else f"# News\n\n{shifted(text)}")
    shutil.copytree(ROOT / "man" / "figures", WORK / "man" / "figures")


def shifted(text: str) -> str:
    """Return Markdown whose headings are one level lower."""
    return re.sub(r"^#", "##", text, flags=re.MULTILINE)


def written_pages() -> None:
    for path in (ROOT / "docs").rglob("*.md"):
        name = path.relative_to(ROOT / "docs")
        if name.name != "errors.md":
            write(str(name), path.read_text(encoding="utf-8"))
    shutil.copy(ROOT / "docs" / "conf.py", WORK / "conf.py")
    write("_static/site.css", CSS)


def vignettes(*, run: bool = True) -> None:
    """The vignettes as they ran; or, for a look, their code without what it prints."""
    for name in VIGNETTES:
        path = PAGES / f"{name}.md" if run else ROOT / "vignettes" / f"{name}.Rmd"
        text = path.read_text(encoding="utf-8")
        if not run:
            text = re.sub(
                r"^```\{r.*(echo|include) = FALSE.*\n(.*\n)*?```$", "", text, flags=re.MULTILINE
            )
            text = re.sub(r"^```\{(\w+).*$", r"```\1", text, flags=re.MULTILINE)
        head, body = re.match(r"---\n(.*?)\n---\n(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
        title = re.search(r'^title: "(.*)"', head, re.MULTILINE)[1]  # type: ignore[index]
        # As pandoc has them: the size of a picture, blocks of output that name a class.
        body = re.sub(r"\{width=[^}]*\}", "", body)
        body = re.sub(r"^```+ ?\{?\.(\w+)[^`\n]*$", r"```\1", body, flags=re.MULTILINE)
        body = re.sub(r"<img src=\"([^\"]+)\"[^>]*alt=\"([^\"]*)\"[^>]*/?>", r"![\2](\1)", body)
        body = re.sub(r"\(([\w-]+)\.html(#[\w-]+)?\)", r"(\1.md\2)", body)
        body = shifted(body) if re.search(r"^# ", body, re.MULTILINE) else body
        write(f"vignettes/{name}.md", f"# {title}\n\n{body}")
        figures = PAGES / f"{name}_files"
        if run and figures.is_dir():
            shutil.copytree(figures, WORK / "vignettes" / figures.name)


# --- R's help ----------------------------------------------------------------------------------

RD = """
library(tools)
arguments <- commandArgs(TRUE)
for (file in list.files(arguments[1], "[.]Rd$", full.names = TRUE)) {
  rd <- parse_Rd(file)
  tags <- vapply(rd, function(x) attr(x, "Rd_tag"), "")
  internal <- any(vapply(rd[tags == "\\\\keyword"], function(x) grepl("internal", x[[1]]), NA))
  if (internal && !grepl("-package", file)) next
  out <- file.path(arguments[2], sub("[.]Rd$", ".html", basename(file)))
  Rd2HTML(rd, out = out, dynamic = FALSE, package = "cellferry", stylesheet = "",
    Links = character(), Links2 = character())
}
"""


def r_help() -> None:
    """R's help, rendered by R and brought to Markdown by pandoc, so that it can be searched."""
    raw = WORK / "rd"
    raw.mkdir()
    script = WORK / "rd.R"
    script.write_text(RD, encoding="utf-8")
    subprocess.run(["Rscript", "--vanilla", script, ROOT / "man", raw], check=True,
                   capture_output=True)  # fmt: skip
    names = sorted((path.stem for path in raw.glob("*.html")), key=str.lower)
    for name in names:
        page = (raw / f"{name}.html").read_text(encoding="utf-8")
        page = re.sub(r"<head>.*?</head>", "", page, flags=re.DOTALL)
        page = re.sub(r"<table style=\"width: 100%;\">.*?</table>", "", page, flags=re.DOTALL)
        page = re.sub(r"<hr />.*", "", page, flags=re.DOTALL)
        # A link to another page of help, wherever R thinks that it is.
        page = re.sub(
            r"<a href=\"[^\"]*?/?([\w.-]+)\.html(?:#[^\"]*)?\">(.*?)</a>",
            lambda m: f'<a href="{m[1]}.md">{m[2]}</a>' if m[1] in names else m[2],
            page, flags=re.DOTALL,
        )  # fmt: skip
        page = page.replace("<h2", "<h1").replace("</h2>", "</h1>")
        page = page.replace("<h3", "<h2").replace("</h3>", "</h2>")
        text = pandoc(page)
        # The title in the contents is the function, as one looks for it.
        text = re.sub(r"^# (.*)$", rf"# {name}\n\n\1.", text, count=1, flags=re.MULTILINE)
        write(f"reference/r/{name}.md", text)
    write("reference/r.md", "# R\n\n" + tree(*(f"r/{name}" for name in names)))
    shutil.rmtree(raw)
    script.unlink()


def pandoc(page: str) -> str:
    markdown = "commonmark_x-raw_html-attributes-bracketed_spans-fenced_divs"
    done = subprocess.run(
        ["pandoc", "-f", "html", "-t", markdown, "--wrap=none"],
        input=page, capture_output=True, text=True, check=True,
    )  # fmt: skip
    # Languages as MyST knows them; R marks what must not be broken by a character of no width.
    return re.sub(r"^``` ?\{?\.?(language-)?R\b.*$", "```r", done.stdout.replace("\u2060", ""),
                  flags=re.MULTILINE)  # fmt: skip


# --- the Python package --------------------------------------------------------------------------


def python_reference() -> None:
    import inspect

    import cellferry

    lines = ["# Python", ""]
    for name in cellferry.__all__:
        thing = getattr(cellferry, name)
        if name.startswith("__") or inspect.ismodule(thing):
            continue
        kind = "autoclass" if inspect.isclass(thing) else "autofunction"
        lines += [f"## {name}", "", "```{eval-rst}", f".. {kind}:: cellferry.{name}"]
        lines += ["   :members:"] if kind == "autoclass" else []
        lines += ["```", ""]
    write("reference/python.md", "\n".join(lines))


def command_line() -> None:
    import click

    from cellferry.cli import group
    from cellferry.cli.options import leaves

    lines = ["# Command line", "", "```text", text_of(group, "cellferry"), "```", ""]
    for name, command in leaves(group):
        lines += [f"## cellferry {name}", "", "```text"]
        lines += [text_of(command, f"cellferry {name}"), "```", ""]
    assert isinstance(group, click.Group)
    write("reference/command-line.md", "\n".join(lines))


def text_of(command: Any, path: str) -> str:
    import click

    with click.Context(command, info_name=path, max_content_width=88, terminal_width=88) as context:
        return str(command.get_help(context))


def server_reference() -> None:
    """The OpenAPI document as a page; the document itself lies beside it."""
    import json

    from cellferry.server.http.openapi import document

    found: Any = document()
    write("_static/openapi.json", json.dumps(found, indent=1))
    lines = ["# Server", "", found["info"]["description"], ""]
    here = '<a href="../_static/openapi.json">openapi.json</a>'
    lines += [f"The document itself: {here}, from a running server at `/openapi.json`.", ""]
    lines += ["## Addresses", ""]
    every = [set(answers(one)) for of in found["paths"].values() for one in of.values()]
    shared = {row for row in set.intersection(*every) if not row.startswith("| 2")}
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            lines += [f"### {method.upper()} {path}", "", f"{operation['summary']}.", ""]
            if "description" in operation:
                lines += [operation["description"], ""]
            given = [*parameters(operation), *bodies(operation)]
            if given:
                lines += ["| given | where | what |", "|---|---|---|", *given, ""]
            own = [row for row in answers(operation) if row not in shared]
            lines += ["| answer | what |", "|---|---|", *own, ""]
    lines += ["## What any address may answer", "", "| answer | what |", "|---|---|",
              *sorted(shared), "", "## Bodies", ""]  # fmt: skip
    for name, schema in sorted(found["components"]["schemas"].items()):
        lines += [f"### {name}", "", first_line(schema.get("description", "")), ""]
        if fields := schema.get("properties"):
            wanted = schema.get("required", ())
            lines += ["| field | type | |", "|---|---|---|"]
            lines += [f"| `{field}` | {type_of(of)} | {'required' if field in wanted else ''} |"
                      for field, of in fields.items()]  # fmt: skip
            lines.append("")
        elif "enum" in schema:
            lines += [f"One of {', '.join(f'`{v}`' for v in schema['enum'])}.", ""]
    write("reference/server.md", "\n".join(lines))


def parameters(operation: Any) -> Iterator[str]:
    for one in operation.get("parameters", ()):
        yield f"| `{one['name']}` | {one['in']} | {type_of(one['schema'])} |"


def bodies(operation: Any) -> Iterator[str]:
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"| body | {kind} | {type_of(content.get('schema', {}))} |"


def answers(operation: Any) -> Iterator[str]:
    for status, answer in operation["responses"].items():
        kinds = answer.get("content", {})
        what = [type_of(content.get("schema", {})) or kind for kind, content in kinds.items()]
        yield f"| {status} | {'; '.join([answer['description'], *filter(None, what)])} |"


def type_of(schema: Any) -> str:
    """Return a schema in a few words, with links to the bodies it names."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for together in ("anyOf", "oneOf"):
        if together in schema:
            return " or ".join(dict.fromkeys(map(type_of, schema[together])))
    if schema.get("type") == "array":
        return f"list of {type_of(schema.get('items', {})) or 'anything'}"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    found = schema.get("type", "")
    return f"{found} ({schema['format']})" if "format" in schema else str(found)


def first_line(text: str) -> str:
    return text.strip().split("\n\n")[0].replace("\n", " ")


# --- errors --------------------------------------------------------------------------------------


def said_of_codes() -> dict[str, tuple[str, str]]:
    """Return code -> cause and cure, of docs/errors.md."""
    return {code: (cause, cure) for code, cause, cure, _ in _sections()}


def _sections() -> list[tuple[str, str, str, str]]:
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    section = r"^## (\w+)\nCause: (.*)\nCure: (.*)\n(?:Message: (.*)\n)?"
    return re.findall(section, text, re.MULTILINE)


def messages_of(one: type[Any]) -> list[str]:
    """Return messages of a class: as R's tests pin them, as the code has them, as they are told."""
    kind = "warning" if issubclass(one, Warning) else "error"
    told = [message for code, _, _, message in _sections() if message and code == one.code]
    return pinned().get(f"cellferry_{one.code}_{kind}") or raised().get(one.__name__) or told


def classes() -> list[type[Any]]:
    """Return all classes of errors and warnings, each after its parent."""
    from cellferry import errors

    def below(one: type[Any]) -> Iterator[type[Any]]:
        yield one
        for child in one.__subclasses__():
            yield from below(child)

    bases = (errors.CellferryError, errors.CellferryWarning)
    return [c for base in bases for c in below(base) if c is not base]


@functools.cache
def pinned() -> dict[str, list[str]]:
    """Return the condition class of R -> messages, as the tests pin them."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests" / "testthat" / "messages").glob("*.txt")):
        parts = re.split(r"^<(cellferry_\w+)>.*\n", path.read_text("utf-8"), flags=re.MULTILINE)
        for name, text in zip(parts[1::2], parts[2::2], strict=True):
            found.setdefault(name, []).append(text.strip())
    return found


@functools.cache
def raised() -> dict[str, list[str]]:
    """Return the class of an error -> the messages it is raised with, as they are in the code."""
    found: dict[str, list[str]] = {}
    for path in sorted(CORE.rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            texts: dict[str, str] = {}
            for node in ast.walk(function):
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                    with contextlib.suppress(ValueError):
                        texts[node.targets[0].id] = template(node.value)
            for node in ast.walk(function):
                if not isinstance(node, ast.Call) or not node.args:
                    continue
                name, given = called(node)
                if name.endswith(("Error", "Warning")):
                    parts = []
                    for argument in given[:2]:
                        with contextlib.suppress(ValueError):
                            named = texts.get(getattr(argument, "id", ""))
                            parts.append(named if named is not None else template(argument))
                    if parts:
                        found.setdefault(name, []).append("\n".join(parts))
    return found


def called(node: ast.Call) -> tuple[str, list[ast.expr]]:
    """Return the class that a call makes, itself or through a function, and what it is given."""
    first = getattr(node.args[0], "id", "")
    if first.endswith("Error"):
        return first, node.args[1:]
    return getattr(node.func, "id", getattr(node.func, "attr", "")), node.args


def template(node: ast.expr) -> str:
    """Return a text of the code with what is filled in as ‹name›; ValueError for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            f"‹{ast.unparse(part.value)}›" if isinstance(part, ast.FormattedValue)
            else template(part) for part in node.values
        )  # fmt: skip
    raise ValueError


def error_pages() -> None:
    said = said_of_codes()
    r_only = {"backend_missing": "Python, or a package that the core needs, was not found."}
    rows: dict[str, list[str]] = {}
    for one in classes():
        kind = "warning" if issubclass(one, Warning) else "error"
        rows.setdefault(one.code, []).append(kind)
        children = [f"[{c.code}]({c.code}.md)" for c in one.__subclasses__() if c.code != one.code]
        seen = messages_of(one)
        meaning = first_line(one.__doc__ or "")
        write_error(one.code, kind, meaning, said[one.code], seen=seen, children=children,
                    python=one.__name__)  # fmt: skip
    for code, meaning in r_only.items():
        rows[code] = ["error"]
        seen = pinned()[f"cellferry_{code}_error"]
        write_error(code, "error", meaning, said[code], seen=seen, children=[], python="")
    head = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8").split("\n## ")[0]
    write("errors/index.md", f"{head}\n{tree(*rows)}")


def write_error(
    code: str, kind: str, meaning: str, said: tuple[str, str], *, seen: list[str],
    children: list[str], python: str,
) -> None:  # fmt: skip
    """Write the page of a code; one that is an error and a warning has both on it."""
    target = WORK / "errors" / f"{code}.md"
    lines = (
        [] if target.exists() else [f"# {code}", "", said[0], "", f"**What to do.** {said[1]}", ""]
    )
    names = f"`cellferry_{code}_{kind}` in R" + (f", `{python}` in Python" if python else "")
    lines += [f"## The {kind}", "", f"{meaning} {names}.", ""]
    for text in list(dict.fromkeys(seen))[:3]:
        lines += ["```text", text, "```", ""]
    if children:
        lines += [f"It has kinds, which are caught with it: {', '.join(children)}.", ""]
    before = target.read_text(encoding="utf-8") + "\n" if target.exists() else ""
    write(f"errors/{code}.md", before + "\n".join(lines))


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the site.")
    parser.add_argument("--to", type=Path, default=ROOT / "site", help="folder of the site")
    parser.add_argument("--look", action="store_true", help="vignettes as they are, not run")
    given = parser.parse_args()
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    front_page()
    written_pages()
    vignettes(run=not given.look)
    for make in (r_help, python_reference, command_line, server_reference, error_pages):
        make()
    shutil.rmtree(given.to, ignore_errors=True)
    # A link that leads nowhere is a warning, and any warning is a failure.
    sphinx = [sys.executable, "-m", "sphinx", "-q", "-E", "-W", "--keep-going", "-b", "html"]
    done = subprocess.run([*sphinx, WORK, given.to], check=False)
    if done.returncode == 0:
        print(f"wrote {given.to / 'index.html'}: {len(list(given.to.rglob('*.html')))} pages")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
