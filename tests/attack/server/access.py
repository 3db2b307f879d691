"""Who sees what, where the server may be sent, what a report shows, and where keys go."""

import html.parser
import json
import tempfile
from pathlib import Path

from tests.attack.chance import Tally, chosen

from llm_server import Server as ModelServer
from server_engine import PLUG
from server_process import ServerProcess, submission, submit

TOKEN = "canary-token-4711"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
KEY = "canary-key-4711"
FORMS = (
    "http://127.0.0.1:1", "http://localhost", "http://[::1]/", "http://0.0.0.0", "http://0",
    "http://127.1", "http://2130706433", "http://0x7f000001", "http://017700000001",
    "http://169.254.169.254/latest/meta-data", "http://metadata.google.internal",
    "http://[::ffff:127.0.0.1]", "http://[0:0:0:0:0:0:0:1]", "http://10.0.0.1", "http://192.168.0.1",
    "file:///etc/passwd", "gopher://127.0.0.1:70", "ftp://127.0.0.1", "//127.0.0.1",
    "https://api.openai.com@evil.org", "https://api.openai.com:443@evil.org", "https://evil.org#@api.openai.com",
    "https://evil.org\\@api.openai.com", "https://api.openai.com.evil.org", "https://evil.org/api.openai.com",
    "https://evil.org?api.openai.com", "http://api.openai.com", "https://api.openai.com:8443",
    "https://api.openai.com\n.evil.org", "https://\u2130vil.org", "javascript:alert(1)",
)  # fmt: skip
HOSTILE = (
    "<script>hit()</script>", "<img src=x onerror=hit()>", "\"><svg onload=hit()>",
    "'><body onload=hit()>", "</script><script>hit()</script>", "<!--", "]]>",
    "<iframe srcdoc='<script>hit()</script>'>", "javascript:hit()", "{{7*7}}", "${7*7}", "<%= 7*7 %>",
    "\u2028hit()\u2029", "<a href='javascript:hit()'>x</a>", "<style>*{display:none}</style>",
    "&lt;script&gt;", "<base href=//evil.org>", "<form action=//evil.org><input>",
)  # fmt: skip


def rows(scale):
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        with ServerProcess(folder / "open") as server:
            yield addresses(server)
            yield reports(server, scale)
        with ServerProcess(
            folder / "guarded", environment={"CELLFERRY_SERVE_TOKEN": TOKEN}
        ) as server:
            yield who_sees_what(server)
            yield cookies(server)
        yield canaries(folder)


def addresses(server):
    tally = Tally("addresses of language models that the server may not call: refused")
    for form in FORMS:
        config = {"provider": "openai", "name": "m", "apiKey": KEY, "baseUrl": form}
        answer = server.client.post("/annotate", json=submission(llm_configs=[config]))
        tally.add(answer.status_code == 422 and KEY not in answer.text, f"{form}: {answer.text}")
    return tally.row


class Markup(html.parser.HTMLParser):
    """Counts what runs."""

    def __init__(self):
        super().__init__()
        self.scripts, self.found = 0, []

    def handle_starttag(self, tag, attrs):
        self.scripts += tag == "script"
        self.found += [tag] if tag in {"iframe", "base", "form", "object", "embed"} else []
        for name, value in attrs:
            leads = name in {"href", "src", "action", "formaction", "xlink:href", "srcdoc"}
            is_code = str(value or "").strip().lower().startswith(("javascript:", "data:text"))
            self.found += [name] if name.startswith("on") or (leads and is_code) else []


def reports(server, scale):
    tally = Tally("hostile genes, labels, tags and titles: no markup in the report")
    draw = chosen("reports")
    # The page of a job without anything hostile says how many scripts a page of ours has.
    plain = Markup()
    job = submit(server, {"0": ["CD79A", "MS4A1"], "1": ["CD3D", "CD3E"]})
    server.wait_for(job)
    plain.feed(server.client.get(f"/report/{job}").text)
    assert plain.scripts
    assert not plain.found, plain.found
    for text in HOSTILE[: max(2, round(len(HOSTILE) * scale))]:
        for _ in range(4):
            other = draw.choice(HOSTILE)
            job = submit(
                server,
                {"0": ["CD79A", "MS4A1", text, "CD19"], text: ["CD3D", "CD3E", other]},
                clusterLabels={"0": text, text: other + text},
                studyInfo=text,
                infoTags={text: other, "title": text, "link": text},
            )
            server.wait_for(job)
            page = Markup()
            page.feed(server.client.get(f"/report/{job}").text)
            same = page.scripts == plain.scripts
            tally.add(same and not page.found, f"{text}: {page.scripts} scripts, {page.found}")
    return tally.row


def who_sees_what(server):
    tally = Tally("who sees what without a token: public jobs only")
    for visibility in ("private", "org", "public"):
        job = submit(server, headers=BEARER, visibility=visibility)
        for method, path in (
            ("GET", f"/status/{job}"), ("GET", f"/results/{job}"), ("GET", f"/report/{job}"),
            ("GET", f"/data/{job}/expression?gene=CD3D"), ("POST", f"/data/{job}/counts"),
            ("GET", f"/report/{job}?token=wrong"), ("POST", f"/jobs/{job}/credentials"),
            ("GET", f"/upload/{job}"),
        ):  # fmt: skip
            answer = server.client.request(method, path, json={} if method == "POST" else None)
            reads = path.startswith(("/status", "/results", "/report", "/data"))
            is_public = visibility == "public" and reads and "token=wrong" not in path
            tally.add((answer.status_code != 401) == is_public, f"{visibility} {path}")
    return tally.row


def cookies(server):
    tally = Tally("the cookie of a report: HttpOnly, SameSite, and Secure behind TLS")
    job = submit(server, headers=BEARER)
    for said, wanted in (("https", True), ("http", False), ("", False), ("http, https", True)):
        headers = {"X-Forwarded-Proto": said} if said else {}
        answer = server.client.get(f"/report/{job}?token={TOKEN}", headers=headers)
        cookie = answer.headers.get("set-cookie", "").lower()
        fine = "httponly" in cookie and "samesite=strict" in cookie
        tally.add(fine and ("secure" in cookie) == wanted, f"{said}: {cookie}")
    return tally.row


def canaries(folder):
    tally = Tally("keys and tokens: in no file and no log of the server, in no command line")
    environment = {"CELLFERRY_SERVE_TOKEN": TOKEN}
    with (
        ModelServer() as model,
        ServerProcess(
            folder / "canaries", "--allow-base-url", model.url, plug=PLUG, environment=environment
        ) as server,
    ):
        configs = [{"provider": "openai", "name": "m", "apiKey": KEY, "baseUrl": f"{model.url}/v1"}]
        jobs = [submit(server, headers=BEARER, llm_configs=configs) for _ in range(5)]
        server.client.headers.update(BEARER)
        for job in jobs:
            server.wait_for(job)
            server.client.get(f"/report/{job}?token={TOKEN}")
        server.client.post("/annotate", content=json.dumps({"llm_configs": configs}))
        for pid in [p for p in Path("/proc").glob("[0-9]*") if (p / "cmdline").exists()]:
            try:
                found = (pid / "cmdline").read_bytes()
            except OSError:
                continue
            tally.add(b"canary-" not in found, f"{pid}: a command line")
        for path in [*server.data.rglob("*"), server.log]:
            if path.is_file():
                tally.add(b"canary-" not in path.read_bytes(), path)
    return tally.row
