"""Network surgery: what is run, and what is compared with print.

Guo, Yao, Chen. Dynamic Network Surgery for Efficient DNNs. NIPS 2016.
"""

from prunelab.study.papers.network_surgery import views
from prunelab.study.papers.network_surgery.cases import SETTINGS, cases
from prunelab.study.papers.network_surgery.compared import TABLES
from prunelab.study.study import Study

__all__ = ["SETTINGS", "STUDY", "views"]

STUDY = Study("network_surgery", cases, TABLES)
