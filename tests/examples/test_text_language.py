from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

GERMAN = "Dieser Satz ist auf Deutsch geschrieben, und er ist lang genug für ein Urteil."
ENGLISH = "This sentence is written in English, and it is long enough to be judged by a model."
FRENCH = "Cette phrase est écrite en français, et elle est assez longue pour être jugée."
JAPANESE = "これは日本語の文章です。家と庭についての話をします。"


@pytest.fixture
def languages(load: Callable[[str, str], Any]) -> Any:
    return load("text-language", "languages")


@pytest.fixture(scope="module")
def classify() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True).classify


@pytest.mark.parametrize(
    ("text", "language"),
    [(GERMAN, "de"), (ENGLISH, "en"), (FRENCH, "fr"), (JAPANESE, "ja"), ("ok", "und"), ("", "zxx")],
)
def test_prose_is_in_the_language_it_is_written_in(
    languages: Any, classify: Any, text: str, language: str
) -> None:
    judged = languages.judge(text, group="text", kind="markdown", classify=classify)
    assert (judged.language, judged.of) == (language, "text")


SOURCES = {
    "python": f'"""{GERMAN}"""\n\nimport os\n\ndef read(path):\n    return open(path).read()\n',
    "c": f"#include <stdio.h>\n/* {GERMAN} */\nint main(void) {{ return 0; }}\n",
    "rust": f'// {GERMAN}\nfn main() {{ println!("hello world"); }}\n',
    "sql": f"-- {GERMAN}\nSELECT name FROM people WHERE age > 3;\n",
    "lisp": f";; {GERMAN}\n(defun square (x) (* x x))\n",
    "shell": f"#!/bin/sh\n# {GERMAN}\necho hello\n",
}


@pytest.mark.parametrize("kind", SOURCES)
def test_source_code_is_in_the_language_of_its_comments(
    languages: Any, classify: Any, kind: str
) -> None:
    judged = languages.judge(SOURCES[kind], group="code", kind=kind, classify=classify)
    assert (judged.language, judged.of) == ("de", "comments")


def test_source_code_without_comments_is_in_no_language(languages: Any, classify: Any) -> None:
    source = (
        "import os\n\nfor name in os.listdir('.'):\n    print(name, 'this is an English text')\n"
    )
    judged = languages.judge(source * 5, group="code", kind="python", classify=classify)
    assert judged.language == "zxx"


def test_tags_and_scripts_of_a_page_are_no_prose(languages: Any, classify: Any) -> None:
    script = "<script>function read(the, file) { return this is the english one }</script>" * 3
    page = (
        f"<html><head>{script}</head><body class='the one and only'><p>{GERMAN}</p></body></html>"
    )
    judged = languages.judge(page, group="code", kind="html", classify=classify)
    assert judged.language == "de"


def test_addresses_and_identifiers_do_not_count_as_words(languages: Any) -> None:
    text = "See https://example.org/the/page or mail jane.doe@example.org about read_the_file()"
    assert languages.prose(text).split() == ["See", "or", "mail", "about"]


def test_only_the_beginning_of_a_long_text_is_judged(languages: Any) -> None:
    assert len(languages.prose("word " * 100_000)) <= languages.JUDGED


def test_an_answer_that_the_model_is_not_sure_of_is_unclear(languages: Any) -> None:
    judged = languages.judge(ENGLISH, group="text", kind="txt", classify=lambda _: ("la", 0.3))
    assert (judged.language, judged.confidence) == ("und", 0.3)


@pytest.mark.parametrize("source", ["#" * 50_000, "/*" * 20_000, '"""' * 20_000, "<!--" * 20_000])
def test_hostile_source_takes_no_time(languages: Any, source: str) -> None:
    """The test's own time limit is what it is held to."""
    assert isinstance(languages.comments(source[:4000]), str)
    assert isinstance(languages.without_tags("<" * 4000), str)


@pytest.mark.slow
def test_the_instrument_judges_each_text_of_an_artifact(
    call: Callable[..., Any], desk: Any
) -> None:
    texts = [
        {"path": "a.md", "text": GERMAN, "type": "markdown", "group": "text"},
        {"path": "b.py", "text": f"# {FRENCH}\n", "type": "python", "group": "code"},
    ]
    outputs = call("text-language", texts=desk.keep_json(texts))
    told = [(each["path"], each["language"], each["of"]) for each in outputs["languages"]]
    assert told == [("a.md", "de", "text"), ("b.py", "fr", "comments")]
