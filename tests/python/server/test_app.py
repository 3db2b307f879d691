"""The parts together, in this process: an application that starts, works and ends."""

import anyio
import pytest

from cellferry.errors import DataInUseError
from cellferry.server.failures import Code, Failure
from cellferry.server.http.app import create_app
from cellferry.server.service import Server
from cellferry.server.settings import Settings


@pytest.fixture
def settings(tmp_path):
    return Settings(tmp_path / "data", free_bytes=0)


def test_an_empty_file_is_no_artifact_and_leaves_nothing(settings):
    server = Server(settings)
    upload = server.uploads.initiate("vars_h5", 0)
    with pytest.raises(Failure) as caught:
        server.complete_upload(upload)
    assert caught.value.code is Code.INVALID_ARTIFACT
    with pytest.raises(Failure):
        server.uploads.find(upload.id)
    server.close()


def test_the_folder_is_taken_while_the_application_is_there(settings):
    server = Server(settings)
    with pytest.raises(DataInUseError):
        create_app(settings)
    server.close()
    app = create_app(settings)

    async def live():
        sent = []
        messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

        async def receive():
            return messages.pop(0)

        async def send(message):
            sent.append(message["type"])

        await app({"type": "lifespan", "state": {}}, receive, send)
        return sent

    assert anyio.run(live) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    Server(settings).close()
