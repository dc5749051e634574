"""`python -m tests.soak`: run the long proofs and print their figures; the exit status says if all held."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.soak.kills import kill_rounds
from tests.soak.load import mixed_load


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="kills under enrolment")
    parser.add_argument("--minutes", type=float, default=60.0, help="of mixed load")
    parser.add_argument("--bundle", type=Path, help="for the load; a tiny handmade one unless given")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="penumbra-soak-") as folder:
        kills = kill_rounds(Path(folder) / "kills", chosen.rounds)
        print(json.dumps({"kills": asdict(kills)}), flush=True)
        load = mixed_load(Path(folder) / "load", chosen.minutes, chosen.bundle)
        print(json.dumps({"load": asdict(load)}), flush=True)
    held = kills.lost == 0 and kills.halves == 0 and load.faults == 0 and load.growth <= 5.0
    print("all held" if held else "NOT all held")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
