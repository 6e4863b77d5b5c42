"""The report's order and wording: findings become the blocks that `report.render` draws."""

from __future__ import annotations

from findings import LANGUAGES, Findings, Kind, kinds, languages, limits

#: Rows of a chart; the rest is one row more. Points of the map; groups of duplicates; their paths.
ROWS = 10
POINTS = 1500
GROUPS = 20
PATHS = 6

FOUND_BY = {"words": "by words", "meaning": "by meaning", "both": "by words and meaning"}

Block = dict[str, object]


def blocks(found: Findings) -> list[Block]:
    """An empty folder gives a short report that says so."""
    made = [_opening(found), _figures(found)]
    made += [{"kind": "text", "text": limit, "notice": True} for limit in limits(found)]
    if found.query:
        made += _answers(found)
    if found.types:
        made += _contents(found)
    if found.points:
        made += _subjects(found)
    if found.duplicates:
        made.append(_duplicates(found))
    return made


def _opening(found: Findings) -> Block:
    if not found.sizes:
        return {"kind": "text", "text": f"{found.folder} holds no files."}
    text = f"{found.folder}. Every model ran on this machine; nothing was sent anywhere."
    return {"kind": "text", "text": text}


def _figures(found: Findings) -> Block:
    spoken = [code for code, _ in languages(found.languages) if code not in ("zxx", "und")]
    alike = sum(len(group.paths) for group in found.duplicates)
    items: list[Block] = [
        {"label": "Files", "value": len(found.sizes)},
        {"label": "Size", "value": found.bytes, "unit": "bytes"},
        {"label": "Kinds of content", "value": len(kinds(found.types))},
        {"label": "Texts", "value": found.texts, "note": f"{len(found.embedded):,} embedded"},
        {"label": "Human languages", "value": len(spoken), "note": _few(spoken)},
        {"label": "Near-duplicates", "value": alike, "note": _groups(len(found.duplicates))},
    ]
    return {"kind": "stats", "items": items}


def _few(codes: list[str], most: int = 3) -> str:
    named = ", ".join(LANGUAGES.get(code, code) for code in codes[:most])
    return f"{named} and {len(codes) - most} more" if len(codes) > most else named


def _groups(count: int) -> str:
    if not count:
        return ""
    return "in 1 group" if count == 1 else f"in {count:,} groups"


def _answers(found: Findings) -> list[Block]:
    items = [
        {"title": _line(hit.path), "text": hit.snippet, "note": FOUND_BY[hit.by]}
        for hit in found.hits
    ]
    title = f"Search: {found.query}"
    return [
        {"kind": "heading", "text": "Answers"},
        {"kind": "list", "title": title, "items": items, "wide": True},
    ]


def _contents(found: Findings) -> list[Block]:
    by_count = kinds(found.types)
    by_size = sorted(by_count, key=lambda kind: -kind.bytes)
    note = "Told by a model from the bytes of each file, not from its name."
    made: list[Block] = [
        {"kind": "heading", "text": "What is in the folder", "note": note},
        _bars("Files by kind of content", [(_name(kind), kind.files) for kind in by_count]),
        _bars("Bytes by kind of content", [(_name(kind), kind.bytes) for kind in by_size], "bytes"),
        {
            "kind": "histogram",
            "title": "File sizes",
            "note": "Columns end at 1, 2, 5, 10, 20, 50, ... bytes.",
            "values": found.sizes,
            "scale": "log",
            "unit": "bytes",
            "of": "files",
        },
    ]
    if found.languages:
        spoken = [(LANGUAGES.get(code, code), texts) for code, texts in languages(found.languages)]
        chart = _bars("Human languages", spoken)
        made.append(chart | {"note": "Of prose, and of the comments in source code."})
    return made


def _name(kind: Kind) -> str:
    return kind.description or kind.type


def _bars(title: str, rows: list[tuple[str, int]], unit: str = "count") -> Block:
    total = sum(value for _, value in rows)
    shown = rows if len(rows) <= ROWS + 1 else rows[:ROWS]
    bars = [_bar(label, value, total) for label, value in shown]
    if len(shown) < len(rows):
        rest = total - sum(value for _, value in shown)
        bars.append(_bar(f"{len(rows) - len(shown)} other kinds", rest, total))
    return {"kind": "bars", "title": title, "unit": unit, "bars": bars}


def _bar(label: str, value: int, total: int) -> Block:
    share = value / total if total else 0.0
    note = f"{share:.0%}" if share >= 0.01 or not value else "<1%"
    return {"label": label, "value": value, "note": note if total else ""}


def _subjects(found: Findings) -> list[Block]:
    every = -(-len(found.points) // POINTS)
    points = [
        {
            "x": point.x,
            "y": point.y,
            "label": _line(point.path),
            "group": found.clusters[point.cluster].name,
        }
        # In the clusters' order, so that the legend starts with the largest.
        for point in sorted(found.points[::every], key=lambda point: point.cluster)
    ]
    drawn = f" {len(points):,} of {len(found.points):,} are drawn." if every > 1 else ""
    note = (
        f"A mark is a text; near marks speak of similar things, by the model {found.model}.{drawn}"
    )
    return [
        {"kind": "heading", "text": "What it is about"},
        {
            "kind": "scatter",
            "title": "Map of the texts",
            "note": note,
            "points": points,
            "wide": True,
        },
        _clusters(found),
    ]


def _clusters(found: Findings) -> Block:
    columns: list[Block] = [
        {"title": "Cluster"},
        {"title": "Texts", "unit": "count"},
        {"title": "Typical files"},
    ]
    rows: list[list[object]] = [
        [cluster.name, cluster.size, _lines(cluster.examples)] for cluster in found.clusters
    ]
    if found.summaries:
        columns.append({"title": "Summary by a small language model; may be wrong"})
        for number, row in enumerate(rows):
            row.append(found.summaries[number] if number < len(found.summaries) else None)
    note = "Named by the words that set each cluster apart."
    return {
        "kind": "table",
        "title": "Clusters",
        "note": note,
        "columns": columns,
        "rows": rows,
        "wide": True,
    }


def _duplicates(found: Findings) -> Block:
    rows = [[_paths(group.paths), f"{group.similarity:.0%}"] for group in found.duplicates[:GROUPS]]
    note = "Share of four-word runs that both texts have; of a group, that of its weakest link."
    if len(found.duplicates) > GROUPS:
        note += f" The {GROUPS} largest of {len(found.duplicates):,} groups."
    columns = [{"title": "Texts that are nearly the same"}, {"title": "Alike"}]
    return {
        "kind": "table",
        "title": "Near-duplicates",
        "note": note,
        "columns": columns,
        "rows": rows,
        "wide": True,
    }


def _paths(paths: list[str]) -> str:
    more = f"\nand {len(paths) - PATHS:,} more" if len(paths) > PATHS else ""
    return _lines(paths[:PATHS]) + more


def _lines(paths: list[str]) -> str:
    return "\n".join(_line(path) for path in paths)


def _line(path: str) -> str:
    """A file name may hold a line feed; it must not look like two files."""
    return path.replace("\n", "\\n")
