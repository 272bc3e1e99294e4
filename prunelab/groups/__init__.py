"""Which tensor axes carry the same channel: found by tracing, kept as plain data."""

from prunelab.groups.group import Group, Groups, Slice
from prunelab.groups.trace import trace

__all__ = ["Group", "Groups", "Slice", "trace"]
