"""Collects every figure and writes .demo/report.json and .demo/report.md."""

import datetime
import json
import platform
from pathlib import Path


class Report:
    def __init__(self, scale: str):
        self.data = {"scale": scale, "started": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                     "machine": platform.platform(), "steps": {}, "figures": [], "demonstrations": []}

    def step(self, name: str, seconds: float):
        self.data["steps"][name] = round(seconds, 2)

    def figure(self, name: str, value, unit: str, bar=None, met=None):
        self.data["figures"].append({"name": name, "value": value, "unit": unit, "bar": bar, "met": met})

    def demonstration(self, title: str, questions: list[dict]):
        self.data["demonstrations"].append({"title": title, "questions": questions})

    def write(self, folder: Path):
        self.data["finished"] = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        (folder / "report.json").write_text(json.dumps(self.data, indent=1, default=str))
        (folder / "report.md").write_text(self._markdown())

    def _markdown(self) -> str:
        lines = [f"# Demonstration, scale {self.data['scale']}", "", f"{self.data['started']} to {self.data['finished']}, "
                 f"{self.data['machine']}", "", "## Figures", "", "| figure | value | bar | met |", "|---|---|---|---|"]
        for f in self.data["figures"]:
            met = "" if f["met"] is None else "yes" if f["met"] else "**missed**"
            lines.append(f"| {f['name']} | {f['value']} {f['unit']} | {f['bar'] or ''} | {met} |")
        lines += ["", "## Steps", "", "| step | seconds |", "|---|---|"]
        lines += [f"| {name} | {seconds} |" for name, seconds in self.data["steps"].items()]
        for demonstration in self.data["demonstrations"]:
            lines += ["", f"## {demonstration['title']}"]
            for q in demonstration["questions"]:
                lines += ["", q["asked"], "", "```sql", q["sql"].strip(), "```", ""]
                if q.get("error"):
                    lines.append(f"Refused: `{q['error'].splitlines()[0]}`")
                rows = q.get("rows") or []
                if rows:
                    names = list(rows[0])
                    lines += ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
                    lines += ["| " + " | ".join(str(row[n]) for n in names) + " |" for row in rows[:20]]
        return "\n".join(lines) + "\n"
