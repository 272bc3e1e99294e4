"""The explorer, live and recorded."""
