"""Made-up curves for the tests of solve, predict and the exchange of files."""

import itertools

import pandas as pd
from hypothesis import strategies as st

from prunelab import scores
from prunelab.sensitivity.budget.price import Price

IMAGES = 50


def table(rows, whole=None, price=None):
    """Rows (group, ratio, kept, correct, params, macs) as a scan's frame."""
    columns = ["group", "ratio", "kept", "correct", "params", "macs"]
    frame = pd.DataFrame(rows, columns=columns)
    frame.insert(4, "accuracy", frame.correct / IMAGES)
    frame.insert(5, "loss", 1.0 + frame.ratio)
    if whole is not None:
        right, params, macs = whole
        frame.attrs["whole"] = {
            "accuracy": right / IMAGES, "loss": 1.0, "correct": right, "images": IMAGES,
            "params": params, "macs": macs,
        }  # fmt: skip
    if price is not None:
        frame.attrs["price"] = price.to_dict()
    return frame


def priced(price, right, points):
    """Curves of a price: points (group, ratio, correct), the whole network has `right`."""
    rows = []
    for name, ratio, correct in points:
        kept = scores.kept(price.sizes[name], ratio)
        rows.append((name, ratio, kept, correct, *price({name: kept})))
    return table(rows, (right, *price()), price)


def combinations(frame, column):
    """Every combination: (right images, cost, ratios), by the definition of both."""
    whole = frame.attrs.get("whole") or frame[frame.ratio == 0].iloc[0]
    price = Price.from_dict(frame.attrs["price"]) if "price" in frame.attrs else None
    names = list(dict.fromkeys(frame.group))
    menus = []
    for name in names:
        rows = frame[(frame.group == name) & (frame.ratio > 0) & (frame.kept > 0)]
        menus.append([None, *rows.itertuples()])
    for picks in itertools.product(*menus):
        taken = {name: row for name, row in zip(names, picks) if row is not None}
        right = whole["correct"] + sum(row.correct - whole["correct"] for row in taken.values())
        if price:
            kept = {name: row.kept for name, row in taken.items()}
            cost = price(kept)[column == "macs"]
        else:
            cost = whole[column] - sum(whole[column] - getattr(r, column) for r in taken.values())
        yield right, cost, {n: taken[n].ratio if n in taken else 0.0 for n in names}


@st.composite
def frames(draw, price=None):
    """Two to four groups with up to four ratios; `price`: with exact costs, or without."""
    names = [f"g{i}" for i in range(draw(st.integers(2, 4)))]
    with_price = draw(st.booleans()) if price is None else price
    grid = st.lists(st.sampled_from([0.1, 0.25, 0.4, 0.5, 0.7, 0.9]), max_size=4, unique=True)
    right = draw(st.integers(0, IMAGES))
    images = st.integers(0, draw(st.sampled_from([3, IMAGES])))
    ratios = {name: sorted(draw(grid)) for name in names}
    ratios[names[0]] = ratios[names[0]] or [0.5]
    points = [(name, ratio, draw(images)) for name in names for ratio in ratios[name]]
    if with_price:
        made = draw(prices([*names, "unseen"]))
        return priced(made, right, points)
    costs = st.integers(1, draw(st.sampled_from([10, 10**6])))
    whole = (right, draw(costs), draw(costs))
    rows = [(g, r, draw(st.integers(0, 9)), c, draw(costs), draw(costs)) for g, r, c in points]
    zero = [(name, 0.0, 10, *whole) for name in names]
    return table(zero + rows)


@st.composite
def prices(draw, names):
    """A random polynomial of degree two."""
    sizes = {name: draw(st.integers(1, 12)) for name in names}
    pairs = st.sampled_from(list(itertools.combinations_with_replacement(sorted(names), 2)))
    singles = st.sampled_from([(), *((name,) for name in names)])
    terms = st.dictionaries(pairs | singles, st.integers(0, 50), max_size=8)
    return Price(sizes, draw(terms), draw(terms))
