"""Draw docs/how-it-works.svg. Run `python tools/draw_how_it_works.py [file]` from the root of a
clone."""

import sys
from pathlib import Path

WIDTH, LEFT, BOX = 680, 20, 640
STAGES = [
    ("#dbeafe", "fastnn", "descriptions: layers, loss, optimizer, schedule; arrays X, y",
     "checks of everything, before any work"),
    ("#dbeafe", "fastnn/_engine", "lowering: layers to rows of a table",
     "plan: size and offset of every array; one workspace"),
    ("#fef3c7", "fastnn_ext, without the GIL",
     "for each step: shuffle, gather the rows of a batch", ""),
]  # fmt: skip
TASKS = ["its rows, all layers, forward and back", "its parameters, sum and update"]


def text(x, y, content, size=13, weight="normal", anchor="start"):
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" font-weight="{weight}" '
        f'text-anchor="{anchor}">{content}</text>'
    )


def box(x, y, width, height, color):
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" fill="{color}" '
        'stroke="#64748b"/>'
    )


def arrow(y):
    return f'<path d="M{WIDTH // 2} {y}v18m-5 -6l5 6l5 -6" fill="none" stroke="#64748b"/>'


def draw_pair(y, task):
    for i in range(2):
        x = LEFT + i * (BOX + 20) // 2
        yield box(x, y, (BOX - 20) // 2, 40, "#dcfce7")
        yield text(x + (BOX - 20) // 4, y + 25, f"thread {i + 1}: {task}", anchor="middle", size=12)


def draw():
    y = 14
    for color, title, first, second in STAGES:
        yield box(LEFT, y, BOX, 70, color)
        yield text(LEFT + 12, y + 20, title, weight="bold")
        yield text(LEFT + 12, y + 40, first)
        yield text(LEFT + 12, y + 58, second)
        yield arrow(y + 72)
        y += 92
    for task in TASKS:
        yield from draw_pair(y, task)
        yield text(WIDTH // 2, y + 60, "barrier", size=12, anchor="middle")
        y += 72
    yield box(LEFT, y, BOX, 44, "#dbeafe")
    yield text(LEFT + 12, y + 27, "fastnn: losses into the history, callbacks, next epochs")


def main(path):
    height = 14 + 3 * 92 + 2 * 72 + 60
    # The background is white, as the text would be illegible on the dark page.
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" font-family="sans-serif">',
        '<rect width="100%" height="100%" fill="white"/>',
        *draw(),
        "</svg>",
    ]
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/how-it-works.svg"))
