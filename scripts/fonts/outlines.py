"""Writes src/reports/font.json: the outlines of DejaVu Sans that labels in pictures need, as SVG paths.

Pictures must have the same labels on machines without any font (containers). Needs Debian's python3-fonttools and
fonts-dejavu-core:  python3 scripts/fonts/outlines.py FONT.ttf COPYRIGHT > src/reports/font.json
where COPYRIGHT is Debian's file of that name for the font, whose terms go with the outlines.
"""

import json
import sys

from fontTools.pens.svgPathPen import SVGPathPen
from fontTools.ttLib import TTFont

CHARACTERS = "".join(map(chr, range(0x20, 0x7F))) + "…≤≥×·–’°µ±²σ%äöüßÄÖÜéèê�"


def licence(path: str) -> list[str]:
    """The first stanza of the font's terms, one line each."""
    text = open(path, encoding="utf-8").read()
    terms = text[text.index("Copyright: Copyright (c) 2003 by Bitstream") : text.index("Files: debian/*")]
    return [line.strip() for line in terms.strip().splitlines()]


def main() -> None:
    font = TTFont(sys.argv[1])
    glyphs = font.getGlyphSet()
    names = font.getBestCmap()
    outlines = {}
    for character in sorted(set(CHARACTERS)):
        name = names[ord(character)]
        pen = SVGPathPen(glyphs, ntos=lambda v: str(round(v)))
        glyphs[name].draw(pen)
        outlines[character] = [glyphs[name].width, pen.getCommands()]
    data = {
        "note": "Outlines of DejaVu Sans (fonts-dejavu-core), y upwards: [advance, SVG path] per character.",
        "licence": licence(sys.argv[2]),
        "unitsPerEm": font["head"].unitsPerEm,
        "glyphs": outlines,
    }
    json.dump(data, sys.stdout, ensure_ascii=False, indent=1)
    print()


main()
