"""Write the generated pages of the docs, and check that what is written by hand is true.

    python scripts/docs.py            write docs/cli.md, and the blocks of other pages that are made from the code
    python scripts/docs.py --check    change nothing; say what is out of date, broken or missing

Checked: the generated pages are current; every relative link leads to a file; every setting and every variable is in
docs/settings.md, and every variable in .env.example; each file of changes/ is named as the release expects.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from blocks import rewritten

from rushes.cli import cli
from rushes.config import VARIABLES, ConfigFile, ProviderSettings
from rushes.plugins import find
from rushes.providers.base import Provider

ROOT = Path(__file__).resolve().parent.parent
CLI_PAGE = ROOT / "docs" / "cli.md"
SETTINGS_PAGE = ROOT / "docs" / "settings.md"
ENV_EXAMPLE = ROOT / ".env.example"
VARIABLES_BLOCK = re.compile(r"(<!-- variables -->\n).*?(<!-- /variables -->)", re.DOTALL)
ENV_BLOCK = re.compile(r"(# -- more providers, made by `make format` -+\n).*?(?=\n# -- )", re.DOTALL)
CHANGE_KINDS = ("added", "changed", "fixed", "removed")
OTHER_VARIABLES = ("LOG_LEVEL", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "FFMPEG_BINARY")


def main() -> int:
    if "--check" not in sys.argv:
        CLI_PAGE.write_text(cli_page(), encoding="utf-8")
        for page, current in made_of_providers():
            page.write_text(current, encoding="utf-8")
        for page in markdown_files():
            before = page.read_text(encoding="utf-8")
            if (after := rewritten(before)) != before:
                page.write_text(after, encoding="utf-8")
        return 0
    problems = [*stale_pages(), *broken_links(), *undocumented_settings(), *misnamed_changes()]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def cli_page() -> str:
    """The help of every command, as one page."""
    parts = [
        "# The command line",
        "*Made from the commands' own help by `make format`; do not edit.*",
        "Results go to stdout, progress to stderr. Exit codes: 0 good, 1 error, 2 usage, 3 over budget, 4 needs a "
        "person's decision, 130 detached by Ctrl-C.",
    ]
    context = click.Context(cli, info_name="rushes")
    for title, help_text in helps(cli, context):
        parts.append(f"## {title}\n\n```text\n{help_text}\n```")
    return "\n\n".join(parts) + "\n"


def helps(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    context.max_content_width = 100
    context.terminal_width = 100
    yield context.command_path, command.get_help(context).rstrip()
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None and not child.hidden:
                yield from helps(child, click.Context(child, info_name=name, parent=context))


def stale_pages() -> Iterator[str]:
    if not CLI_PAGE.is_file() or CLI_PAGE.read_text(encoding="utf-8") != cli_page():
        yield "docs/cli.md is out of date: make format"
    for page, current in made_of_providers():
        if page.read_text(encoding="utf-8") != current:
            yield f"{page.relative_to(ROOT)} does not list the variables of all providers: make format"
    for page in markdown_files():
        text = page.read_text(encoding="utf-8")
        if rewritten(text) != text:
            yield f"{page.relative_to(ROOT)} has a block that is out of date: make format"


def made_of_providers() -> list[tuple[Path, str]]:
    """The files that list the variables of all providers, as they should be."""
    settings, env = SETTINGS_PAGE.read_text(encoding="utf-8"), ENV_EXAMPLE.read_text(encoding="utf-8")
    elsewhere = ENV_BLOCK.sub("", env)
    return [
        (SETTINGS_PAGE, VARIABLES_BLOCK.sub(lambda found: found[1] + variables_block() + found[2], settings)),
        (ENV_EXAMPLE, ENV_BLOCK.sub(lambda found: found[1] + env_block(elsewhere), env)),
    ]


def providers() -> list[type[Provider]]:
    found = find("rushes.providers", "rushes.providers", "PROVIDER")
    loaded = [plugin.load() for _, plugin in sorted(found.items())]
    return [each for each in loaded if isinstance(each, type) and issubclass(each, Provider)]


def variables_block() -> str:
    rows = ["| provider | key | address | also |", "|---|---|---|---|"]
    for each in providers():
        if not each.key_vars:
            continue
        page = f"[{each.name}](providers/{each.name}.md)"
        cells = (" or ".join(f"`{name}`" for name in names) or "-" for names in _variables_of(each))
        rows.append(f"| {page} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def env_block(elsewhere: str) -> str:
    """The variables of providers that the file does not list by hand."""
    lines: list[str] = []
    for each in providers():
        names = [name for names in _variables_of(each) for name in names]
        if missing := [name for name in names if not re.search(rf"^# {name}=", elsewhere, re.MULTILINE)]:
            lines += [f"# {each.title}", *(f"# {name}=" for name in missing)]
    return "\n".join(lines) + "\n"


def _variables_of(provider: type[Provider]) -> tuple[tuple[str, ...], ...]:
    return provider.key_vars, provider.base_url_vars, provider.other_vars


def markdown_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=ROOT, capture_output=True)
    return [ROOT / name for name in listed.stdout.decode().split("\n") if name]


def broken_links() -> Iterator[str]:
    for page in markdown_files():
        for target in re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", page.read_text(encoding="utf-8")):
            link = target[0] or target[1]
            if "://" in link or link.startswith(("#", "mailto:")):
                continue
            if not (page.parent / link.partition("#")[0]).exists():
                yield f"{page.relative_to(ROOT)}: the link {link} leads nowhere"


def variables() -> set[str]:
    """Every environment variable that means something to rushes."""
    known = {*VARIABLES, *OTHER_VARIABLES}
    return known.union(*(names for each in providers() for names in _variables_of(each)))


def undocumented_settings() -> Iterator[str]:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    for name in sorted(variables()):
        if f"`{name}`" not in page:
            yield f"docs/settings.md does not mention the variable {name}"
        if not re.search(rf"^#? ?{name}=", example, re.MULTILINE):
            yield f".env.example does not list {name}"
    names = set(ProviderSettings.model_fields)
    for name, field in ConfigFile.model_fields.items():
        names.add(name)
        names |= set(getattr(field.annotation, "model_fields", {}))
    for name in sorted(names):
        if f"`{name}`" not in page and f"`[{name}" not in page:
            yield f"docs/settings.md does not mention the setting {name}"


def misnamed_changes() -> Iterator[str]:
    for change in (ROOT / "changes").glob("*.md"):
        if change.name != "README.md" and not re.fullmatch(rf"[a-z0-9-]+\.({'|'.join(CHANGE_KINDS)})\.md", change.name):
            yield f"changes/{change.name} is not named <slug>.<{'|'.join(CHANGE_KINDS)}>.md"


if __name__ == "__main__":
    sys.exit(main())
