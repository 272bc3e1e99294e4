"""What stands in a figure, for tests: its lines, its words, and whether these can be read."""

from itertools import combinations


def lines(ax):
    """Label -> line, of those in the legend."""
    return {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}


def legend_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def ticks(axis):
    """Words of the ticks in view -> where they are."""
    low, high = sorted(axis.get_view_interval())
    found = zip(axis.get_ticklocs(), axis.get_ticklabels())
    return {text.get_text(): at for at, text in found if low <= at <= high and text.get_text()}


def words(fig):
    """Every text on show."""
    found = [*fig.texts, *filter(None, (fig._suptitle, fig._supxlabel))]
    for ax in fig.axes:
        if not ax.get_visible():
            continue
        found += [ax.xaxis.label, ax.yaxis.label, ax.title, ax._left_title, *ax.texts]
        for axis in (ax.xaxis, ax.yaxis):
            found += [label for label in axis.get_ticklabels() if label.get_text() in ticks(axis)]
        if ax.get_legend():
            found += [ax.get_legend().get_title(), *ax.get_legend().get_texts()]
    for legend in fig.legends:
        found += legend.get_texts()
    return [text for text in dict.fromkeys(found) if text.get_visible() and text.get_text()]


def unreadable(fig):
    """What is wrong with the words of a figure: cut off, or one over another; and empty legends."""
    fig.draw_without_rendering()
    wrong = ["an empty legend" for ax in fig.axes if ax.get_legend() and not legend_of(ax)]
    boxes = [(text.get_text(), text.get_window_extent()) for text in words(fig)]
    for text, box in boxes:
        inside = box.x0 >= -1 and box.y0 >= -1
        if not inside or box.x1 > fig.bbox.x1 + 1 or box.y1 > fig.bbox.y1 + 1:
            wrong.append(f"{text!r} is cut off")
    for (text, box), (other, second) in combinations(boxes, 2):
        if box.padded(-0.5).overlaps(second.padded(-0.5)):
            wrong.append(f"{text!r} covers {other!r}")
    return wrong


def fits_a_page(fig):
    """All words can be read, no legend is empty, and the width is that of a page."""
    assert unreadable(fig) == []
    assert fig.get_figwidth() <= 8.4


def legends_beside(fig):
    """The boxes of all legends, once all words can be read and no legend covers any axes."""
    assert unreadable(fig) == []
    boxes = [legend.get_window_extent() for legend in fig.legends]
    boxes += [ax.get_legend().get_window_extent() for ax in fig.axes if ax.get_legend()]
    assert not any(box.overlaps(ax.bbox) for box in boxes for ax in fig.axes)
    return boxes
