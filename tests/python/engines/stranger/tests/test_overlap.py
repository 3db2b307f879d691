"""The stranger's own tests: the contract of cellferry, and nothing else of it."""

from overlap_engine import Overlap, OverlapOfCells

from cellferry.engines.contract import EngineContract


class TestOverlap(EngineContract):
    def engine(self, **options):
        return Overlap(**options)


class TestOverlapOfCells(EngineContract):
    level = "cells"

    def engine(self, **options):
        return OverlapOfCells(**options)
