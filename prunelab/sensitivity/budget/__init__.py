"""From curves to ratios: what a choice costs, and the best one under a budget."""
