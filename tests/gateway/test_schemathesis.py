"""The gateway against its own OpenAPI document: schemathesis makes requests out of it, right and wrong ones, and chains
them by their links; every answer has to be one that the document promises.

Nobody works on the jobs, so a create costs a row and no rendering; one video is finished before, so that there are
files. What is checked less than everything, and why, is said in `SETTINGS`.
"""

import sys
from pathlib import Path

import anyio
import pytest

from rushes import config
from rushes.app import App
from rushes.jobs.keys import Grant
from rushes.jobs.ledger import LOCAL_OWNER
from tests.gateway.running import SHORT, over, running

pytestmark = pytest.mark.anyio

UNLIMITED = "[gateway]\nrequests_per_second = 1000000\nrequests_burst = 1000000\n"
EXAMPLES = 8
SETTINGS = """
# Not ready is an answer like any other.
[[operations]]
include-operation-id = "getReady"
checks = {{ not_a_server_error = {{ expected-statuses = ["2xx", "4xx", "503"] }} }}

# What a model can make is not in the document: a right request may ask too much of it.
[[operations]]
include-operation-id-regex = "^(generateVideo|estimateVideo)$"
checks = {{ positive_data_acceptance = {{ expected-statuses = ["2xx", "404", "409", "422"] }} }}

# The same; and real clients send what no document has, which is taken as far as it can be meant.
[[operations]]
include-path-regex = "^/(v1|openai)/.*"
include-method = "POST"
[operations.checks]
positive_data_acceptance = {{ expected-statuses = ["2xx", "400", "404", "409"] }}
negative_data_rejection = {{ expected-statuses = ["2xx", "4xx"] }}

[[operations]]
include-operation-id = "downloadVideo"
parameters = {{ "path.file_id" = "{video}" }}

[[operations]]
include-operation-id-regex = "^(getOutput|getVideoContent)$"
parameters = {{ "path.video_id" = "{video}" }}
"""


async def finished_video(home: Path) -> str:
    async with running(home, UNLIMITED) as gateway:
        made = await gateway.client.post("/v1/videos", json={"prompt": "A fox", **SHORT})
        video = await gateway.until_ended(made.json()["id"])
        assert video["status"] == "completed"
    return str(video["id"])


@pytest.mark.slow
@pytest.mark.parametrize("paths", ["^/(api|health|ready|metrics)", "^/(v1|openai)/"], ids=["native", "dialects"])
async def test_every_answer_is_one_that_the_document_promises(tmp_path: Path, paths: str) -> None:
    home = tmp_path / "home"
    video = await finished_video(home)
    (tmp_path / "schemathesis.toml").write_text(SETTINGS.format(video=video))
    settings = config.load(environment={}, folder=home, home=str(home))
    async with App(settings, leave_worker=False) as app:
        key = (await app.keys.create("fuzzer", Grant(admin=True), owner=LOCAL_OWNER)).secret
        async with over(app, works=False, key=key) as gateway:
            command = [sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml", "run"]
            command += [f"{gateway.url}/openapi.json", "--checks=all", f"--max-examples={EXAMPLES}", "--no-shrink"]
            command += ["--seed=1", "--generation-deterministic", "--continue-on-failure", "--request-timeout=20"]
            command += [f"--header=Authorization: Bearer {key}", f"--include-path-regex={paths}", "--no-color"]
            command += ["--exclude-operation-id=streamEvents"]  # which never ends
            with anyio.fail_after(300):
                done = await anyio.run_process(command, check=False, cwd=tmp_path)

    said = done.stdout.decode(errors="replace")
    assert done.returncode == 0, said + done.stderr.decode(errors="replace")
    assert " selected / " in said
