"""PFEC: what is run, and what is compared with print.

Li, Kadav, Durdanovic, Samet, Graf. Pruning Filters for Efficient ConvNets. ICLR 2017.
"""

from prunelab.study.papers.filter_norm.cases import SETTINGS, SMALL, TABLE_1, cases
from prunelab.study.papers.filter_norm.compared import TABLES
from prunelab.study.study import Study

__all__ = ["SETTINGS", "SMALL", "STUDY", "TABLE_1"]

STUDY = Study("filter_norm", cases, TABLES)
