"""Make docs/css/LibertinusMath.woff2: the part of Libertinus Math that formulas of the site need.

Needs fonttools and brotli, and the whole font as woff2 or otf (github.com/alerque/libertinus, SIL Open Font
License 1.1; the file here is of version 7.051 as github.com/tmke8/math-core ships it):

    python docs/figures/make_math_font.py LibertinusMath-Regular.woff2
"""

from __future__ import annotations

import sys
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

TARGET = Path(__file__).parents[1] / "css" / "LibertinusMath.woff2"
RANGES = [  # ASCII, Latin, accents, Greek, punctuation, letters of mathematics, arrows, operators, brackets
    *[
        (0x20, 0x7E),
        (0xA0, 0xFF),
        (0x300, 0x338),
        (0x370, 0x3FF),
        (0x2010, 0x2057),
        (0x2061, 0x2064),
    ],
    *[(0x20D0, 0x20EF), (0x2102, 0x2102), (0x210E, 0x2115), (0x211C, 0x211D), (0x2124, 0x2124)],
    *[(0x2190, 0x21DF), (0x2200, 0x22FF), (0x2308, 0x230B), (0x23B4, 0x23E1), (0x27E6, 0x27EB)],
    *[(0x27F5, 0x27FE), (0x2A00, 0x2A0C), (0x1D400, 0x1D49B), (0x1D538, 0x1D56B)],
    *[(0x1D6A4, 0x1D6A5), (0x1D6A8, 0x1D76D), (0x1D7CE, 0x1D7D7)],
]
PRIMES = {0x2032: "minute.ssty1", 0x2033: "second.ssty1", 0x2034: "uni2034.ssty1"}


def main(source: str) -> None:
    font = TTFont(source)
    # as superscripts primes have glyphs of their own, which Chromium does not look up
    for table in font["cmap"].tables:
        table.cmap |= {code: glyph for code, glyph in PRIMES.items() if code in table.cmap}
    subsetter = Subsetter(Options(layout_features=["kern", "flac", "dtls"], desubroutinize=True))
    subsetter.populate(unicodes=[code for low, high in RANGES for code in range(low, high + 1)])
    subsetter.subset(font)
    font.flavor = "woff2"
    font.save(TARGET)
    print(f"{TARGET.name}: {TARGET.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main(sys.argv[1])
