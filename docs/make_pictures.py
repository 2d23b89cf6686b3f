"""Make the README's picture: tiles of ``zemo-diag phase3 --demo``, as the command draws them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from zemo_diagnostics.masters.pictures import write_png

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "phase3_demo.png"

# One tile in equatorial mode that the old rule wipes, and one in alt-az mode that the mask empties.
TILES = (1, 3)


def main() -> None:
    """Run the demo in a temporary folder, and put the pictures of its most telling tiles into one file."""
    with tempfile.TemporaryDirectory() as temporary:
        command = [sys.executable, str(ROOT / "tools" / "zemo_diag.py"), "phase3", "--demo", "-o", "out"]
        subprocess.run(command, cwd=temporary, check=True)
        files = [Path(temporary, "out", "pictures", f"tile_{tile:03d}.png") for tile in TILES]
        write_png(np.hstack([np.asarray(Image.open(file)) for file in files]), PICTURE, force=True)
    print(f"wrote {PICTURE.name}")


if __name__ == "__main__":
    main()
