import logging

from cellferry.seurat.transfer import ACTIONS, Item, log_items, report_frame

ITEMS = [
    Item("nCount", "obs", "real", "taken"),
    Item("when", "obs", "date", "coerced", "The part of a day is dropped from a Date."),
    Item("history", "command", "", "left", "AnnData has no place for it."),
]


def test_the_report_is_a_frame_of_text_with_five_columns():
    frame = report_frame(ITEMS)
    assert list(frame.columns) == ["item", "kind", "what", "action", "why"]
    assert list(frame["action"]) == list(ACTIONS)
    assert all(isinstance(v, str) for v in frame.to_numpy().ravel())
    assert list(report_frame([]).columns) == list(frame.columns)


def test_what_was_changed_or_left_is_said_once(caplog):
    with caplog.at_level(logging.INFO, logger="cellferry"):
        log_items(ITEMS, "to_anndata()")
        log_items(ITEMS[:1], "to_anndata()")
    assert [r.getMessage() for r in caplog.records] == [
        'to_anndata(): changed "obs when".',
        'to_anndata(): left behind "command history".',
    ]
