"""prunelab: an interactive, notebook-driven study of neural-network pruning.

data -> train -> method.prune(net, data) -> Keep -> shrink -> fine-tune -> row -> table, figure
"""
