"""Which tensor axes carry the same channel: found by tracing, kept as plain data."""

from prunelab.groups.group import INPUTS, Group, Groups, Slice
from prunelab.groups.trace import ChannelAxis, Flow, flow, trace

__all__ = ["INPUTS", "ChannelAxis", "Flow", "Group", "Groups", "Slice", "flow", "trace"]
