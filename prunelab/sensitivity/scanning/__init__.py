"""The scan: every group at every ratio, exact and fast."""
