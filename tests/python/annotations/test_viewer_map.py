"""The map, its legend, the filters and the composition, in a real browser."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import cellferry
from browser_page import CHROMIUM, chromium, functions, opened, saved
from cellferry.annotations.clusters import Annotation, Annotations
from cellferry.annotations.palette import PALETTE, colours
from cellferry.annotations.report import Cells, Content, write_report
from cellferry.annotations.report.blocks import NOWHERE, coordinates_block
from cellferry.study.clusters import Clusters
from cellferry.study.expression.gene_summary import DrawnGene, GeneSummary
from page_objects import labelled_cells

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]

HOSTILE = "<img src=x onerror='window.hit = 1'>\"'\u202e=1+1"
LABELS = ["B cell", "T cell", "natural killer cell", "B cell", "Unknown", None]
GENES = ("MS4A1", "CD3E", "NKG7", "GAPDH", HOSTILE)
N = 240


def rows_of(labels, names=None):
    names = names or [str(i) for i in range(len(labels))]
    pairs = zip(names, labels, strict=True)
    return tuple(
        Annotation(
            name, "failed" if label is None else "unknown" if label == "Unknown" else "ok",
            label=label, n_cells=10, confidence=None if label is None else 0.5,
            confidence_kind=None if label is None else "graded",
            ontology_id={"B cell": "CL:0000236", "T cell": "CL:0000084"}.get(label),
            error="No." if label is None else None,
        )
        for name, label in pairs
    )  # fmt: skip


def cells_on_a_grid(n=N, k=6, seed=3):
    """Return clusters apart from each other, and cells that do not cover each other."""
    random = np.random.default_rng(seed)
    codes = np.arange(n) % k
    places = np.argsort(codes, kind="stable")
    side = int(np.ceil(np.sqrt(n)))
    xy = np.empty((n, 2))
    xy[places] = np.column_stack([np.arange(n) % side, np.arange(n) // side]) * 10.0
    return codes, xy + random.uniform(-1, 1, (n, 2))


def metadata(n=N, seed=5):
    random = np.random.default_rng(seed)
    score = random.gamma(2, 2, n).astype("float32")
    score[::17] = np.nan
    return pd.DataFrame(
        {
            "sample": pd.Categorical(random.choice(["a", "b", HOSTILE], n)),
            "score": score,
            "phase": pd.Categorical(np.where(np.arange(n) % 9 == 0, None, "G1")),
        }
    )


def content(codes, xy, obs=None, *, names=None, genes=True, **more):
    n = len(codes)
    names = names or [str(i) for i in range(int(codes.max()) + 1)]
    clusters = Clusters.from_labels([names[c] for c in codes], names)
    k = len(names)
    values = np.where(codes % 6 == 0, 200, 0).astype(np.uint8)
    counts = np.zeros((k, 32), np.uint32)
    drawn = {0: DrawnGene(4.0, counts, values), 1: DrawnGene(3.0, counts, values[::-1].copy())}
    summary = GeneSummary(
        GENES, tuple(names), np.bincount(codes, minlength=k),
        np.ones((len(GENES), k), np.int64), np.ones((len(GENES), k)), drawn,
    )  # fmt: skip
    embeddings = () if xy is None else (("X_umap", xy),)
    cells = Cells(clusters, embeddings, frozenset(), obs, names=[f"c{i}" for i in range(n)], **more)
    return Content(cells, summary if genes else None, (0, 1) if genes else ())


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def known():
    codes, xy = cells_on_a_grid()
    return codes, xy, metadata()


@pytest.fixture(scope="module")
def file(known, tmp_path_factory):
    codes, xy, obs = known
    found = Annotations(rows_of(LABELS), {}, {"engine": "local", "species": "human"})
    path = tmp_path_factory.mktemp("map") / "report.html"
    return write_report(found, path, content=content(codes, xy, obs))


@pytest.fixture
def page(browser, file):
    with opened(browser, file, viewport={"width": 1280, "height": 900}) as found:
        found.locator(".legend-entry").first.wait_for()
        yield found


def shown_page(browser, tmp_path, found, of, **options):
    return opened(browser, write_report(found, tmp_path / "r.html", content=of), **options)


def legend(page):
    """Return entry -> whether it is shown, and its count."""
    entries = page.locator(".legend-entry").all()
    return {
        e.locator(".legend-name").evaluate("e => e.firstChild.textContent"): (
            e.get_attribute("aria-pressed") == "true",
            int(e.locator(".legend-n").inner_text().replace("\u202f", "")),
        )
        for e in entries
    }


def pixels_of(page, xy):
    """Return where each cell is in the frame, in pixels of the page."""
    coded = np.frombuffer(coordinates_block(xy), "<u2").reshape(2, -1).astype(float)
    x, y = coded[0], NOWHERE - 1 - coded[1]
    width, height = page.evaluate(
        """() => {
          const frame = document.querySelector(".map-frame");
          return [frame.clientWidth, frame.clientHeight];
        }"""
    )
    spread = max(x.max() - x.min(), 1), max(y.max() - y.min(), 1)
    room = [side - 2 * min(28, side / 8) for side in (width, height)]
    scale = min(room[0] / spread[0], room[1] / spread[1])
    middle = (x.max() + x.min()) / 2, (y.max() + y.min()) / 2
    return np.column_stack(
        [(x - middle[0]) * scale + width / 2, (y - middle[1]) * scale + height / 2]
    )


def colour_at(page, place):
    rgb = page.evaluate(
        """([x, y]) => { const c = document.querySelector('.map-frame canvas');
        return [...c.getContext('2d').getImageData(Math.round(x), Math.round(y), 1, 1).data]; }""",
        [float(place[0]), float(place[1])],
    )
    return "#" + "".join(f"{v:02x}" for v in rgb[:3])


def point_at(page, place):
    """Move the pointer to a place of the frame and return the lines of the tooltip."""
    page.locator(".map-frame").evaluate(
        "e => e.scrollIntoView({block: 'center', behavior: 'instant'})"
    )
    frame = page.locator(".map-frame").bounding_box()
    page.mouse.move(frame["x"] + 1 + place[0], frame["y"] + 1 + place[1])
    tip = page.locator(".map-tip")
    return [line.inner_text() for line in tip.locator("> *").all()] if tip.is_visible() else []


def no_texts(page):
    page.select_option("#map-texts", "none")


def test_the_map_has_each_cell_at_its_place_in_the_colour_of_its_label(page, known):
    codes, xy, _ = known
    places = pixels_of(page, xy)
    tones = colours(LABELS, [row.ontology_id for row in rows_of(LABELS)])
    for cell in range(0, N, 7):
        label = LABELS[codes[cell]]
        expected = "#c6cccf" if label is None else tones[label].light
        assert colour_at(page, places[cell]) == expected
        assert point_at(page, places[cell])[:2] == [label or "no label", f"cluster {codes[cell]}"]
    assert (
        page.locator(".map-frame canvas")
        .first.get_attribute("aria-label")
        .startswith("Map of 240 cells, X_umap, coloured by label.")
    )


@pytest.mark.parametrize("written", ["MS4A1", "ms4a1", "CD20", "cd20"])
def test_a_gene_is_found_in_any_case_and_by_an_alias(page, known, written):
    codes, xy, _ = known
    page.get_by_label("Gene", exact=True).fill(written)
    page.keyboard.press("Enter")
    page.locator(".colour-bar").wait_for()
    assert page.locator("#colour-by option:checked").inner_text() == "MS4A1"
    places = pixels_of(page, xy)
    with_value, without = int(np.flatnonzero(codes == 0)[3]), int(np.flatnonzero(codes == 1)[3])
    assert point_at(page, places[with_value])[-1] == "MS4A1: 3.14"
    assert point_at(page, places[without])[-1] == "MS4A1: 0"
    assert colour_at(page, places[without]) == "#cdd3d6"
    assert colour_at(page, places[with_value]) != "#cdd3d6"


def test_a_gene_that_is_not_there_gets_near_names_and_completion_offers_genes(page):
    box = page.get_by_label("Gene", exact=True)
    box.fill("CD3F")
    page.keyboard.press("Enter")
    said = page.locator(".gene-said").first
    said.get_by_text("There is no gene").wait_for()
    assert "CD3E" in said.inner_text()
    box.fill("nk")
    page.get_by_role("option", name="NKG7").wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    said.get_by_text("not its value in each cell").wait_for()
    assert page.locator("#colour-by").input_value() == "label"


def test_colours_by_a_column_are_those_of_its_categories_and_numbers_have_a_scale(page, known):
    _, xy, obs = known
    page.select_option("#colour-by", label="sample")
    page.locator(".legend-head", has_text="sample").wait_for()
    counts = obs["sample"].value_counts()
    assert {k: n for k, (_, n) in legend(page).items()} == counts.to_dict()
    places = pixels_of(page, xy)
    no_texts(page)
    for cell in range(0, N, 11):
        assert colour_at(page, places[cell]) == PALETTE[obs["sample"].cat.codes[cell]][0]
    page.select_option("#colour-by", label="score")
    page.locator(".colour-bar").wait_for()
    assert point_at(page, places[17])[-1] == "score: missing"
    assert float(point_at(page, places[1])[-1].split(": ")[1]) == pytest.approx(
        obs["score"][1], rel=0.01
    )


def test_levels_decisions_and_confidence_colour_the_map(page):
    for value, title in [
        ("level:0", "broad type"),
        ("cluster", "cluster"),
        ("decision", "decision"),
    ]:
        page.select_option("#colour-by", value)
        page.locator(".legend-head b", has_text=re.compile(f"^{title}$")).wait_for()
        assert sum(n for _, n in legend(page).values()) == N
    assert set(legend(page)) == {"not decided"}
    page.select_option("#colour-by", "confidence")
    page.locator(".colour-bar").wait_for()
    assert page.locator(".bar-none").inner_text() == "no confidence"


def test_filters_count_like_pandas_and_follow_each_other(page, known, tmp_path):
    codes, _, obs = known
    count = page.locator("#filter-count")
    assert count.inner_text() == "all 240 cells"
    page.select_option("#filter-add", label="sample")
    card = page.locator(".filter-card", has_text="sample")
    card.get_by_label("b", exact=False).first.wait_for()
    card.locator("label", has_text=re.compile("^a")).locator("input").uncheck()
    page.select_option("#filter-add", label="score")
    page.get_by_label("score, at least").fill("2")
    page.get_by_label("score, at most").fill("6.5")
    within = obs["score"].between(2, 6.5)
    passes = within & (obs["sample"] != "a")
    page.wait_for_function(
        "n => document.getElementById('filter-count').textContent === `${n} of 240 cells`",
        arg=int(passes.sum()),
    )
    levels = [i.locator(".legend-n").inner_text() for i in card.locator("li:visible").all()]
    assert [int(n) for n in levels] == [
        int((within & (obs["sample"] == s)).sum()) for s in obs["sample"].cat.categories
    ]
    assert {k: n for k, (_, n) in legend(page).items()} == pd.Series(
        [LABELS[c] or "no label" for c in codes]
    )[passes.to_numpy()].value_counts().reindex(
        [label or "no label" for label in dict.fromkeys(LABELS)], fill_value=0
    ).to_dict()
    button = page.get_by_role("button", name="Download the composition as CSV")
    text, name = saved(page, button.click, tmp_path / "c.csv")
    assert name == "composition_sample.csv"
    found = list(csv.DictReader(io.StringIO(text.decode(), newline="")))
    assert sum(int(row["n_cells"]) for row in found) == passes.sum()
    for row in found:
        wanted = passes & (obs["sample"] == row["sample"])
        of = [c for c in range(len(LABELS)) if (LABELS[c] or "no label") == row["label"]]
        assert int(row["n_cells"]) == int((wanted & np.isin(codes, of)).sum())
        assert float(row["share"]) == pytest.approx(int(row["n_cells"]) / wanted.sum(), rel=1e-4)
    page.get_by_role("button", name="Clear filters").click()
    page.wait_for_function(
        "document.getElementById('filter-count').textContent === 'all 240 cells'"
    )
    assert page.locator(".filter-card").count() == 0


def test_missing_categories_can_be_filtered(page, known):
    _, _, obs = known
    page.select_option("#filter-add", label="phase")
    page.locator(".filter-levels label", has_text="missing").locator("input").uncheck()
    n = int(obs["phase"].notna().sum())
    page.wait_for_function(
        "n => document.getElementById('filter-count').textContent === `${n} of 240 cells`", arg=n
    )


def winds(path, points):
    """Return which points a closed line goes round."""
    turns = np.zeros(len(points), int)
    x, y = points[:, 0], points[:, 1]
    for (a, b), (c, d) in zip(np.roll(path, 1, axis=0), path, strict=True):
        crosses = (b <= y) != (d <= y)
        side = (c - a) * (y - b) - (x - a) * (d - b)
        turns += np.where(crosses & (d > b) & (side > 0), 1, 0)
        turns -= np.where(crosses & (d < b) & (side < 0), 1, 0)
    return turns != 0


def draw(page, path, shift=False):
    page.locator(".map-frame").evaluate(
        "e => e.scrollIntoView({block: 'center', behavior: 'instant'})"
    )
    frame = page.locator(".map-frame").bounding_box()
    points = path + np.array([frame["x"] + 1, frame["y"] + 1])
    if shift:
        page.keyboard.down("Shift")
    page.mouse.move(*points[0])
    page.mouse.down()
    for x, y in points[1:]:
        page.mouse.move(x, y)
    page.mouse.up()
    if shift:
        page.keyboard.up("Shift")


@pytest.mark.parametrize("shift", [False, True])
def test_the_lasso_chooses_exactly_the_cells_inside(page, known, tmp_path, shift):
    _, xy, _obs = known
    places = pixels_of(page, xy)
    middle = places.mean(axis=0)
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    path = (
        middle
        + np.column_stack([np.cos(turn), np.sin(turn)]) * (90 + 40 * np.cos(3 * turn))[:, None]
    )
    # A browser may round a pointer to whole pixels: no cell is so near the line.
    path = np.round(path)
    inside = winds(path, places)
    unsure = np.array(
        [winds(path + d, places) != inside for d in ([1, 0], [-1, 0], [0, 1], [0, -1])]
    ).any(axis=0)
    if not shift:
        page.get_by_role("button", name="Lasso").click()
    draw(page, path, shift)
    said = page.locator(".map-selection b")
    said.wait_for()
    chosen = int(said.inner_text().split()[0])
    assert inside[~unsure].sum() <= chosen <= (inside | unsure).sum()
    button = page.get_by_role("button", name="Download the composition as CSV")
    text, _ = saved(page, button.click, tmp_path / "c.csv")
    found = pd.read_csv(io.BytesIO(text)).groupby("sample")["n_cells"].sum()
    assert found.sum() == chosen
    page.locator(".map-frame").focus()
    page.keyboard.press("Escape")
    assert page.locator(".map-selection").is_hidden()


def test_a_mask_and_the_line_itself_say_the_same(browser):
    random = np.random.default_rng(1)
    page = browser.new_page()
    names = ["data", "state", "elements", "lasso"]
    index = '{"decisions": [], "cells": null, "rows": []}'
    tools = functions(page, names, ["maskOf"], index)
    for path in [
        random.uniform(0, 65534, (40, 2)), random.normal(3000, 5, (12, 2)),
        np.array([[0.0, 0.0], [65534, 0], [65534, 1], [0, 1]]),
    ]:  # fmt: skip
        low, high = path.min(axis=0) - 2, path.max(axis=0) + 2
        points = random.uniform(low, high, (20_000, 2)).round()
        got = page.evaluate(
            """([tools, path, points]) => {
              const inside = tools.maskOf(path);
              return points.map(([x, y]) => inside(x, y));
            }""",
            [tools, path.tolist(), points.tolist()],
        )
        assert np.array_equal(got, winds(path, points))
    page.close()


def test_a_filter_makes_a_selection_without_a_pointer(page, known):
    _, _, obs = known
    page.select_option("#filter-add", label="sample")
    page.locator(".filter-levels label", has_text=re.compile("^a")).locator("input").uncheck()
    page.get_by_role("button", name="Choose these cells").click()
    n = int((obs["sample"] != "a").sum())
    assert page.locator(".map-selection b").inner_text() == f"{n} cells chosen"


def test_the_legend_hides_shows_and_shows_alone(page, known):
    codes, xy, _ = known
    places = pixels_of(page, xy)
    no_texts(page)
    # The T cell that is the farthest from cells of others: near one, that one is pointed at.
    own, others = np.asarray(places)[codes == 1], np.asarray(places)[codes != 1]
    apart = np.linalg.norm(own[:, None] - others[None], axis=2).min(axis=1)
    t_cell = own[apart.argmax()].tolist()
    before = colour_at(page, t_cell)
    entry = page.get_by_role("button", name=re.compile("^T cell"))
    entry.focus()
    page.keyboard.press("Enter")
    assert legend(page)["T cell"][0] is False
    page.wait_for_timeout(60)
    assert colour_at(page, t_cell) == "#ffffff"
    assert point_at(page, t_cell) == []
    page.get_by_role("button", name="Show all", exact=True).last.click()
    page.wait_for_timeout(60)
    assert colour_at(page, t_cell) == before
    page.get_by_role("button", name="Only T cell").focus()
    page.keyboard.press("Enter")
    assert [name for name, (on, _) in legend(page).items() if on] == ["T cell"]
    page.keyboard.press("Enter")
    assert all(on for on, _ in legend(page).values())
    group = page.locator(".legend-group").first
    group.click()
    assert group.get_attribute("aria-pressed") == "false"
    assert not all(on for on, _ in legend(page).values())


def test_hiding_a_category_is_a_filter(page, known):
    _, _, obs = known
    page.select_option("#colour-by", label="sample")
    page.locator(".legend-entry", has_text=re.compile("^b")).click()
    n = int((obs["sample"] != "b").sum())
    page.wait_for_function(
        "n => document.getElementById('filter-count').textContent === `${n} of 240 cells`", arg=n
    )
    assert legend(page)["b"] == (False, 0)


def frame_pixels(page):
    return page.evaluate("document.querySelector('.map-frame canvas').toDataURL()")


def test_keys_zoom_move_and_show_all(page):
    frame = page.locator(".map-frame")
    page.wait_for_timeout(100)
    whole = frame_pixels(page)
    frame.focus()
    seen = {whole}
    for key in ["+", "ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown", "ArrowDown", "-"]:
        page.keyboard.press(key)
        page.wait_for_timeout(60)
        seen.add(frame_pixels(page))
    assert len(seen) >= 6
    page.keyboard.press("0")
    page.wait_for_timeout(60)
    assert frame_pixels(page) == whole


def test_wheel_and_drag_move_the_map_and_a_click_chooses_a_row(page, known):
    codes, xy, _ = known
    place = pixels_of(page, xy)[5]
    point_at(page, place)
    page.mouse.wheel(0, -300)
    page.wait_for_timeout(60)
    # The place below the pointer stays.
    assert page.locator(".map-tip").is_visible()
    assert point_at(page, place)[1] == f"cluster {codes[5]}"
    before = frame_pixels(page)
    page.mouse.down()
    page.mouse.move(600 + 300, 500, steps=4)
    page.mouse.up()
    page.wait_for_timeout(60)
    assert frame_pixels(page) != before
    page.locator(".map-frame").focus()
    page.keyboard.press("0")
    page.wait_for_timeout(60)
    before = frame_pixels(page)
    point_at(page, place)
    page.mouse.down()
    page.mouse.up()
    page.wait_for_timeout(60)
    assert frame_pixels(page) != before
    assert page.locator("#said").inner_text() == f"{codes[5]}: no label"


def test_two_fingers_zoom_the_map_and_not_the_page(browser, file):
    phone = {"width": 390, "height": 844}
    with opened(browser, file, viewport=phone, has_touch=True, is_mobile=True) as page:
        page.locator(".legend-entry").first.wait_for()
        page.locator(".map-frame").scroll_into_view_if_needed()
        box = page.locator(".map-frame").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.wait_for_timeout(100)
        whole = frame_pixels(page)
        device = page.context.new_cdp_session(page)

        def touch(kind, *apart):
            points = [{"x": x + a, "y": y, "id": i} for i, a in enumerate(apart)]
            device.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        touch("touchStart", -20, 20)
        for apart in range(20, 81, 10):
            touch("touchMove", -apart, apart)
        page.wait_for_timeout(100)
        nearer = frame_pixels(page)
        for apart in range(80, 19, -10):
            touch("touchMove", -apart, apart)
        touch("touchEnd")
        page.wait_for_timeout(100)
        assert nearer != whole
        assert frame_pixels(page) == whole
        assert page.evaluate("visualViewport.scale") == 1


def test_the_map_is_saved_as_png_and_svg(page, tmp_path):
    png, name = saved(
        page, page.get_by_role("button", name="Download the map as PNG").click, tmp_path / "m.png"
    )
    assert name == "map_label.png"
    assert png.startswith(b"\x89PNG")
    assert len(png) > 10_000
    svg, name = saved(
        page, page.get_by_role("button", name="Download the map as SVG").click, tmp_path / "m.svg"
    )
    assert name == "map_label.svg"
    assert svg.count(b"h0") == N
    assert "natural killer cell" in svg.decode()
    png, _ = saved(
        page,
        page.get_by_role("button", name="Download the composition as PNG").click,
        tmp_path / "c.png",
    )
    assert png.startswith(b"\x89PNG")
    svg, _ = saved(
        page,
        page.get_by_role("button", name="Download the composition as SVG").click,
        tmp_path / "c.svg",
    )
    assert b"<rect" in svg
    assert b"<img" not in svg


def test_texts_never_overlap_and_each_is_on_the_picture(browser, tmp_path):
    codes, xy = cells_on_a_grid(1500, 30)
    labels = [f"cell type number {i % 20} with a name that is long" for i in range(30)]
    found = Annotations(rows_of(labels), {}, {})
    with shown_page(
        browser, tmp_path, found, content(codes, xy), viewport={"width": 1280, "height": 900}
    ) as page:
        page.locator(".legend-entry").first.wait_for()
        svg, _ = saved(
            page,
            page.get_by_role("button", name="Download the map as SVG").click,
            tmp_path / "m.svg",
        )
    texts = re.findall(
        r'<text x="([\d.]+)" y="([\d.]+)" font-size="([\d.]+)"[^>]*stroke[^>]*>([^<]+)',
        svg.decode(),
    )
    assert len(texts) >= 12
    assert all(text.endswith("…") for *_, text in texts)
    boxes = [(float(x), float(y), len(t) * float(s) * 0.5, float(s)) for x, y, s, t in texts]
    for i, (x, y, w, h) in enumerate(boxes):
        assert all(abs(x - a) > (w + u) / 2 * 0.9 or abs(y - b) >= h for a, b, u, _ in boxes[:i])


def test_hostile_names_are_text(browser, tmp_path):
    codes, xy = cells_on_a_grid(60, 3)
    names = [HOSTILE, "</script><script>window.hit = 1</script>", "\u202eabc"]
    found = Annotations(
        rows_of([HOSTILE, "</script>", "\u202eabc"], names), {}, {"species": "human"}
    )
    obs = pd.DataFrame(
        {HOSTILE: pd.Categorical(["</script>", HOSTILE, "=1+1"] * 20), "n": range(60)}
    )
    with shown_page(browser, tmp_path, found, content(codes, xy, obs, names=names)) as page:
        assert set(legend(page)) == {HOSTILE, "</script>", "\u202eabc"}
        page.select_option("#colour-by", value="column:0")
        page.select_option("#filter-add", "0")
        page.locator(".filter-levels li").first.wait_for()
        assert set(legend(page)) == {HOSTILE, "</script>", "=1+1"}
        places = pixels_of(page, xy)
        page.locator(".map-frame").scroll_into_view_if_needed()
        assert point_at(page, places[0])[0] == HOSTILE
        page.get_by_label("Gene", exact=True).fill("<img")
        page.locator(".offers li").first.wait_for()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        button = page.get_by_role("button", name="Download the composition as CSV")
        text, _ = saved(page, button.click, tmp_path / "c.csv")
        assert "\n'=1+1," in text.decode()


def test_another_embedding_can_be_chosen_and_places_in_tissue_point_down(browser, tmp_path):
    codes, xy = cells_on_a_grid()
    of = content(codes, xy)
    tissue = xy[::-1] * [1.0, 3.0]
    cells = replace(
        of.cells,
        embeddings=(("X_umap", xy), ("spatial", tissue)),
        spatial=frozenset({"spatial"}),
    )
    found = Annotations(rows_of(LABELS), {}, {})
    with shown_page(browser, tmp_path, found, replace(of, cells=cells)) as page:
        page.locator(".legend-entry").first.wait_for()
        page.select_option("#map-embedding", label="spatial")
        page.locator(".map-note", has_text="spatial").wait_for()
        # In the picture of an embedding y points up; so a mirrored one has these places.
        places = pixels_of(page, tissue * [1, -1])
        for cell in (0, 50, 150):
            assert point_at(page, places[cell])[1] == f"cluster {codes[cell]}"


def test_labels_of_cells_have_a_map_too(browser, tmp_path):
    labels = ["B cell", "T cell", "natural killer cell"]
    codes, xy = cells_on_a_grid(90, 3)
    of = content(codes, xy, names=labels)
    found = Annotations(rows_of(labels, labels), {}, {"level": "cells"})
    with shown_page(browser, tmp_path, found, of) as page:
        page.locator(".legend-entry").first.wait_for()
        assert legend(page) == dict.fromkeys(labels, (True, 30))


def test_cells_without_a_place_are_left_out_and_said(browser, tmp_path):
    codes, xy = cells_on_a_grid()
    xy[:5] = np.nan
    xy[9] = np.inf
    found = Annotations(rows_of(LABELS), {}, {})
    with shown_page(browser, tmp_path, found, content(codes, xy)) as page:
        page.locator(".legend-entry").first.wait_for()
        note = page.locator(".map-note").inner_text()
        assert "234 cells" in note
        assert "6 cells have no coordinates" in note
    with shown_page(browser, tmp_path, found, content(codes, np.full(xy.shape, np.nan))) as page:
        page.get_by_text("No cell has coordinates.").wait_for()


def test_without_an_embedding_there_are_filters_and_no_map(browser, tmp_path):
    codes, _ = cells_on_a_grid()
    found = Annotations(rows_of(LABELS), {}, {})
    with shown_page(
        browser, tmp_path, found, content(codes, None, metadata(), genes=False)
    ) as page:
        assert page.locator("#map").is_hidden()
        page.select_option("#filter-add", label="sample")
        page.locator(".filter-levels li").first.wait_for()
    with shown_page(browser, tmp_path, found, None) as page:
        assert page.locator("#map").is_hidden()
        assert page.locator("#filters").is_hidden()


@pytest.mark.parametrize("k", [1, 200])
def test_one_cluster_and_two_hundred(browser, tmp_path, k):
    codes, xy = cells_on_a_grid(1000, k)
    found = Annotations(rows_of([f"type {i}" for i in range(k)]), {}, {})
    with shown_page(browser, tmp_path, found, content(codes, xy, metadata(1000))) as page:
        page.locator(".legend-entry").first.wait_for()
        assert len(legend(page)) == k
        page.select_option("#colour-by", "cluster")
        assert page.locator(".stack").count() == 3


def test_a_single_cell_has_a_map(browser, tmp_path):
    found = Annotations(rows_of(["B cell"]), {}, {})
    of = content(np.zeros(1, int), np.zeros((1, 2)))
    with shown_page(browser, tmp_path, found, of) as page:
        page.locator(".legend-entry").first.wait_for()
        page.locator(".map-frame").focus()
        for key in "++0":
            page.keyboard.press(key)
        assert legend(page) == {"B cell": (True, 1)}


def test_a_marker_table_has_a_map_of_its_rows(browser, tmp_path):
    labels = ["B cell", "T cell", "natural killer cell", "T cell"]
    genes = [["CD79A", "MS4A1"], ["CD3E", "IL7R"], ["NKG7", "CD3E"], ["CD3E", "TRAC"]]
    markers = {
        "cluster": [str(i) for i in range(4) for _ in range(2)],
        "gene": [gene for of in genes for gene in of],
        "avg_log2FC": [2.0, 1.0] * 4,
    }
    found = Annotations(rows_of(labels), {}, {}, markers)
    with shown_page(browser, tmp_path, found, None) as page:
        page.locator(".legend-entry").first.wait_for()
        assert "similarity of their markers" in page.locator(".map-note").inner_text()
        assert {k: n for k, (_, n) in legend(page).items()} == {
            "B cell": 1,
            "T cell": 2,
            "natural killer cell": 1,
        }
        page.select_option("#colour-by", "confidence")
        page.locator(".colour-bar").wait_for()
        assert page.locator("#map-lasso").count() == 0


def test_a_browser_that_cannot_unpack_says_so(browser, file):
    context = browser.new_context(offline=True)
    page = context.new_page()
    trouble = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.add_init_script("delete window.DecompressionStream")
    page.goto(file.as_uri())
    page.get_by_text("This browser cannot unpack").wait_for()
    assert page.locator(".map-frame").count() == 0
    assert page.locator("#filters").is_hidden()
    assert trouble == []
    context.close()


@pytest.mark.parametrize("width", [375, 820, 1280, 2560])
def test_nothing_is_wider_than_the_screen(browser, file, width):
    with opened(browser, file, viewport={"width": width, "height": 800}) as page:
        page.locator(".legend-entry").first.wait_for()
        page.select_option("#filter-add", label="sample")
        page.select_option("#filter-add", label="score")
        page.locator(".filter-card").nth(1).wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator(".map-frame").bounding_box()["width"] > width * 0.3


def test_dark_and_paper_have_their_own_colours(page, known):
    _, xy, _ = known
    places = pixels_of(page, xy)
    corner = np.array([3.0, 3.0])
    assert colour_at(page, corner) == "#ffffff"
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(100)
    assert colour_at(page, corner) == "#14181b"
    dark = colour_at(page, places[1])
    page.emulate_media(media="print", color_scheme="dark")
    page.wait_for_timeout(100)
    assert colour_at(page, corner) == "#ffffff"
    assert colour_at(page, pixels_of(page, xy)[1]) != dark
    assert not page.locator(".map-tools").is_visible()


def test_on_paper_there_is_one_picture_of_the_cells(browser, tmp_path):
    adata = labelled_cells(300, 3, 100)
    file = cellferry.annotation_report(adata, tmp_path / "r.html", progress=False)
    for script in (True, False):
        context = browser.new_context(java_script_enabled=script)
        page = context.new_page()
        page.goto(file.as_uri())
        page.emulate_media(media="print")
        assert page.locator("#map").is_visible() == script
        assert page.locator("#picture").is_visible() != script
        context.close()
