"""Draw the pictures of docs/pictures.md: run its examples, and write the axes `ax` after each block
to the picture that follows it.

Run `python tools/pictures.py [folder]` from the root of a clone; needs matplotlib.
"""

import doctest
import re
import sys
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import numpy as np
from matplotlib import pyplot
from PIL import Image

PAGE = Path("docs/pictures.md")
BLOCK = re.compile(r"```python\n(.*?)```|!\[[^\]]*\]\(pictures/(\w+\.png)\)", re.DOTALL)


def main(folder):
    folder.mkdir(exist_ok=True)
    names = {}
    for code, picture in BLOCK.findall(PAGE.read_text()):
        for example in doctest.DocTestParser().get_examples(code):
            exec(example.source, names)
        if picture:
            np.ravel(names["ax"])[0].figure.savefig(folder / picture, dpi=75)
            pyplot.close("all")
            with Image.open(folder / picture) as image:  # 256 colors, in half of the bytes
                image.convert("RGB").quantize(256).save(folder / picture, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/pictures"))
