"""Ledger rows as they would be written, and the tables of a study as texts."""

from prunelab.study.recipes import plain


def row_of(recipe, values, **more):
    """As the ledger would write it."""
    return {
        "key": recipe.key,
        "label": recipe.label,
        "preset": recipe.preset,
        "seed": recipe.seed,
        "device": "cpu",
        "recipe": plain(recipe),
        "values": values,
        **more,
    }


def texts(study, rows=()):
    """Title -> table, every cell its text."""
    return {title: frame.map(str) for title, frame in study.tables(rows).items()}
