"""One module per paper: the recipes behind each printed table and figure."""
