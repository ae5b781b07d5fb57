"""Run the fake OpenAI: `python -m local.fake_openai --port 0 --ready-file FILE`.

The server writes its base URL into FILE once it listens.
"""

import argparse
import asyncio
import signal
import socket
from pathlib import Path

from hypercorn.asyncio import serve
from hypercorn.config import Config

from local.fake_openai.server import Options, app
from local.same_origin import same_origin_only


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="local.fake_openai", description=__doc__)
    add = parser.add_argument
    add("--port", type=int, default=0, help="0 chooses a free port")
    add("--ready-file", type=Path, required=True, help="file for the base URL")
    add("--latency", type=float, default=0, help="seconds that an image takes at least")
    add("--paint-once", action="store_true", help="the same image for every prompt")
    add("--images-per-minute", type=int, default=0, help="more get 429; 0 means no limit")
    add("--minute", type=float, default=60, help="seconds of that minute")
    add("--batch-seconds", type=float, default=0, help="0 ends a batch when it is next read")
    options = vars(parser.parse_args())
    port, ready_file = options.pop("port"), options.pop("ready_file")
    asyncio.run(_serve(port, ready_file, Options(**options)))


async def _serve(port: int, ready_file: Path, options: Options) -> None:
    listening = socket.create_server(("127.0.0.1", port))
    config = Config()
    config.bind = [f"fd://{listening.fileno()}"]
    # If a test cuts a connection, that is not an error of the server.
    config.loglevel = "CRITICAL"
    ended = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, ended.set)
    # The socket already listens. A client that reads the file now is served once the loop runs.
    new = ready_file.with_suffix(".new")
    new.write_text(f"http://127.0.0.1:{listening.getsockname()[1]}/v1\n")
    new.replace(ready_file)
    guarded = same_origin_only(app(options))
    await serve(guarded, config, shutdown_trigger=ended.wait)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
