"""What discrimination-aware channel pruning is made of: places, auxiliary losses, the choice."""
