"""requirements.txt line by line."""

from __future__ import annotations

import pytest

from modelyard.errors import InvalidFolder
from modelyard.parts.requirement_options import Option, list_uv_arguments
from modelyard.parts.requirements import LineKind, parse_requirements


def refuse(text: str, *, is_multi_user: bool = False) -> str:
    with pytest.raises(InvalidFolder) as caught:
        parse_requirements(text, is_multi_user=is_multi_user)
    return caught.value.message


@pytest.mark.parametrize(
    "line",
    [
        "numpy",
        "numpy==1.26.4",
        "Scikit_Learn>=1.4,<2",
        "torch == 2.3.0+cu121",
        "transformers[torch,sentencepiece]~=4.40",
        'tomli; python_version < "3.11"',
        "six (>=1.0)",
        "numpy!=1.25.*",
        "zope.interface===6.0",
        "six==1.16.0 --hash=sha256:" + "a" * 64 + " --hash=sha256:" + "b" * 64,
    ],
)
def test_packages_are_taken(line: str) -> None:
    requirements = parse_requirements(line)
    assert [one.kind for one in requirements.lines] == [LineKind.PACKAGE]
    assert requirements.warnings == ()


def test_lines_are_numbered_as_the_author_sees_them() -> None:
    text = "\ufeff# head\r\n\r\nnumpy  # fast\r\npandas \\\r\n  >=2\r\n  # foot\r\nsix\r\n"
    lines = parse_requirements(text).lines
    assert [(line.number, line.name) for line in lines] == [(3, "numpy"), (4, "pandas"), (7, "six")]
    assert parse_requirements(text).text == "numpy\npandas    >=2\nsix\n"


def test_an_empty_file_is_fine() -> None:
    assert parse_requirements("\n# nothing\n").lines == ()


@pytest.mark.parametrize(
    ("line", "name", "kind"),
    [
        ("six @ https://host/six-1.0-py3-none-any.whl", "six", LineKind.URL),
        ("https://host/My_Pkg-1.0-py3-none-any.whl#sha256=ab", "my-pkg", LineKind.URL),
        ("git+https://host/r.git@v1#egg=My.Pkg", "my-pkg", LineKind.VCS),
        ("pkg[x] @ git+ssh://git@host/r.git ; python_version > '3'", "pkg", LineKind.VCS),
    ],
)
def test_urls_are_warned_about_and_refused_where_there_are_several_users(line: str, name: str, kind: LineKind) -> None:
    requirements = parse_requirements(f"six\n{line}")
    assert (requirements.lines[1].name, requirements.lines[1].kind) == (name, kind)
    assert requirements.warnings[0].startswith("requirements.txt line 2: ")
    assert "several users" in refuse(line, is_multi_user=True)


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("-i https://host/simple", "--index-url", "https://host/simple"),
        ("-ihttps://host/simple", "--index-url", "https://host/simple"),
        ("--index-url=https://host/simple", "--index-url", "https://host/simple"),
        ("--extra-index-url 'https://host/whl/cu121'", "--extra-index-url", "https://host/whl/cu121"),
        ("-f https://host/whl.html", "--find-links", "https://host/whl.html"),
        ("--trusted-host host", "--trusted-host", "host"),
    ],
)
def test_index_options_are_warned_about_and_refused_where_there_are_several_users(
    line: str, name: str, value: str
) -> None:
    requirements = parse_requirements(line)
    assert requirements.options == (Option(name=name, value=value),)
    assert name in requirements.warnings[0]
    assert "several users" in refuse(line, is_multi_user=True)


def test_options_are_told_to_uv_in_its_own_words() -> None:
    requirements = parse_requirements("--pre\n--only-binary=:all:\n--prefer-binary\n--trusted-host h")
    assert list_uv_arguments(requirements.options) == [
        "--prerelease", "allow", "--only-binary", ":all:", "--allow-insecure-host", "h"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("-r other.txt", "--requirement: another file is not read"),
        ("-rother.txt", "--requirement: another file is not read"),
        ("--requirement=other.txt", "another file is not read"),
        ("-c constraints.txt", "--constraint: another file is not read"),
        ("-e .", "editable"),
        ("-e git+https://host/r.git#egg=x", "editable"),
        ("./local", "local path"),
        ("../local", "local path"),
        (".", "is not a requirement"),
        ("/abs/x.whl", "local path"),
        ("~/x", "local path"),
        ("x-1.0-py3-none-any.whl", "local path"),
        ("file:///x.whl", "local path"),
        ("six @ file:///x.whl", "local path"),
        ("six @ ./x.whl", "local path"),
        ("git+file:///r", "local path"),
        ("hg+https://host/r", "hg+https is not supported"),
        ("-f ./wheels", "local path"),
        ("--index-url file:///simple", "local path"),
        ("--extra-index-url https://${TOKEN}@host/simple", "${TOKEN} is not replaced"),
        ("six==${VERSION}", "${VERSION} is not replaced"),
        ("--config-settings x", "--config-settings is not supported"),
        ("six --global-option=x", "of the options of a package only --hash"),
        ("foo bar", "is not a requirement"),
        ("six=1.0", "is not a requirement"),
        ("six==", "is not a requirement"),
        ("six\x00", "control characters"),
    ],
)
@pytest.mark.parametrize("is_multi_user", [False, True])
def test_what_is_never_allowed_is_refused_with_its_line(line: str, reason: str, is_multi_user: bool) -> None:
    message = refuse(f"six\n{line}\n", is_multi_user=is_multi_user)
    assert message.startswith("requirements.txt line 2: ")
    assert reason in message


def test_a_variable_in_a_comment_is_no_matter() -> None:
    assert len(parse_requirements("six # ${X}\n# ${Y}").lines) == 1


def test_all_problems_come_at_once() -> None:
    message = refuse("six\n-r a\n./b\nfoo bar\n")
    assert [line.split(":")[0] for line in message.splitlines()] == [
        f"requirements.txt line {number}" for number in (2, 3, 4)
    ]
