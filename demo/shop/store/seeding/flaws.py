"""The defects that are planted on purpose, and their list."""

import json
import random

SHARE = 0.005


class Flaws:
    """Decides which rows are spoilt, by a random stream of its own, and remembers them."""

    def __init__(self, seed):
        self._rng = random.Random(f"{seed}/flaws")
        self._planted = []
        self._gaps = {}

    def strikes(self, defect, share=SHARE):
        """Whether the next row of this sort gets the defect: after gaps of 1 to 2 / share rows, so that even a small
        shop has each of them."""
        waiting = self._gaps.get(defect) or self._rng.randrange(1, round(2 / share))
        self._gaps[defect] = waiting - 1
        return waiting == 1

    def plant(self, table, row_id, defect):
        self._planted.append({"table": table, "id": row_id, "defect": defect})

    def count(self):
        return len(self._planted)

    def write(self, path):
        """One JSON object a line: table, id, defect."""
        with open(path, "w", encoding="utf-8") as out:
            for flaw in self._planted:
                out.write(json.dumps(flaw) + "\n")
