"""The report and the README's tables."""
