"""VIBNet: what is run, and what is compared with print.

Dai, Zhu, Guo, Wipf. Compressing Neural Networks using the Variational Information Bottleneck.
ICML 2018.
"""

from prunelab.study.papers.information_bottleneck import views
from prunelab.study.papers.information_bottleneck.cases import METHODS, SETTINGS, cases
from prunelab.study.papers.information_bottleneck.compared import TABLES
from prunelab.study.study import Study

__all__ = ["METHODS", "SETTINGS", "STUDY", "views"]

STUDY = Study("information_bottleneck", cases, TABLES)
