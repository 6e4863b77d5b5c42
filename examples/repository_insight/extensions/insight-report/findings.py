"""What the other nodes found out about a folder, and its summary as data."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePath

import msgspec

#: Duplicates, problems and examples that the summary names; it counts all of them.
NAMED = 20

#: Names in English of what py3langid tells; a code without a name stands for itself.
LANGUAGES = {
    "af": "Afrikaans",
    "am": "Amharic",
    "an": "Aragonese",
    "ar": "Arabic",
    "as": "Assamese",
    "az": "Azerbaijani",
    "be": "Belarusian",
    "bg": "Bulgarian",
    "bn": "Bengali",
    "br": "Breton",
    "bs": "Bosnian",
    "ca": "Catalan",
    "cs": "Czech",
    "cy": "Welsh",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "eo": "Esperanto",
    "es": "Spanish",
    "et": "Estonian",
    "eu": "Basque",
    "fa": "Persian",
    "fi": "Finnish",
    "fo": "Faroese",
    "fr": "French",
    "ga": "Irish",
    "gl": "Galician",
    "gu": "Gujarati",
    "he": "Hebrew",
    "hi": "Hindi",
    "hr": "Croatian",
    "ht": "Haitian",
    "hu": "Hungarian",
    "hy": "Armenian",
    "id": "Indonesian",
    "is": "Icelandic",
    "it": "Italian",
    "ja": "Japanese",
    "jv": "Javanese",
    "ka": "Georgian",
    "kk": "Kazakh",
    "km": "Khmer",
    "kn": "Kannada",
    "ko": "Korean",
    "ku": "Kurdish",
    "ky": "Kyrgyz",
    "la": "Latin",
    "lb": "Luxembourgish",
    "lo": "Lao",
    "lt": "Lithuanian",
    "lv": "Latvian",
    "mg": "Malagasy",
    "mk": "Macedonian",
    "ml": "Malayalam",
    "mn": "Mongolian",
    "mr": "Marathi",
    "ms": "Malay",
    "mt": "Maltese",
    "nb": "Norwegian",
    "ne": "Nepali",
    "nl": "Dutch",
    "nn": "Norwegian",
    "no": "Norwegian",
    "oc": "Occitan",
    "or": "Odia",
    "pa": "Punjabi",
    "pl": "Polish",
    "ps": "Pashto",
    "pt": "Portuguese",
    "qu": "Quechua",
    "ro": "Romanian",
    "ru": "Russian",
    "rw": "Kinyarwanda",
    "se": "Sami",
    "si": "Sinhala",
    "sk": "Slovak",
    "sl": "Slovenian",
    "sq": "Albanian",
    "sr": "Serbian",
    "sv": "Swedish",
    "sw": "Swahili",
    "ta": "Tamil",
    "te": "Telugu",
    "th": "Thai",
    "tl": "Tagalog",
    "tr": "Turkish",
    "ug": "Uyghur",
    "uk": "Ukrainian",
    "ur": "Urdu",
    "vi": "Vietnamese",
    "vo": "Volapük",
    "wa": "Walloon",
    "xh": "Xhosa",
    "zh": "Chinese",
    "zu": "Zulu",
    "zxx": "none",
    "und": "unclear",
}


class Typed(msgspec.Struct, frozen=True):
    path: str
    size: int
    type: str
    group: str
    description: str
    text: bool


class Spoken(msgspec.Struct, frozen=True):
    path: str
    language: str


class Cluster(msgspec.Struct, frozen=True):
    name: str
    size: int
    examples: list[str]


class Placed(msgspec.Struct, frozen=True):
    path: str
    x: float
    y: float
    cluster: int


class Alike(msgspec.Struct, frozen=True):
    paths: list[str]
    similarity: float


class Hit(msgspec.Struct, frozen=True):
    path: str
    score: float
    snippet: str
    by: str


class Problem(msgspec.Struct, frozen=True):
    path: str
    reason: str


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """The inputs of `insight-report`, typed; fields named as its ports."""

    folder: str
    sizes: list[int]
    types: list[Typed]
    languages: list[Spoken]
    model: str
    embedded: list[str]
    clusters: list[Cluster]
    points: list[Placed]
    duplicates: list[Alike]
    query: str = ""
    hits: list[Hit] = []
    summaries: list[str] = []
    problems: list[Problem] = []

    @property
    def title(self) -> str:
        return PurePath(self.folder).name or self.folder

    @property
    def bytes(self) -> int:
        return sum(self.sizes)

    @property
    def texts(self) -> int:
        return sum(file.text for file in self.types)


class Kind(msgspec.Struct, frozen=True):
    """How much of one kind of content there is."""

    type: str
    description: str
    group: str
    files: int
    bytes: int


def kinds(types: list[Typed]) -> list[Kind]:
    """The most frequent kind first."""
    files = Counter(file.type for file in types)
    sizes: Counter[str] = Counter()
    for file in types:
        sizes[file.type] += file.size
    first = {file.type: file for file in reversed(types)}
    return [
        Kind(kind, first[kind].description, first[kind].group, count, sizes[kind])
        for kind, count in sorted(files.items(), key=lambda pair: (-pair[1], pair[0]))
    ]


def languages(spoken: list[Spoken]) -> list[tuple[str, int]]:
    """(code, texts), most frequent first; `zxx` (none) and `und` (unclear) come last."""
    counts = Counter(text.language for text in spoken)
    return sorted(counts.items(), key=lambda pair: (pair[0] in ("zxx", "und"), -pair[1], pair[0]))


def limits(found: Findings) -> list[str]:
    """One sentence for each thing that was left out, and how to have it."""
    said = []
    seen = len(found.types)
    unread = len(found.problems)
    if seen + unread < len(found.sizes):
        said.append(
            f"{seen:,} of {len(found.sizes):,} files were looked at, spread over the folder; "
            "sizes count all of them. Raise max_files to see more."
        )
    if len(found.embedded) < found.texts:
        said.append(
            f"{len(found.embedded):,} of {found.texts:,} texts were embedded, with {found.model}; "
            "clusters and the search by meaning know only those."
        )
    if unread:
        named = ", ".join(f"{problem.path} ({problem.reason})" for problem in found.problems[:5])
        more = f", and {unread - 5:,} more" if unread > 5 else ""
        said.append(f"{unread:,} could not be read: {named}{more}.")
    return said


def summary(found: Findings) -> dict[str, object]:
    """A JSON object; lists of things that can be many are cut to `NAMED` and counted beside."""
    whole = {
        "folder": found.folder,
        "files": len(found.sizes),
        "bytes": found.bytes,
        "looked_at": len(found.types),
        "texts": found.texts,
        "model": found.model,
        "embedded": len(found.embedded),
        "types": kinds(found.types),
        "languages": [
            {"language": code, "name": LANGUAGES.get(code, code), "texts": count}
            for code, count in languages(found.languages)
        ],
        "clusters": [
            {
                "name": cluster.name,
                "texts": cluster.size,
                "examples": cluster.examples,
                "summary": found.summaries[number] if number < len(found.summaries) else "",
            }
            for number, cluster in enumerate(found.clusters)
        ],
        "duplicate_groups": len(found.duplicates),
        "duplicates": found.duplicates[:NAMED],
        "query": found.query,
        "hits": found.hits,
        "problems_count": len(found.problems),
        "problems": found.problems[:NAMED],
        "limits": limits(found),
    }
    built: dict[str, object] = msgspec.to_builtins(whole)
    return built
