"""The live page of one review, served on this machine: ``python -m cellferry.server.review``.

``page`` makes the page and its blocks from the folder of the review (see
:mod:`cellferry.runs.reviews`), ``decide`` takes decisions, ``compare`` tests two sets of
cells, ``app`` has the addresses and who may use them, and ``__main__`` is the process. No R is
called here.
"""
