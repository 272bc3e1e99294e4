"""What holds for every paper."""

import re

import pytest

from prunelab.study import ledger
from prunelab.study.papers import studies
from prunelab.study.recipes import PRESETS, SEEDS

STUDIES = studies()
EACH = pytest.mark.parametrize("stem", STUDIES)
FIGURES_SHARE_SCANS = {"filter_norm"}


def recipes(stem, preset):
    return [r for part in STUDIES[stem].recipes(preset, SEEDS[preset]).values() for r in part]


@EACH
def test_no_two_measurements_share_a_key(stem):
    keys, wholes = {}, {}
    for preset in PRESETS:
        found = recipes(stem, preset)
        for r in found:
            whole = (r.preset, repr(r.task), r.model, r.data, r.budget, r.seed)
            assert (
                keys.setdefault(r.key, whole) == whole and wholes.setdefault(whole, r.key) == r.key
            )
        if stem not in FIGURES_SHARE_SCANS:
            assert len({r.key for r in found}) == len(found)


@EACH
def test_tables_have_words_and_no_names_of_columns_or_numbers_of_an_index(stem):
    for title, frame in STUDIES[stem].tables(ledger.rows(stem)).items():
        texts = [title, *frame.columns, *map(str, frame.to_numpy().flat)]
        raw = [text for text in texts if re.search(r"[a-z]_(pct|acc|err|ratio)\b|\bid \d{4}", text)]
        assert not raw


@EACH
def test_a_caption_names_the_picture_and_says_what_to_see_in_it(stem):
    for caption in STUDIES[stem].said.captions.values():
        assert re.search(r"\. [A-Z]", caption) and caption.endswith(".")
