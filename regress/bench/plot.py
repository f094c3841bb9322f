"""Plots as plain SVG: bars and lines, with text that is text, readable on light and on dark.

bars() and lines() return the document. Colours are classes, which a style sheet within gives: s0 is the subject of the
plot; the others are compared with it.
"""

import math
from xml.sax.saxutils import escape

WIDTH = 760
MARGIN = 20
LETTER = 6.2                # width of one at 11 px, about: to wrap, and to keep labels apart

LIGHT = {"back": "#ffffff", "edge": "#d8d8d4", "grid": "#e6e6e2", "ink": "#0b0b0b",
         "text": "#52514e", "series": ("#2a78d6", "#9c9b95", "#1a9c6d", "#d98200")}
DARK = {"back": "#161719", "edge": "#34353a", "grid": "#2e2f33", "ink": "#ffffff",
        "text": "#c3c2b7", "series": ("#4a94ee", "#85847e", "#2bb584", "#dd9a2b")}


def _colours(palette):
    rules = [f".back {{ fill: {palette['back']}; stroke: {palette['edge']}; }}",
             f"text {{ fill: {palette['text']}; }}",
             f".title, .head, .value {{ fill: {palette['ink']}; }}",
             f".over {{ stroke: {palette['back']}; }}",
             f".grid {{ stroke: {palette['grid']}; }}"]
    for i, colour in enumerate(palette["series"]):
        rules += [f".s{i} {{ fill: {colour}; }}",
                  f"path.s{i} {{ fill: none; stroke: {colour}; }}"]
    return "\n".join(rules)


STYLE = f"""
text {{ font: 11px system-ui, -apple-system, "Segoe UI", sans-serif; }}
.title {{ font-size: 15px; font-weight: 600; }}
.head {{ font-weight: 600; }}
.value {{ font-variant-numeric: tabular-nums; }}
.foot {{ font-size: 10px; }}
.over {{ paint-order: stroke; stroke-width: 4; }}
.mark {{ stroke: #8a8984; stroke-dasharray: 3 3; }}
path {{ stroke-width: 1.8; stroke-linejoin: round; }}
{_colours(LIGHT)}
@media (prefers-color-scheme: dark) {{
{_colours(DARK)}
}}
"""


def bars(title, sections, note="", foot=""):
    """sections: [[(heading, [(label, value, text, class)])]]: the groups of a section share a scale that begins at 0.

    With several sections each has its axis below it.
    """
    gutter, row, gap = 190, 17, 12
    canvas = _Canvas(title, note)
    left, room = MARGIN + gutter, WIDTH - 2 * MARGIN - gutter - 90
    for groups in sections:
        most = max((value for _, items in groups for _, value, _, _ in items), default=0) or 1
        for heading, items in groups:
            canvas.text(MARGIN, canvas.y + 10, heading, "head")
            canvas.y += 18
            for label, value, text, kind in items:
                width = room * value / most
                canvas.text(left - 8, canvas.y + 11, label, anchor="end")
                canvas.add(f'<rect class="{kind}" x="{left}" y="{canvas.y + 1:.1f}" '
                           f'width="{max(1, width):.1f}" height="{row - 4}" rx="2"/>')
                canvas.text(left + width + 6, canvas.y + 11, text, "value")
                canvas.y += row
            canvas.y += gap
        if len(sections) > 1:
            canvas.y -= gap / 2
            canvas.line("grid", left, canvas.y, left + room, canvas.y)
            for tick in _nice(0, most):
                if tick <= most:
                    x = left + room * tick / most
                    canvas.line("grid", x, canvas.y, x, canvas.y + 4)
                    canvas.text(x, canvas.y + 15, f"{tick:,.10g}", anchor="middle")
            canvas.y += 15 + 2 * gap
    return canvas.finish(foot)


class Panel:
    """One pair of axes.

    series: [(name, [(x, y)], class)]; a y of None interrupts the line. With dots no line is drawn.
    ticks: [(x, label)]; without, they are chosen. marks: [(x, label)], vertical; limit: (y, label).
    """

    def __init__(self, what, series, height=170, ticks=None, marks=(), limit=None, log=False,
                 dots=False, x_label=""):
        self.what = what
        self.series = series
        self.height = height
        self.ticks = ticks
        self.marks = marks
        self.limit = limit
        self.log = log
        self.dots = dots
        self.x_label = x_label


def lines(title, panels, note="", foot=""):
    canvas = _Canvas(title, note)
    for panel in panels:
        _draw(canvas, panel)
    return canvas.finish(foot)


def _draw(canvas, panel):
    left, right = MARGIN + 48, WIDTH - MARGIN - 12
    points = [p for _, line, _ in panel.series for p in line if p[1] is not None]
    xs = [x for x, _ in points] or [0, 1]
    low_x, high_x = min(0, *xs), max(max(xs), min(xs) + 1e-9)
    if panel.dots or panel.ticks:       # apart from the axes
        low_x = min(xs)
        pad = (high_x - low_x) * 0.05 or 1
        low_x, high_x = low_x - pad, high_x + pad
    ys = [y for _, y in points] + ([panel.limit[0]] if panel.limit else [])
    y_ticks = _decades(ys) if panel.log else _nice(0, max(ys, default=1) or 1)
    low_y, high_y = y_ticks[0], y_ticks[-1]

    canvas.text(MARGIN, canvas.y + 10, panel.what, "head")
    x = MARGIN + len(panel.what) * LETTER * 1.1 + 24
    for name, _, kind in panel.series if len(panel.series) > 1 else ():
        canvas.add(f'<rect class="{kind}" x="{x:.0f}" y="{canvas.y + 5:.1f}" width="14" height="4"/>')
        canvas.text(x + 19, canvas.y + 10, name)
        x += 19 + len(name) * LETTER + 16
    canvas.y += 18
    rows = _rows(panel.marks, lambda x: left + (x - low_x) / (high_x - low_x) * (right - left))
    canvas.y += 13 * (max(row for _, _, row in rows) + 1) if rows else 0
    top, bottom = canvas.y + 4, canvas.y + 4 + panel.height

    def at_x(value):
        return left + (value - low_x) / (high_x - low_x) * (right - left)

    def at_y(value):
        if panel.log:
            value, low, high = (math.log10(max(v, low_y)) for v in (value, low_y, high_y))
        else:
            low, high = low_y, high_y
        return bottom - (value - low) / (high - low) * panel.height

    for value in y_ticks:
        canvas.line("grid", left, at_y(value), right, at_y(value))
        canvas.text(left - 6, at_y(value) + 4, f"{value:g}", anchor="end")
    for value, label in panel.ticks or [(v, f"{v:g}") for v in _nice(low_x, high_x)
                                        if low_x <= v <= high_x]:
        canvas.text(at_x(value), bottom + 15, label, anchor="middle")
    if panel.x_label:
        canvas.text(right, bottom + 29, panel.x_label, anchor="end")
    for x, label, row in rows:
        canvas.line("mark", x, top - 13 * row - 4, x, bottom)
        near_end = x + len(label) * LETTER > right
        canvas.text(x - 4 if near_end else x + 4, top - 13 * row - 5, label,
                    anchor="end" if near_end else "start")
    if panel.limit:
        canvas.line("mark", left, at_y(panel.limit[0]), right, at_y(panel.limit[0]))
    for _, line, kind in panel.series:
        drawn = [(at_x(x), at_y(y)) if y is not None else None for x, y in line]
        if not panel.dots:
            canvas.path(kind, drawn)
        if panel.dots or panel.ticks:
            for point in filter(None, drawn):
                canvas.add(f'<circle class="{kind}" cx="{point[0]:.1f}" cy="{point[1]:.1f}" r="3.5"/>')
    if panel.limit:                     # on top of the lines, which it may meet
        canvas.text(right, at_y(panel.limit[0]) - 4, panel.limit[1], "over", anchor="end")
    canvas.y = bottom + (44 if panel.x_label else 34)


def _rows(marks, at_x):
    """[(x, label, row)]: labels that would meet are in rows, the first one at the bottom."""
    placed = []
    ends = []               # of the last label in each row
    for value, label in marks:
        x = at_x(value)
        width = len(label) * LETTER + 10
        begin = x - width if x + width > WIDTH - MARGIN else x
        row = next((i for i, end in enumerate(ends) if end <= begin), len(ends))
        ends[row:row + 1] = [begin + width]
        placed.append((x, label, row))
    return placed


def _nice(low, high):
    """Ticks at 1, 2 or 5 times a power of ten, around both ends."""
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step *= next(m for m in (1, 2, 5, 10) if (high - low) / (m * step) <= 6)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(i * step, 9) for i in range(first, last + 1)]


def _decades(values):
    positive = [v for v in values if v > 0] or [1]
    low, high = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)))
    return [10.0 ** e for e in range(low, max(high, low + 1) + 1)]


class _Canvas:
    """y: where the next thing begins."""

    def __init__(self, title, note):
        self.title = title
        self.y = MARGIN + 14.0
        self._elements = []
        self.text(MARGIN, self.y, title, "title")
        self.y += 8
        self._wrapped(note, "")
        self.y += 10

    def add(self, element):
        self._elements.append(element)

    def text(self, x, y, text, kind="", anchor="start"):
        attributes = (f' class="{kind}"' if kind else "") + (
            f' text-anchor="{anchor}"' if anchor != "start" else "")
        self.add(f'<text x="{x:.1f}" y="{y:.1f}"{attributes}>{escape(text)}</text>')

    def line(self, kind, x1, y1, x2, y2):
        self.add(f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')

    def path(self, kind, points):
        steps = []
        pen = "M"
        for point in points:
            if point is None:
                pen = "M"
                continue
            steps.append(f"{pen}{point[0]:.1f} {point[1]:.1f}")
            pen = "L"
        self.add(f'<path class="{kind}" d="{"".join(steps)}"/>')

    def finish(self, foot):
        self._wrapped(foot, "foot")
        height = self.y + 14
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" '
            f'viewBox="0 0 {WIDTH} {height:.0f}" role="img">',
            f"<title>{escape(self.title)}</title>", f"<style>{STYLE}</style>",
            f'<rect class="back" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1:.0f}" '
            'rx="6"/>', *self._elements, "</svg>", ""])

    def _wrapped(self, text, kind):
        room = int((WIDTH - 2 * MARGIN) / (LETTER * (0.9 if kind == "foot" else 1)))
        for paragraph in filter(None, text.split("\n")):
            line = ""
            for word in [*paragraph.split(" "), None]:
                if word is None or len(line) + len(word) > room:
                    self.y += 14
                    self.text(MARGIN, self.y, line.strip(), kind)
                    line = ""
                line += f"{word} "
